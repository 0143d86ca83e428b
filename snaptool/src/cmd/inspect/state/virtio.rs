//! virtio devices: features, status, and where the rings of each queue stand.

use snapfmt::state::Scope;

use super::View;
use super::bits::{Names, VIRTIO_STATUS, register, set};
use super::page::Page;
use super::words::{self, count, mac, number_at, text};
use crate::text::size;

/// Descriptors that are named.
const NAMED: u16 = 8;

const COMMON: Names = &[
    (24, "NOTIFY_ON_EMPTY"),
    (27, "ANY_LAYOUT"),
    (28, "INDIRECT_DESC"),
    (29, "EVENT_IDX"),
    (32, "VERSION_1"),
];
const BLOCK: Names = &[
    (0, "BARRIER"),
    (1, "SIZE_MAX"),
    (2, "SEG_MAX"),
    (4, "GEOMETRY"),
    (5, "RO"),
    (6, "BLK_SIZE"),
    (7, "SCSI"),
    (9, "FLUSH"),
    (10, "TOPOLOGY"),
    (11, "CONFIG_WCE"),
    (12, "MQ"),
    (13, "DISCARD"),
    (14, "WRITE_ZEROES"),
    (24, "NOTIFY_ON_EMPTY"),
    (27, "ANY_LAYOUT"),
    (28, "INDIRECT_DESC"),
    (29, "EVENT_IDX"),
    (32, "VERSION_1"),
];
const NET: Names = &[
    (0, "CSUM"),
    (1, "GUEST_CSUM"),
    (2, "CTRL_GUEST_OFFLOADS"),
    (3, "MTU"),
    (5, "MAC"),
    (6, "GSO"),
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (9, "GUEST_ECN"),
    (10, "GUEST_UFO"),
    (11, "HOST_TSO4"),
    (12, "HOST_TSO6"),
    (13, "HOST_ECN"),
    (14, "HOST_UFO"),
    (15, "MRG_RXBUF"),
    (16, "STATUS"),
    (17, "CTRL_VQ"),
    (18, "CTRL_RX"),
    (19, "CTRL_VLAN"),
    (20, "CTRL_RX_EXTRA"),
    (21, "GUEST_ANNOUNCE"),
    (22, "MQ"),
    (23, "CTRL_MAC_ADDR"),
    (24, "NOTIFY_ON_EMPTY"),
    (27, "ANY_LAYOUT"),
    (28, "INDIRECT_DESC"),
    (29, "EVENT_IDX"),
    (32, "VERSION_1"),
];

/// Shows the device and its queues.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    let root = view.root;
    let features = match view.record.base() {
        "virtio-blk" => BLOCK,
        "virtio-net" => NET,
        _ => COMMON,
    };
    page.head("virtio");
    page.some("status", root.u64("vs->vs_status").map(|value| register(value, VIRTIO_STATUS)));
    page.some("taken", root.u64("vs->vs_negotiated_caps").map(|caps| set(caps, features)));
    page.some("offered", root.u64("vc->vc_hv_caps").map(|caps| set(caps, features)));
    if let Some(flags) = root.u64("vs->vs_flags") {
        let names: Names = &[(0, "MSI-X"), (1, "EVENT_IDX"), (3, "BROKEN")];
        let isr = root.u64("vs->vs_isr").unwrap_or_default();
        let vector = root.u64("vs->vs_msix_cfg_idx").unwrap_or_default();
        let isr = set(isr, &[(0, "queue"), (1, "configuration")]);
        let flags = set(flags, names);
        page.pair("interrupts", format!("{flags}; pending {isr}; configuration {}", entry(vector)));
    }
    block(root, page);
    net(root, page);
    let selected = root.i64("vs->vs_curq");
    for queue in root.groups("queues") {
        let selected = if selected == Some(i64::from(queue.index())) { ", selected" } else { "" };
        let name = queue_name(view.record.base(), queue.index());
        page.head(&format!("queue {}{name}{selected}", queue.index()));
        self::queue(queue, page);
    }
}

fn entry(vector: u64) -> String {
    if vector == 0xffff {
        "without a vector".to_owned()
    } else {
        format!("by MSI-X entry {vector}")
    }
}

fn queue_name(device: &str, index: u32) -> &'static str {
    match (device, index) {
        ("virtio-net", 0) => " (receive)",
        ("virtio-net", 1) => " (transmit)",
        ("virtio-net", 2) => " (control)",
        _ => "",
    }
}

fn block(root: Scope<'_, '_>, page: &mut Page) {
    let Some(config) = root.get("sc->vbsc_cfg") else { return };
    let part = |name: &str| config.part(name).and_then(|part| part.u64()).unwrap_or_default();
    let sectors = part("capacity");
    let bytes = size(sectors.saturating_mul(512));
    let (block, segments) = (part("blk_size"), part("seg_max"));
    let identity = root.bytes("sc->vbsc_ident").map(text).unwrap_or_default();
    page.pair(
        "disk",
        format!("{identity}, {bytes} ({sectors} sectors), blocks of {block}, {segments} segments"),
    );
}

