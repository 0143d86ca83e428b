//! virtio disks, network cards and entropy.

use crate::cases::{AMD, Case, INTEL, INTEL_4, OLD_INTEL, case};
use crate::fixture::{Edit, Memory, set};

const BLK: &str = "virtio-blk";
const NET: &str = "virtio-net";

/// All of what says where the rings of the disk's queue are.
fn moved(pfn: u64) -> [Edit; 4] {
    [
        set(BLK, "vq->vq_pfn", pfn),
        set(BLK, "vq->vq_desc", pfn << 12),
        set(BLK, "vq->vq_avail", (pfn << 12) + 0x800),
        set(BLK, "vq->vq_used", (pfn << 12) + 0x1000),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = common();
    cases.extend(queues());
    cases.extend(models());
    cases
}

fn common() -> Vec<Case> {
    let select =
        |fixture, queue| case("virtio-queue-select", fixture, &[set(NET, "vs->vs_curq", queue)]);
    vec![
        select(INTEL, 0xffff_fff0),
        select(AMD, 0x8000_0000),
        select(OLD_INTEL, 0x1_0000),
        case("virtio-flags", INTEL, &[set(BLK, "vs->vs_flags", 5)]),
        case("virtio-isr", INTEL, &[set(BLK, "vs->vs_isr", 4)]),
        case("virtio-features", INTEL, &[set(BLK, "vs->vs_negotiated_caps", 0x1000_0245)]),
        case("virtio-constants", INTEL, &[set(BLK, "vc->vc_cfgsize", 61)]),
        case("virtio-constants", AMD, &[set("virtio-rnd", "vc->vc_cfgsize", 1)]),
        case("virtio-offered", OLD_INTEL, &[set(BLK, "vc->vc_hv_caps", 1 << 40 | 0x1000_0644)]),
        case("virtio-offered", INTEL, &[set(BLK, "vc->vc_hv_caps", 0x1000_0744)]),
        case("virtio-vectors", INTEL, &[set(BLK, "vq->vq_msix_idx", 2)]),
        case("virtio-vectors", AMD, &[set(NET, "vs->vs_msix_cfg_idx", 9)]),
    ]
}

fn queues() -> Vec<Case> {
    let positions = |key| case("virtq-positions", INTEL, &[set(BLK, key, 0x1234)]);
    vec![
        case("virtq-rings-in-memory", INTEL, &moved(0x7_0000)),
        case("virtq-rings-in-memory", INTEL_4, &moved(0xb_ffff)),
        case("virtq-rings-in-memory", INTEL_4, &moved(0x14_0000 - 1)),
        case("virtq-ring-addresses", INTEL, &[set(BLK, "vq->vq_pfn", 0x601)]),
        case("virtq-ring-addresses", OLD_INTEL, &[set(NET, "vq->vq_used", 0x61_5004).nth(1)]),
        Case {
            ram: Some(|| Box::new(Memory::of(INTEL))),
            ..case("virtq-ring-image", INTEL, &[set(BLK, "vq->vq_desc", 0xff).nth(1).bytes(1, 1)])
        },
        case("virtq-flags", INTEL, &[set(BLK, "vq->vq_flags", 5)]),
        case("virtq-number", INTEL, &[set(BLK, "vq->vq_num", 1)]),
        positions("vq->vq_last_avail"),
        positions("vq->vq_next_used"),
        positions("vq->vq_save_used"),
    ]
}

fn models() -> Vec<Case> {
    let config = "sc->vbsc_cfg";
    let ident = |at, byte| set(BLK, "sc->vbsc_ident", byte).bytes(at, 1);
    vec![
        case("blk-block-size", INTEL, &[set(BLK, config, 0).part("blk_size")]),
        case("blk-block-size", INTEL, &[set(BLK, config, 513).part("blk_size")]),
        case("blk-unused", OLD_INTEL, &[set(BLK, config, 1).part("writeback")]),
        case("blk-ident", INTEL, &[ident(20, 0x41)]),
        case("blk-ident", OLD_INTEL, &[ident(0, 7)]),
        case("net-header", INTEL, &[set(NET, "sc->vhdrlen", 11)]),
        case("net-header", INTEL, &[set(NET, "sc->vhdrlen", 10)]),
        case("net-header", OLD_INTEL, &[set(NET, "sc->be_vhdrlen", 10)]),
        case("net-flags", INTEL, &[set(NET, "sc->rx_merge", 2)]),
        case("net-flags", AMD, &[set(NET, "sc->features_negotiated", 2)]),
        case("net-features", INTEL, &[set(NET, "sc->vsc_features", 0x20)]),
        case("net-features", OLD_INTEL, &[set(NET, "sc->vsc_features", 0x20)]),
        case("net-features", AMD, &[set(NET, "sc->rx_merge", 0), set(NET, "sc->vhdrlen", 10)]),
        case("net-config", INTEL, &[set(NET, "sc->vsc_config", 2).part("status")]),
        case("net-config", INTEL, &[set(NET, "sc->vsc_config", 4).part("max_virtqueue_pairs")]),
    ]
}
