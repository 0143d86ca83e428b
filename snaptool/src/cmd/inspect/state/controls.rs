//! What the host's CPU is told of a virtual CPU: VM controls of Intel, the VMCB of AMD.

use snapfmt::state::Scope;

use super::bits::{self, Names, register, set};
use super::page::Page;
use super::vm::event;
use super::words;

/// Shows the controls that a slot has.
pub(super) fn render(slot: Scope<'_, '_>, page: &mut Page) {
    intel(slot, page);
    intercepts(slot, page);
    amd(slot, page);
}

fn intel(slot: Scope<'_, '_>, page: &mut Page) {
    for (name, key, names, default1) in [
        ("entry", "VMCS_ENTRY_CTLS", bits::ENTRY_CTLS, bits::ENTRY_DEFAULT1),
        ("exit", "VMCS_EXIT_CTLS", bits::EXIT_CTLS, bits::EXIT_DEFAULT1),
    ] {
        page.some(name, slot.u64(key).map(|value| controls(value, names, default1)));
    }
    if let Some(blocked) = slot.u64("VMCS_GUEST_INTERRUPTIBILITY") {
        let words = if blocked == 0 { "not blocked".to_owned() } else { blocking(blocked) };
        page.pair("interrupts", words);
    }
    if let Some(activity) = slot.u64("VMCS_GUEST_ACTIVITY") {
        let words = match activity {
            0 => "active",
            1 => "HLT",
            2 => "shutdown",
            3 => "wait for SIPI",
            _ => "of no known number",
        };
        page.pair("activity", format!("{activity} ({words})"));
    }
    let pdptes = ["PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"].map(|key| slot.u64(key));
    if pdptes.iter().flatten().any(|entry| *entry != 0) {
        let shown = pdptes.map(|entry| words::hex(entry.unwrap_or_default()));
        page.pair("PDPTE0-3", shown.join(" "));
    }
    if let Some(descriptor) = slot.get("pir_desc") {
        let posted = descriptor.part("pir").map_or(&[][..], |part| part.bytes);
        let pending = descriptor.part("pending").and_then(|part| part.u64()).unwrap_or_default();
        let vectors = words::vectors(&vectors_of(posted));
        page.pair("posted", format!("vectors {vectors}; pending {pending}"));
    }
}

/// Controls by name; bits that are 1 by default have none.
fn controls(value: u64, names: Names, default1: u64) -> String {
    let mut words = format!("{value:#x}  {}", set(value & !default1, names));
    let lost = default1 & !value;
    if lost != 0 {
        words.push_str(&format!("; without {lost:#x}, which are 1 by default"));
    }
    words
}

fn blocking(value: u64) -> String {
    format!("{value:#x}  blocked by {}", set(value, bits::INTERRUPTIBILITY))
}

/// The numbers of the bits that are set in bytes.
pub(super) fn vectors_of(bytes: &[u8]) -> Vec<u64> {
    let all = (0..).zip(bytes).flat_map(|(index, byte): (u64, _)| {
        words::bits(u64::from(*byte)).map(move |bit| index * 8 + bit)
    });
    all.collect()
}

fn intercepts(slot: Scope<'_, '_>, page: &mut Page) {
    for (name, key) in
        [("CR caught", "vmcb.CR_INTERCEPT[4]"), ("DR caught", "vmcb.DR_INTERCEPT[4]")]
    {
        let Some(value) = slot.u64(key) else { continue };
        let side = |bits: u64, what: &str| match words::ranges(words::bits(bits & 0xffff)) {
            numbers if numbers.is_empty() => format!("{what} none"),
            numbers => format!("{what} {numbers}"),
        };
        let (reads, writes) = (side(value, "reads of"), side(value >> 16, "writes of"));
        page.pair(name, format!("{value:#x}  {reads}; {writes}"));
    }
    for (name, key, names) in [
        ("exceptions", "vmcb.EXC_INTERCEPT[4]", bits::EXCEPTIONS),
        ("INST1", "vmcb.INST1_INTERCEPT[4]", bits::INST1),
        ("INST2", "vmcb.INST2_INTERCEPT[4]", bits::INST2),
    ] {
        page.some(name, slot.u64(key).map(|value| register(value, names)));
    }
}

fn amd(slot: Scope<'_, '_>, page: &mut Page) {
    if let Some(virq) = slot.u64("vmcb.VIRQ[8]") {
        let on = |bit: u32| if virq >> bit & 1 == 1 { "on" } else { "off" };
        let (tpr, vector) = (virq & 0xff, virq >> 32 & 0xff);
        let masking = on(24);
        let words =
            format!("V_TPR {tpr:#x}, V_IRQ {}, vector {vector:#x}, masking {masking}", on(8));
        page.pair("VIRQ", words);
    }
    if let Some(shadow) = slot.u64("INTR_SHADOW") {
        page.pair("shadow", if shadow == 0 { "none" } else { "of STI or MOV SS" });
    }
    if let Some(nested) = slot.u64("vmcb.NP_ENABLE[1]") {
        page.pair(
            "NP_ENABLE",
            if nested & 1 == 1 { "1 (nested paging)" } else { "0 (NO nested paging)" },
        );
    }
    if let Some(asid) = slot.u64("vmcb.ASID[4]") {
        let flush = slot.u64("vmcb.TLB_CTRL[4]").unwrap_or_default();
        page.pair("ASID", format!("{asid}, TLB_CTRL {flush}"));
    }
    if let Some(info) = slot.u64("vmcb.EXITINTINFO[8]") {
        let reason = slot.u64("vmcb.EXIT_REASON[8]").unwrap_or_default();
        let infos = ["vmcb.EXITINFO1[8]", "vmcb.EXITINFO2[8]"];
        let [one, two] = infos.map(|key| words::hex(slot.u64(key).unwrap_or_default()));
        let event = event(info);
        page.pair("last exit", format!("{reason:#x}, info {one} {two}, event {event}"));
    }
    let addresses = [
        ("NPT_BASE", "vmcb.NPT_BASE[8]"),
        ("IO_PERM", "vmcb.IO_PERM[8]"),
        ("MSR_PERM", "vmcb.MSR_PERM[8]"),
    ];
    for (name, key) in addresses {
        let shown = slot.u64(key).map(|value| format!("{value:#x}, an address of the old host"));
        page.some(name, shown);
    }
    if let (Some(cpu), Some(generation)) = (slot.i64("vcpu->lastcpu"), slot.u64("vcpu->asid.gen")) {
        let number = slot.u64("vcpu->asid.num").unwrap_or_default();
        page.pair("host CPU", format!("{cpu}, ASID {number} of generation {generation}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_that_bhyve_asks_for_are_named() {
        assert_eq!(
            controls(0x93ff, bits::ENTRY_CTLS, bits::ENTRY_DEFAULT1),
            "0x93ff  load-EFER IA-32e-guest load-debug-controls"
        );
        assert_eq!(
            controls(0x33_efff, bits::EXIT_CTLS, bits::EXIT_DEFAULT1),
            "0x33efff  load-EFER save-EFER acknowledge-interrupt host-64-bit save-debug-controls"
        );
        let lost = controls(0x93fe, bits::ENTRY_CTLS, bits::ENTRY_DEFAULT1);
        assert!(lost.ends_with("; without 0x1, which are 1 by default"), "{lost}");
    }

    #[test]
    fn vectors_are_the_numbers_of_bits() {
        let mut bytes = [0; 32];
        bytes[6] = 1;
        bytes[31] = 0x80;
        assert_eq!(vectors_of(&bytes), [48, 255]);
    }
}
