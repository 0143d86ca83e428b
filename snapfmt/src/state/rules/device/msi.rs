//! Rules of MSI and MSI-X, and of the capabilities that show them to a guest.

use super::super::class::{Argued, Class};
use super::super::rule::{ANOTHER, Judge, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check, Known};
use super::{PCI, VIRTIO, WITHOUT};
use crate::state::value::little_endian;

pub(super) static CHAPTER: Chapter =
    Chapter { title: "MSI and MSI-X of PCI devices", rules: RULES, argued: ARGUED, not_rules: &[] };

const CONFIG: &str = "pi->pi_cfgdata";
const MSI_ENABLED: &str = "pi->pi_msi.enabled";
const MSI_ADDR: &str = "pi->pi_msi.addr";
const MSI_DATA: &str = "pi->pi_msi.msg_data";
const MSI_MAX: &str = "pi->pi_msi.maxmsgnum";
const ENABLED: &str = "pi->pi_msix.enabled";
const MASKED: &str = "pi->pi_msix.function_mask";
const COUNT: &str = "pi->pi_msix.table_count";
const TABLE_BAR: &str = "pi->pi_msix.table_bar";
const TABLE_OFFSET: &str = "pi->pi_msix.table_offset";
const PBA_BAR: &str = "pi->pi_msix.pba_bar";
const PBA_OFFSET: &str = "pi->pi_msix.pba_offset";
const PBA_SIZE: &str = "pi->pi_msix.pba_size";
const PBA_PAGE: &str = "pi->pi_msix.pba_page_offset";

/// Where configuration space says whether it has capabilities, where the first is, and they.
const HAS_CAPABILITIES: Subject = Subject::range(CONFIG, 6, 1);
const FIRST: Subject = Subject::range(CONFIG, 0x34, 1);
const CAPABILITIES: Subject = Subject::range(CONFIG, 0x40, 0xc0);

const CAP_MSI: u8 = 0x05;
const CAP_MSIX: u8 = 0x11;
/// Bits of the message control of MSI-X.
const MSIX_ENABLE: u64 = 0x8000;
const MSIX_MASK: u64 = 0x4000;

static RULES: &[Rule] = &[
    Rule {
        subjects: &[
            Subject::field(MSI_ENABLED),
            Subject::field(MSI_ADDR),
            Subject::field(MSI_DATA),
            Subject::field(MSI_MAX),
        ],
        condition: "must be one state of MSI: on with a power of two of messages up to 128, or off \
                    with none; an address of 32 bits, data of 16",
        reason: "bhyve takes nothing else from the guest",
        bhyve: "restores it; the guest gets interrupts that it does not expect, or none",
        source: "usr.sbin/bhyve/pci_emul.c msicap_cfgwrite",
        judge: Judge::Relation(msi),
        ..rule("pci-msi", PCI)
    },
    Rule {
        subjects: &[Subject::field(MSI_ENABLED), HAS_CAPABILITIES, FIRST, CAPABILITIES],
        condition: "must be as the MSI capability in configuration space says, with address, data \
                    and messages if it is on",
        reason: "bhyve writes both together",
        bhyve: "restores both, and goes by the first",
        source: "usr.sbin/bhyve/pci_emul.c msicap_cfgwrite",
        judge: Judge::Relation(msi_capability),
        ..rule("pci-msi-capability", PCI)
    },
    Rule {
        subjects: &[Subject::field(ENABLED), Subject::field(MASKED)],
        condition: "must be 0, or the bit of message control: 0x8000 for enabled, 0x4000 for \
                    masked",
        reason: "bhyve keeps the bit where it is",
        bhyve: "restores it and takes any value but 0 for set",
        source: "usr.sbin/bhyve/pci_emul.c msixcap_cfgwrite",
        judge: Judge::Relation(msix_flags),
        ..rule("pci-msix-flags", PCI)
    },
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(COUNT)],
        condition: "must be what the device has: one more than its queues for virtio with MSI-X, \
                    else 0",
        reason: "bhyve restores the count, then as many entries into a table that it made for the \
                 device's own count",
        bhyve: "overwrites its heap with bytes of the file",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_emul.c pci_snapshot_pci_dev; virtio.c vi_intr_init",
        judge: Judge::Relation(count),
        ..rule("pci-msix-table-count", PCI)
    },
    Rule {
        subjects: &[
            Subject::field(TABLE_BAR),
            Subject::field(TABLE_OFFSET),
            Subject::field(PBA_BAR),
            Subject::field(PBA_OFFSET),
            Subject::field(PBA_SIZE),
        ],
        condition: "must be where bhyve puts tables: in BAR 1, which is large enough, the table at \
                    its beginning, a bit for each entry at the next page; all 0 without MSI-X",
        reason: "bhyve sets it once, and no guest can change it",
        bhyve: "restores it; the guest finds the table elsewhere or nowhere, and writes of its \
                driver may end in an assertion",
        source: "usr.sbin/bhyve/pci_emul.c pci_emul_add_msixcap; virtio.c vi_intr_init",
        judge: Judge::Relation(places),
        ..rule("pci-msix-place", PCI)
    },
    Rule {
        subjects: &[Subject::field(PBA_PAGE)],
        condition: "must be 0",
        reason: "only passed-through devices use it, and they cannot be saved",
        bhyve: "restores it and does not look at it",
        source: "usr.sbin/bhyve/pci_passthru.c",
        judge: Judge::Number(|offset| offset == 0),
        ..rule("pci-msix-pba-page", PCI)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[
            Subject::field(COUNT),
            Subject::field(ENABLED),
            Subject::field(MASKED),
            HAS_CAPABILITIES,
            FIRST,
            CAPABILITIES,
        ],
        condition: "must be as the MSI-X capability in configuration space says",
        reason: "both are written together, unless a guest writes single bytes, which none does",
        bhyve: "restores both, and goes by the first; the guest thinks that it has other vectors",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_emul.c msixcap_cfgwrite",
        judge: Judge::Relation(msix_capability),
        ..rule("pci-msix-capability", PCI)
    },
];

