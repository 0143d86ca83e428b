//! The local APICs: `vlapic`.

use snapfmt::state::{FieldRef, Scope};

use super::View;
use super::bits::{APIC_ERRORS, register};
use super::page::Page;
use super::words::{self, hertz, span, vectors};

/// What the timer counts at, divided by 1: `LAPIC_TIMER_DEF` of vmm.
const BUS: u64 = 128 << 20;

/// Shows all local APICs.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    for (vcpu, slot) in view.slots() {
        page.head(&format!("vcpu {vcpu}"));
        let Some(lapic) = Lapic::of(slot) else { continue };
        lapic.render(view.machine.x2apic(vcpu), slot, page);
    }
    view.unused(page);
}

/// One local APIC.
#[derive(Clone, Copy)]
pub(super) struct Lapic<'f, 'a> {
    page: FieldRef<'f, 'a>,
    slot: Scope<'f, 'a>,
}

impl<'f, 'a> Lapic<'f, 'a> {
    pub(super) fn of(slot: Scope<'f, 'a>) -> Option<Self> {
        Some(Self { page: slot.get("lapic")?, slot })
    }

    fn register(self, name: &str) -> u64 {
        self.page.part(name).and_then(|part| part.u64()).unwrap_or_default()
    }

    /// The vectors of eight registers: `irr`, `isr`, `tmr`.
    pub(super) fn vectors(self, prefix: &str) -> Vec<u64> {
        let bits = |number: u64| {
            let value = self.register(&format!("{prefix}{number}"));
            words::bits(value).map(move |bit| number * 32 + bit)
        };
        (0..8).flat_map(bits).collect()
    }

    /// Whether it takes interrupts.
    pub(super) fn enabled(self) -> bool {
        self.register("svr") >> 8 & 1 == 1
    }

    /// What the timer does; nothing if it is off.
    pub(super) fn timer(self) -> Option<String> {
        let initial = self.register("icr_timer");
        let lvt = self.register("lvt_timer");
        let mode = match lvt >> 17 & 3 {
            0 => "one-shot",
            1 => "periodic",
            2 => "TSC-deadline",
            _ => "of no known mode",
        };
        if initial == 0 {
            return None;
        }
        let rate = BUS / self.divisor();
        let current = self.slot.u64("ccr").unwrap_or_default();
        let of = span(initial, rate);
        let masked = if lvt >> 16 & 1 == 1 { ", masked" } else { "" };
        Some(format!("{mode}, {} left of {of}{masked}", span(current, rate)))
    }

    fn divisor(self) -> u64 {
        let register = self.register("dcr_timer");
        let shift = (register & 3 | register >> 1 & 4).wrapping_add(1) & 7;
        1 << shift
    }

    fn render(self, x2apic: Option<bool>, slot: Scope<'_, '_>, page: &mut Page) {
        let id = self.register("id");
        let identity = match x2apic {
            Some(true) => format!("id {id:#x}, x2APIC"),
            Some(false) => format!("id {:#x}, xAPIC", id >> 24),
            None => format!("id register {id:#x}; whether xAPIC or x2APIC, only `vm` tells"),
        };
        let spurious = self.register("svr");
        let on = if self.enabled() { "enabled" } else { "disabled by SVR" };
        page.pair(
            "local APIC",
            format!("{identity}, {on}, spurious vector {:#x}", spurious & 0xff),
        );
        let (ldr, dfr) = (self.register("ldr"), self.register("dfr"));
        page.pair("logical", format!("LDR {ldr:#x}, DFR {dfr:#x}"));
        let (tpr, ppr) = (self.register("tpr"), self.register("ppr"));
        page.pair("priority", format!("TPR {tpr:#x}, PPR {ppr:#x}"));
        page.pair("pending", vectors(&self.vectors("irr")));
        page.pair("in service", self.in_service(slot));
        page.pair("level", vectors(&self.vectors("tmr")));
        self.render_timer(page);
        for (name, lvt) in [
            ("LVT timer", "lvt_timer"),
            ("LVT LINT0", "lvt_lint0"),
            ("LVT LINT1", "lvt_lint1"),
            ("LVT error", "lvt_error"),
            ("LVT perf", "lvt_pcint"),
            ("LVT therm", "lvt_thermal"),
            ("LVT CMCI", "lvt_cmci"),
        ] {
            page.pair(name, entry(self.register(lvt)));
        }
        let (low, high) = (self.register("icr_lo"), self.register("icr_hi"));
        page.pair("last IPI", format!("ICR {low:#x}, destination {high:#x}"));
        let pending = slot.u64("vlapic->esr_pending").unwrap_or_default();
        let errors = register(self.register("esr"), APIC_ERRORS);
        page.pair(
            "errors",
            format!("{errors}; not yet latched: {}", register(pending, APIC_ERRORS)),
        );
        let boot = slot.u64("vlapic->boot_state").map(|state| match state {
            0 => "INIT".to_owned(),
            1 => "SIPI".to_owned(),
            2 => "RUNNING".to_owned(),
            other => other.to_string(),
        });
        page.some("boot state", boot);
    }

    fn render_timer(self, page: &mut Page) {
        let divisor = self.divisor();
        let rate = hertz(BUS / divisor);
        let initial = self.register("icr_timer");
        let current = self.slot.u64("ccr").unwrap_or_default();
        let counts = format!("count {current} of {initial}, divided by {divisor}: {rate}");
        let words = self.timer().unwrap_or_else(|| "off".to_owned());
        page.pair("timer", format!("{words}; {counts}"));
    }

    /// The vectors in service, and the stack of them that vmm keeps beside.
    fn in_service(self, slot: Scope<'_, '_>) -> String {
        let own = self.vectors("isr");
        let top = slot.i64("vlapic->isrvec_stk_top").unwrap_or_default();
        let stack = slot.bytes("vlapic->isrvec_stk").unwrap_or_default();
        let used = usize::try_from(top).unwrap_or_default().min(stack.len().saturating_sub(1));
        let stacked: Vec<_> =
            stack.iter().skip(1).take(used).map(|byte| u64::from(*byte)).collect();
        if stacked == own && top >= 0 && usize::try_from(top).is_ok_and(|top| top == used) {
            return vectors(&own);
        }
        format!("{}; but the stack has {} of {top}", vectors(&own), vectors(&stacked))
    }
}

/// An entry of the local vector table.
fn entry(value: u64) -> String {
    let mode = match value >> 8 & 7 {
        0 => "fixed",
        2 => "SMI",
        4 => "NMI",
        5 => "INIT",
        7 => "ExtINT",
        _ => "of no known mode",
    };
    let mut words = vec![format!("vector {:#x}", value & 0xff), mode.to_owned()];
    for (bit, word) in [(15, "level"), (13, "active low"), (14, "remote IRR"), (12, "pending")] {
        if value >> bit & 1 == 1 {
            words.push(word.to_owned());
        }
    }
    if value >> 16 & 1 == 1 {
        words.push("masked".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn an_entry_is_a_sentence() {
        assert_eq!(entry(0x1_0000), "vector 0x0, fixed, masked");
        assert_eq!(entry(0x700), "vector 0x0, ExtINT");
        assert_eq!(entry(0x2_00ef), "vector 0xef, fixed");
        assert_eq!(entry(0x400 | 1 << 15), "vector 0x0, NMI, level");
    }
}
