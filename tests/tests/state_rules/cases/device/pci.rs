//! Configuration space, BARs, MSI and MSI-X; records that have no layout.

use crate::cases::{AMD, Case, INTEL, INTEL_4, OLD_AMD, OLD_INTEL, case};
use crate::fixture::set;

const CONFIG: &str = "pi->pi_cfgdata";
const TYPE: &str = "pi->pi_bar[i].type";
const SIZE: &str = "pi->pi_bar[i].size";
const ADDR: &str = "pi->pi_bar[i].addr";
const COUNT: &str = "pi->pi_msix.table_count";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = layouts();
    cases.extend(bars());
    cases.extend(messages());
    cases
}

fn layouts() -> Vec<Case> {
    let count =
        |fixture, record, count| case("device-layout", fixture, &[set(record, COUNT, count)]);
    vec![
        count(INTEL, "lpc", 1),
        count(INTEL, "hostbridge", 256),
        count(INTEL, "virtio-blk", 0x7ff),
        count(OLD_INTEL, "virtio-net", 4),
        count(AMD, "ahci", u32::MAX.into()),
        case("device-layout", AMD, &[set("xhci", "restore_idx", 2)]),
        case("device-layout", AMD, &[set("virtio-rnd", "vc->vc_nvq", 2)]),
    ]
}

fn bars() -> Vec<Case> {
    let address = |addr| [set("xhci", ADDR, addr), set("xhci", CONFIG, addr).bytes(0x10, 4)];
    vec![
        case("pci-bar-type", INTEL, &[set("virtio-blk", TYPE, 9).nth(3)]),
        case("pci-bar-type", OLD_AMD, &[set("lpc", TYPE, u32::MAX.into())]),
        case("pci-bar-size", INTEL, &[set("virtio-blk", SIZE, 0x2001).nth(1)]),
        case("pci-bar-size", AMD, &[set("xhci", SIZE, 8)]),
        case("pci-bar-size", AMD, &[set("lpc", SIZE, 16)]),
        case("pci-bar-size", AMD, &[set("lpc", TYPE, 4).nth(2)]),
        case("pci-bar-size", AMD, &[set("lpc", TYPE, 5).nth(6)]),
        case("pci-bar-aligned", AMD, &address(0xc000_6800)),
        case("pci-bar-aligned", OLD_AMD, &address(0xc005_0800)),
        case("pci-bar-register", INTEL, &[set("virtio-blk", CONFIG, 0x2081).bytes(0x10, 4)]),
        case("pci-bar-register", OLD_INTEL, &[set("virtio-blk", ADDR, 0x2080)]),
        case("pci-bar-register", INTEL_4, &[set("e1000", CONFIG, 1).bytes(0x24, 4)]),
        case("pci-ids", INTEL_4, &[set("e1000", CONFIG, 0x1010).bytes(2, 2)]),
        case("pci-ids", AMD, &[set("xhci", CONFIG, 1).bytes(0x0e, 1)]),
    ]
}

fn messages() -> Vec<Case> {
    let mask = "pi->pi_msix.function_mask";
    vec![
        case("pci-msi", AMD, &[set("xhci", "pi->pi_msi.enabled", 2)]),
        case("pci-msi", INTEL_4, &[set("fbuf", "pi->pi_msi.maxmsgnum", 1)]),
        case("pci-msi", INTEL_4, &[set("fbuf", "pi->pi_msi.addr", 1 << 32)]),
        case("pci-msi-capability", AMD, &[set("xhci", "pi->pi_msi.addr", 0xfee0_1000)]),
        case("pci-msi-capability", OLD_AMD, &[set("xhci", CONFIG, 0x80).bytes(0x42, 1)]),
        case(
            "pci-msi-capability",
            AMD,
            &[set("lpc", "pi->pi_msi.enabled", 1), set("lpc", "pi->pi_msi.maxmsgnum", 1)],
        ),
        Case {
            also: &["pci-msix-capability"],
            ..case("pci-msix-flags", INTEL, &[set("virtio-blk", mask, 1)])
        },
        case("pci-msix-table-count", INTEL, &[set("virtio-blk", "vs->vs_flags", 0)]),
        case("pci-msix-place", INTEL, &[set("virtio-blk", "pi->pi_msix.table_bar", 0x63)]),
        case("pci-msix-place", OLD_INTEL, &[set("virtio-net", "pi->pi_msix.pba_size", 16)]),
        case("pci-msix-place", INTEL, &[set("virtio-blk", SIZE, 0x1000).nth(1)]),
        case(
            "pci-msix-pba-page",
            OLD_INTEL,
            &[set("virtio-blk", "pi->pi_msix.pba_page_offset", 1)],
        ),
        case("pci-msix-capability", INTEL, &[set("virtio-blk", CONFIG, 0x8003).bytes(0x42, 2)]),
    ]
}