fn net(root: Scope<'_, '_>, page: &mut Page) {
    let Some(config) = root.get("sc->vsc_config") else { return };
    let address = config.part("mac").map(|part| mac(part.bytes)).unwrap_or_default();
    let part = |name: &str| config.part(name).and_then(|part| part.u64()).unwrap_or_default();
    let link = if part("status") & 1 == 1 { "up" } else { "down" };
    let header = root.u64("sc->vhdrlen").unwrap_or_default();
    page.pair(
        "network",
        format!("{address}, link {link}, MTU {}, header of {header} bytes", part("mtu")),
    );
}

/// Where a queue stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// What the driver has made available, and the device has not taken.
    pub(super) waiting: u16,
    /// What the device has taken, and not given back.
    pub(super) taken: u16,
    /// What was given back since the driver was last told.
    pub(super) untold: u16,
    /// The index of the available ring, and of the used one.
    avail: u16,
    used: u16,
    /// The first descriptors that wait.
    heads: Vec<u16>,
}

impl Standing {
    /// Of a queue whose rings are in the record.
    pub(super) fn of(queue: Scope<'_, '_>) -> Option<Self> {
        let number = |key: &str| queue.u64(key).and_then(|value| u16::try_from(value).ok());
        let len = usize::from(number("vq->vq_qsize")?);
        let [last, next, save] =
            ["vq->vq_last_avail", "vq->vq_next_used", "vq->vq_save_used"].map(number);
        let (last, next, save) = (last?, next?, save?);
        // Of the two fields of that name, the last is what the rings hold.
        let image = queue.all("vq->vq_desc").last()?.bytes();
        let at = |at: usize| number_at(image, at, 2).and_then(|value| u16::try_from(value).ok());
        let available = len.checked_mul(16)?;
        let used = (available + 4 + 2 * len + 2).next_multiple_of(4096);
        let avail = at(available + 2)?;
        let waiting = avail.wrapping_sub(last);
        let place = |number: u16| Some(4 + 2 * usize::from(number).checked_rem(len)?);
        let heads = (0..waiting.min(NAMED))
            .filter_map(|number| at(available + place(last.wrapping_add(number))?));
        let heads = heads.collect();
        let (taken, untold) = (last.wrapping_sub(next), next.wrapping_sub(save));
        Some(Self { waiting, taken, untold, avail, used: at(used + 2)?, heads })
    }

    /// Whether something is under way.
    pub(super) fn busy(&self) -> bool {
        self.waiting != 0 || self.taken != 0
    }
}

fn queue(queue: Scope<'_, '_>, page: &mut Page) {
    let number = |key: &str| queue.u64(key).unwrap_or_default();
    let flags = set(number("vq->vq_flags"), &[(0, "set-up"), (1, "BROKEN")]);
    let vector = entry(number("vq->vq_msix_idx"));
    page.pair(
        "queue",
        format!("{}, {flags}, interrupts {vector}", count(number("vq->vq_qsize"), "descriptor")),
    );
    let image = queue.all("vq->vq_desc").count();
    if image < 2 {
        page.pair("rings", format!("none; PFN {:#x}", number("vq->vq_pfn")));
        return;
    }
    let keys = ["vq->vq_desc", "vq->vq_avail", "vq->vq_used"];
    let [descriptors, available, used] = keys.map(|key| words::hex(number(key)));
    page.pair("rings", format!("descriptors {descriptors}, available {available}, used {used}"));
    let Some(standing) = Standing::of(queue) else { return };
    let (last, next) = (number("vq->vq_last_avail"), number("vq->vq_next_used"));
    page.pair("available", format!("index {}, taken up to {last}", standing.avail));
    page.pair("used", format!("index {}, goes on at {next}", standing.used));
    page.pair("in flight", standing.words());
}

impl Standing {
    fn words(&self) -> String {
        if !self.busy() && self.untold == 0 {
            return "nothing".to_owned();
        }
        let mut words = vec![match self.waiting {
            0 => "nothing waits for the device".to_owned(),
            waiting => {
                let heads = self.heads.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
                let more = if waiting > NAMED { " ..." } else { "" };
                let what = count(waiting.into(), "request");
                format!("{what} not yet taken (descriptors {heads}{more})")
            }
        }];
        words.push(match self.taken {
            0 => "none taken and not given back".to_owned(),
            taken => format!("{taken} taken and not given back"),
        });
        if self.untold != 0 {
            words.push(format!("{} given back since the driver was told", self.untold));
        }
        words.join(", ")
    }
}