fn msi(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let (Some(enabled), Some(max)) = (root.u64(MSI_ENABLED), root.u64(MSI_MAX)) else {
            continue;
        };
        let messages = if enabled == 0 { max == 0 } else { max.is_power_of_two() && max <= 128 };
        for (key, good) in [
            (MSI_ENABLED, enabled <= 1),
            (MSI_MAX, messages),
            (MSI_ADDR, root.u64(MSI_ADDR).is_none_or(|addr| addr >> 32 == 0)),
            (MSI_DATA, root.u64(MSI_DATA).is_none_or(|data| data >> 16 == 0)),
        ] {
            if !good && let Some(field) = root.get(key) {
                check.breaks(known.record, &field, &[("enabled", enabled)]);
            }
        }
    }
}

/// A capability in configuration space, from its id on.
fn capability<'a>(known: Known<'_, 'a>, id: u8) -> Option<&'a [u8]> {
    let config = known.fields.root().bytes(CONFIG)?;
    if config.get(6)? & 0x10 == 0 {
        return None;
    }
    let mut at = usize::from(*config.get(0x34)?);
    for _ in 0..48 {
        if at < 0x40 {
            break;
        }
        let found = config.get(at..)?;
        if found.first() == Some(&id) {
            return Some(found);
        }
        at = usize::from(*found.get(1)?);
    }
    None
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes.get(at..at + len).and_then(little_endian).unwrap_or_default()
}

fn msi_capability(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let Some(field) = root.get(MSI_ENABLED) else { continue };
        let enabled = field.u64().unwrap_or_default();
        let cap = capability(known, CAP_MSI).unwrap_or_default();
        let control = number(cap, 2, 2);
        let data = number(cap, if control & 0x80 == 0 { 8 } else { 12 }, 2);
        let shown = (number(cap, 4, 4), data, 1 << (control >> 4 & 7));
        let kept = |key| root.u64(key).unwrap_or_default();
        let agree = enabled == control & 1
            && (enabled == 0 || shown == (kept(MSI_ADDR), kept(MSI_DATA), kept(MSI_MAX)));
        if enabled <= 1 && !agree {
            check.breaks(known.record, &field, &[("message control", control)]);
        }
    }
}

fn msix_flags(check: &mut Check<'_, '_>) {
    for known in check.own() {
        for (key, bit) in [(ENABLED, MSIX_ENABLE), (MASKED, MSIX_MASK)] {
            if let Some(field) = known.fields.find(key, None, 0)
                && field.u64().is_some_and(|value| value != 0 && value != bit)
            {
                check.breaks(known.record, &field, &[]);
            }
        }
    }
}

fn count(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let Some(field) = root.get(COUNT) else { continue };
        let vectors = if VIRTIO.contains(&known.record.family)
            && root.u64("vs->vs_flags").is_some_and(|flags| flags & 1 == 1)
        {
            root.u64("vc->vc_nvq").unwrap_or_default() + 1
        } else {
            0
        };
        if field.u64() != Some(vectors) {
            check.breaks(known.record, &field, &[("the device has", vectors)]);
        }
    }
}

fn places(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let Some(count) = root.u64(COUNT) else { continue };
        let table = (16 * count).next_multiple_of(4096);
        let pending = count.next_multiple_of(64) / 8;
        let bar = u64::from(count > 0);
        for (key, wanted) in [
            (TABLE_BAR, bar),
            (TABLE_OFFSET, 0),
            (PBA_BAR, bar),
            (PBA_OFFSET, table),
            (PBA_SIZE, pending),
        ] {
            if let Some(field) = root.get(key)
                && field.u64() != Some(wanted)
            {
                check.breaks(known.record, &field, &[("entries", count)]);
            }
        }
        if count > 0
            && let Some(size) = root.all("pi->pi_bar[i].size").nth(1)
            && size.u64().is_some_and(|size| size.is_power_of_two() && size < table + pending)
        {
            check.breaks(known.record, &size, &[("entries", count)]);
        }
    }
}

fn msix_capability(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let kept = |key| root.u64(key).unwrap_or_default();
        let cap = capability(known, CAP_MSIX);
        let control = number(cap.unwrap_or_default(), 2, 2);
        let vectors = cap.map_or(0, |_| (control & 0x7ff) + 1);
        for (key, shown) in
            [(COUNT, vectors), (ENABLED, control & MSIX_ENABLE), (MASKED, control & MSIX_MASK)]
        {
            if kept(key) != shown
                && let Some(field) = root.get(key)
            {
                check.breaks(known.record, &field, &[("message control", control)]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: PCI,
    subjects: &[
        Subject::field("pi->pi_msix.table[i].addr"),
        Subject::field("pi->pi_msix.table[i].msg_data"),
        Subject::field("pi->pi_msix.table[i].vector_control"),
    ],
    class: Class::Free,
    because: "the guest writes it; a message that no local APIC takes is lost",
}];
