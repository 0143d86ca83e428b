//! virtio devices: block, network, entropy.
//!
//! Other virtio devices of bhyve cannot be saved.

use super::super::dsl::*;
use super::super::schema::{Item, Kind, Layout, Part, Repeat, Shape, Test, Width};
use super::pci::pci;

const RINGS: &[Item] = &[
    gpa("vq->vq_desc").means("descriptors"),
    gpa("vq->vq_avail").means("available ring"),
    gpa("vq->vq_used").means("used ring"),
    shaped("vq->vq_desc", Shape::Rings("vq->vq_qsize"))
        .pair("image")
        .means("all three, with the gaps between; written to guest memory on restore"),
];

const QUEUE: &[Item] = &[
    u16("vq->vq_qsize").compared().means("descriptors it has"),
    u16("vq->vq_num").compared().means("its number"),
    u16("vq->vq_flags").bits().means("bit 0 set up by the driver, bit 1 broken"),
    u16("vq->vq_last_avail").means("how much of the available ring was taken"),
    u16("vq->vq_next_used").means("where the used ring goes on"),
    u16("vq->vq_save_used").means("where it was when the driver was last told"),
    u16("vq->vq_msix_idx").bits().means("MSI-X vector; 0xffff none"),
    u32("vq->vq_pfn").bits().means("page that the rings begin in"),
    group("rings", Repeat::If(Test::Bit("vq->vq_flags", 0)), RINGS),
];

const VIRTIO: &[Item] = &[
    i32("vs->vs_flags").bits().means("bit 0 MSI-X, bit 1 EVENT_IDX, bit 3 broken"),
    u32("vs->vs_negotiated_caps").bits().means("features that the driver took"),
    i32("vs->vs_curq").means("queue selected"),
    u8("vs->vs_status").bits().means("device status"),
    u8("vs->vs_isr").bits().means("interrupt status"),
    u16("vs->vs_msix_cfg_idx").bits().means("MSI-X vector of changes to the configuration"),
    i32("vc->vc_nvq").compared().means("queues it has"),
    u64("vc->vc_cfgsize").compared().means("bytes of its configuration"),
    u64("vc->vc_hv_caps").bits().compared().means("features that it offers"),
    // bhyve's devices have three at most.
    group("queues", Repeat::Of("vc->vc_nvq", 64), QUEUE),
];

/// `struct vtblk_config`.
const BLOCK_CONFIG: &[Part] = &[
    piece("capacity", 0, 8, Kind::Number),
    piece("size_max", 8, 4, Kind::Number),
    piece("seg_max", 12, 4, Kind::Number),
    piece("geometry.cylinders", 16, 2, Kind::Number),
    piece("geometry.heads", 18, 1, Kind::Number),
    piece("geometry.sectors", 19, 1, Kind::Number),
    piece("blk_size", 20, 4, Kind::Number),
    piece("topology.physical_block_exp", 24, 1, Kind::Number),
    piece("topology.alignment_offset", 25, 1, Kind::Number),
    piece("topology.min_io_size", 26, 2, Kind::Number),
    piece("topology.opt_io_size", 28, 4, Kind::Number),
    piece("writeback", 32, 1, Kind::Number),
    piece("unused0", 33, 1, Kind::Bytes),
    piece("num_queues", 34, 2, Kind::Number),
    piece("max_discard_sectors", 36, 4, Kind::Number),
    piece("max_discard_seg", 40, 4, Kind::Number),
    piece("discard_sector_alignment", 44, 4, Kind::Number),
    piece("max_write_zeroes_sectors", 48, 4, Kind::Number),
    piece("max_write_zeroes_seg", 52, 4, Kind::Number),
    piece("write_zeroes_may_unmap", 56, 1, Kind::Number),
    piece("unused1", 57, 3, Kind::Bytes),
];

const BLOCK: &[Item] = &[
    bytes("sc->vbsc_cfg", 60).inside(BLOCK_CONFIG).means("configuration that the driver reads"),
    text("sc->vbsc_ident", 21).means("serial number"),
];

/// `struct virtio_net_config`.
const NET_CONFIG: &[Part] = &[
    piece("mac", 0, 6, Kind::Mac),
    part("status", 6, Width::Two),
    piece("max_virtqueue_pairs", 8, 2, Kind::Number),
    piece("mtu", 10, 2, Kind::Number),
];

const FEATURES: Item = u64("sc->vsc_features").bits().means("features in use");
const NET: &[Item] = &[
    bytes("sc->vsc_config", 12).inside(NET_CONFIG).means("configuration that the driver reads"),
    i32("sc->rx_merge").flag().means("whether a packet may take several buffers"),
    u64("sc->vhdrlen").means("bytes of the header before a packet"),
    u64("sc->be_vhdrlen").means("bytes of the header that the backend makes"),
];
const NET_40: &[Item] = &[FEATURES, Item::Shared(NET)];
const NET_41: &[Item] = &[
    FEATURES,
    bool("sc->features_negotiated").means("whether the driver has taken features"),
    Item::Shared(NET),
];

pub(super) static BLOCKS: [Layout; 4] = pci!("virtio-blk", &["virtio-blk"], [VIRTIO, BLOCK]);
pub(super) static NETS_40: [Layout; 4] =
    pci!("virtio-net", "-40", &["virtio-net"], [VIRTIO, NET_40], older);
pub(super) static NETS_41: [Layout; 4] =
    pci!("virtio-net", "-41", &["virtio-net"], [VIRTIO, NET_41], newer);
pub(super) static ENTROPY: [Layout; 4] =
    pci!("virtio-rnd", "", &["virtio-rnd"], [VIRTIO, &[]], newer);
