//! Software state of the virtual CPUs: `vm`.

use super::View;
use super::bits::{XCR0, register};
use super::controls::vectors_of;
use super::page::Page;
use super::words;

/// Shows all slots, and which virtual CPUs were not started.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    for (vcpu, slot) in view.slots() {
        page.head(&format!("vcpu {vcpu}"));
        if let Some(next) = slot.u64("vcpu->nextrip") {
            page.pair("nextrip", format!("{next:#x}"));
        }
        page.some("XCR0", slot.u64("vcpu->guest_xcr0").map(|value| register(value, XCR0)));
        page.some("event", slot.u64("vcpu->exitintinfo").map(event));
        exception(slot, page);
        if let Some(tsc) = ["tsc", "vcpu->tsc_offset"].iter().find_map(|key| slot.u64(key)) {
            page.pair("TSC", tsc.to_string());
        }
        let apic = slot.u64("vcpu->x2apic_state").map(|state| match state {
            0 => "xAPIC".to_owned(),
            1 => "x2APIC".to_owned(),
            other => format!("of no known number: {other}"),
        });
        page.some("local APIC", apic);
        last_exit(slot, page);
    }
    view.unused(page);
    if let Some(set) = view.root.bytes("vm_->startup_cpus").filter(|_| view.vcpu.is_none()) {
        let waiting = words::ranges(vectors_of(set));
        page.head("virtual CPUs that wait for their SIPI");
        page.line(if waiting.is_empty() { "none" } else { &waiting });
    }
}

type Slot<'f, 'a> = snapfmt::state::Scope<'f, 'a>;

fn exception(slot: Slot<'_, '_>, page: &mut Page) {
    let keys = ["vcpu->exc_vector", "vcpu->exc_errcode_valid", "vcpu->exc_errcode"];
    if let [Some(vector), Some(valid), Some(code)] = keys.map(|key| slot.u64(key)) {
        let code = if valid != 0 { format!(", error code {code:#x}") } else { String::new() };
        page.pair("exception", format!("vector {vector}{code}; whether it is pending is lost"));
    }
}

fn last_exit(slot: Slot<'_, '_>, page: &mut Page) {
    let Some(exit) = slot.get("vcpu->exitinfo") else { return };
    let part = |name| exit.part(name).and_then(|part| part.u64());
    if let (Some(code), Some(length), Some(rip)) =
        (part("exitcode"), part("inst_length"), part("rip"))
    {
        let name = usize::try_from(code).ok().and_then(|code| EXITCODES.get(code)).unwrap_or(&"?");
        page.pair(
            "last exit",
            format!("{code} ({name}) at {rip:#x}, instruction of {length} bytes"),
        );
    }
}

/// `enum vm_exitcode`.
const EXITCODES: [&str; 26] = [
    "INOUT",
    "VMX",
    "BOGUS",
    "RDMSR",
    "WRMSR",
    "HLT",
    "MTRAP",
    "PAUSE",
    "PAGING",
    "INST_EMUL",
    "SPINUP_AP",
    "DEPRECATED1",
    "RENDEZVOUS",
    "IOAPIC_EOI",
    "SUSPENDED",
    "INOUT_STR",
    "TASK_SWITCH",
    "MONITOR",
    "MWAIT",
    "SVM",
    "REQIDLE",
    "DEBUG",
    "VMINSN",
    "BPT",
    "IPI",
    "DB",
];

/// An event whose delivery was broken off.
pub(super) fn event(info: u64) -> String {
    if info >> 31 & 1 == 0 {
        return if info == 0 { "none".to_owned() } else { format!("not valid: {info:#x}") };
    }
    let kind = match info >> 8 & 7 {
        0 => "external interrupt",
        2 => "NMI",
        3 => "exception",
        4 => "software interrupt",
        5 => "privileged software exception",
        6 => "software exception",
        _ => "of no known type",
    };
    let code =
        if info >> 11 & 1 == 1 { format!(", error code {:#x}", info >> 32) } else { String::new() };
    format!("{kind}, vector {:#x}{code}", info & 0xff)
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn an_event_says_what_and_which_vector() {
        assert_eq!(event(0), "none");
        assert_eq!(event(0x8000_0030), "external interrupt, vector 0x30");
        assert_eq!(event(0x2_8000_0b0e), "exception, vector 0xe, error code 0x2");
        assert_eq!(event(5), "not valid: 0x5");
    }
}
