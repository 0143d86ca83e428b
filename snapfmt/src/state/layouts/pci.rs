//! What every record of a PCI device begins with, and the devices that add nothing to it.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat, Sign};

const MSI: &[Item] = &[
    i32("pi->pi_msi.enabled").flag(),
    u64("pi->pi_msi.addr").bits(),
    u64("pi->pi_msi.msg_data").bits(),
    i32("pi->pi_msi.maxmsgnum").means("messages it may send"),
    i32("pi->pi_msix.enabled").bits().means("0, or the enable bit of message control, 0x8000"),
    i32("pi->pi_msix.table_bar").means("BAR that holds the table"),
    i32("pi->pi_msix.pba_bar").means("BAR that holds the pending bits"),
    u32("pi->pi_msix.table_offset").means("where in that BAR the table is"),
    i32("pi->pi_msix.table_count").means("entries of the table"),
    u32("pi->pi_msix.pba_offset").means("where in that BAR the pending bits are"),
    i32("pi->pi_msix.pba_size").means("bytes of the pending bits"),
    i32("pi->pi_msix.function_mask").bits().means("0, or the mask bit of message control, 0x4000"),
];

const CONFIG: Item =
    bytes("pi->pi_cfgdata", 256).sign(Sign::Vendor).means("PCI configuration space");

const BAR: &[Item] = &[
    i32("pi->pi_bar[i].type")
        .sign(Sign::Most(5))
        .means("0 none, 1 I/O, 2 MEM32, 3 MEM64, 4 upper half, 5 ROM"),
    u64("pi->pi_bar[i].size").sign(Sign::PowerOfTwo),
    u64("pi->pi_bar[i].addr").bits(),
];
const BARS_6: Item = group("bars", Repeat::Times(6), BAR);
const BARS_7: Item = group("bars", Repeat::Times(7), BAR);

/// 2048 is what the PCI specification allows.
const TABLE: Item = group(
    "msix_table",
    Repeat::Of("pi->pi_msix.table_count", 2048),
    &[
        u64("pi->pi_msix.table[i].addr").bits(),
        u32("pi->pi_msix.table[i].msg_data").bits(),
        u32("pi->pi_msix.table[i].vector_control").bits().means("bit 0 masked"),
    ],
);

const PBA_PAGE: Item = i32("pi->pi_msix.pba_page_offset");

/// Six BARs: possible between the two that were seen.
pub(super) const PCI432: &[Item] = &[Item::Shared(MSI), CONFIG, BARS_6, TABLE];
/// Six BARs and one more number for MSI-X: May 2020.
pub(super) const PCI436: &[Item] = &[Item::Shared(MSI), PBA_PAGE, CONFIG, BARS_6, TABLE];
/// Seven BARs, the last for a ROM: 14.x.
pub(super) const PCI452: &[Item] = &[Item::Shared(MSI), CONFIG, BARS_7, TABLE];
/// Seven BARs and one more number for MSI-X: possible between the two that were seen.
pub(super) const PCI456: &[Item] = &[Item::Shared(MSI), PBA_PAGE, CONFIG, BARS_7, TABLE];

/// The layouts of a device whose part is the same in both generations.
macro_rules! pci {
    ($id:literal, $names:expr, $parts:expr) => {
        pci!($id, "", $names, $parts, seen $crate::state::dsl::A, $crate::state::dsl::B)
    };
    // As it was seen in the older generation.
    ($id:literal, $variant:literal, $names:expr, $parts:expr, older) => {
        pci!($id, $variant, $names, $parts, seen $crate::state::dsl::A, $crate::state::dsl::NEITHER)
    };
    // As it was seen in the newer generation.
    ($id:literal, $variant:literal, $names:expr, $parts:expr, newer) => {
        pci!($id, $variant, $names, $parts, seen $crate::state::dsl::NEITHER, $crate::state::dsl::B)
    };
    ($id:literal, $variant:literal, $names:expr, $parts:expr, unseen) => {
        pci!(
            $id, $variant, $names, $parts,
            seen $crate::state::dsl::NEITHER, $crate::state::dsl::NEITHER
        )
    };
    ($id:literal, $variant:literal, $names:expr, $parts:expr, seen $old:expr, $new:expr) => {{
        use $crate::state::dsl::{A, BOTH, NEITHER, device};
        use $crate::state::layouts::pci::{PCI432, PCI436, PCI452, PCI456};
        const PARTS: [&[$crate::state::schema::Item]; 2] = $parts;
        const fn under(
            prefix: &'static [$crate::state::schema::Item],
        ) -> [&'static [$crate::state::schema::Item]; 3] {
            let [first, second] = PARTS;
            [prefix, first, second]
        }
        [
            device(concat!($id, "-pci432", $variant), $names, A, NEITHER, under(PCI432)),
            device(concat!($id, "-pci436", $variant), $names, A, $old, under(PCI436)),
            device(concat!($id, "-pci452", $variant), $names, BOTH, $new, under(PCI452)),
            device(concat!($id, "-pci456", $variant), $names, BOTH, NEITHER, under(PCI456)),
        ]
    }};
}
pub(super) use pci;

/// A host bridge has nothing but configuration space, and no record before 14.0.
pub(super) static LAYOUTS: [Layout; 2] = [
    device("hostbridge-pci452", HOSTBRIDGE, B, B, [PCI452, &[], &[]]),
    device("hostbridge-pci456", HOSTBRIDGE, B, NEITHER, [PCI456, &[], &[]]),
];
const HOSTBRIDGE: &[&str] = &["hostbridge", "amd_hostbridge"];
