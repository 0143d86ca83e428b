//! Rules of the registers of local APICs: `vlapic`. What is in service, and the timer, have files
//! of their own.

use super::Chapter;
use super::check::Check;
use super::class::{Argued, Class};
use super::finding::Spot;
use super::rule::{Judge, Needs, NotRule, Rule, Severity, Subject, rule};
use crate::state::{FieldRef, Scope};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vlapic`: registers of the local APICs",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

pub(super) const VLAPIC: &[&str] = &["vlapic"];
pub(super) const PAGE: &str = "lapic";
const LAST: &str = "vlapic->lvt_last";

/// Entries of the local vector table: in the page, in the copy, and the bits they can have.
const LVT: [(&str, &str, u64); 7] = [
    ("lvt_lint0", "LINT0", 0x1_f7ff),
    ("lvt_lint1", "LINT1", 0x1_f7ff),
    ("lvt_timer", "TIMER", 0xf_10ff),
    ("lvt_error", "ERROR", 0x1_10ff),
    ("lvt_pcint", "PMC", 0x1_17ff),
    ("lvt_thermal", "THERMAL", 0x1_17ff),
    ("lvt_cmci", "CMCI", 0x1_17ff),
];

const LVT_SUBJECTS: &[Subject] = &[
    Subject::part(PAGE, "lvt_lint0"),
    Subject::part(PAGE, "lvt_lint1"),
    Subject::part(PAGE, "lvt_timer"),
    Subject::part(PAGE, "lvt_error"),
    Subject::part(PAGE, "lvt_pcint"),
    Subject::part(PAGE, "lvt_thermal"),
    Subject::part(PAGE, "lvt_cmci"),
    Subject::field(LAST),
];

static RULES: &[Rule] = &[
    Rule {
        needs: Needs::Records,
        records: &["vlapic", "vm"],
        subjects: &[Subject::part(PAGE, "id"), Subject::field("vcpu->x2apic_state")],
        condition: "must be the number of the virtual CPU, in bits 31:24 if x2APIC is off",
        reason: "the guest cannot change it, and interrupts are sent by it",
        bhyve: "restores it; the guest reads another id than the one by which it is reached",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_get_id, vlapic_id_write_handler",
        judge: Judge::Relation(id),
        ..rule("lapic-id", VLAPIC)
    },
    Rule {
        subjects: &[Subject::part(PAGE, "version")],
        condition: "must be an integrated APIC (0x10 to 0x15) with seven entries in its vector \
                    table (6 in bits 23:16), and no other bits",
        reason: "it is a constant",
        bhyve: "restores it; the guest looks for entries that are not there",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_reset",
        judge: Judge::Number(|v| v & !0xff == 6 << 16 && matches!(v & 0xff, 0x10..=0x15)),
        ..rule("lapic-version", VLAPIC)
    },
    Rule {
        subjects: &[Subject::part(PAGE, "tpr").mask(!0xff), Subject::part(PAGE, "ppr").mask(!0xff)],
        condition: "must be below 256",
        reason: "a priority is a byte",
        bhyve: "restores it; interrupts are held back until the guest writes the register",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_set_tpr, vlapic_update_ppr",
        judge: Judge::Number(|priority| priority < 256),
        ..rule("lapic-priority", VLAPIC)
    },
    Rule {
        needs: Needs::Records,
        records: &["vlapic", "vm"],
        subjects: &[
            Subject::part(PAGE, "ldr"),
            Subject::part(PAGE, "dfr"),
            Subject::field("vcpu->x2apic_state"),
        ],
        condition: "must have LDR and DFR as the mode wants: with x2APIC the logical id, or 0 \
                    after INIT, and 0 or all ones; without, bits 23:0 of LDR clear and 27:0 of \
                    DFR set",
        reason: "the guest cannot write anything else",
        bhyve: "restores it; interrupts to logical destinations are lost",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_set_x2apic_state, vlapic_reset, \
                 vlapic_ldr_write_handler, vlapic_dfr_write_handler",
        judge: Judge::Relation(destination),
        ..rule("lapic-destination", VLAPIC)
    },
    Rule {
        subjects: &[Subject::range(PAGE, 0x100, 2), Subject::range(PAGE, 0x200, 2)],
        condition: "must have no vector below 16 requested (IRR) or in service (ISR)",
        reason: "there are no interrupts with such vectors",
        bhyve: "restores it; they are never delivered, or never end",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_set_intr_ready",
        judge: Judge::Number(|vectors| vectors == 0),
        ..rule("lapic-vectors", VLAPIC)
    },
    Rule {
        subjects: &[
            Subject::part(PAGE, "esr").mask(!0xff),
            Subject::field("vlapic->esr_pending").mask(!0xff),
        ],
        condition: "must have errors in bits 7:0 only",
        reason: "there are no others",
        bhyve: "restores it; the guest reads errors that it does not know",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_set_error, vlapic_esr_write_handler",
        judge: Judge::Number(|errors| errors < 256),
        ..rule("lapic-errors", VLAPIC)
    },
    Rule {
        subjects: LVT_SUBJECTS,
        condition: "must have bits only that an entry of the vector table can have",
        reason: "the kernel clears all others whenever the guest writes an entry",
        bhyve: "restores it; the guest reads the bits",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_lvt_write_handler",
        judge: Judge::Relation(lvt_bits),
        ..rule("lapic-lvt-bits", VLAPIC)
    },
    Rule {
        subjects: LVT_SUBJECTS,
        condition: "must be the same in the page of registers and in lvt_last",
        reason: "both are always written together; interrupts follow the second, the guest reads \
                 the first or the second",
        bhyve: "restores it; the timer and other sources do not do what the guest reads, and a \
                kernel with INVARIANTS panics when it does",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_lvt_write_handler, vlapic_read",
        judge: Judge::Relation(lvt_last),
        ..rule("lapic-lvt-last", VLAPIC)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field(LAST)],
        condition: "must have a vector of 16 or above where it is not masked and delivered as such",
        reason: "there are no interrupts with lower vectors",
        bhyve: "restores it; such interrupts become errors",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_fire_lvt",
        judge: Judge::Number(|lvt| lvt & 0x1_0000 != 0 || lvt & 0x700 != 0 || lvt & 0xff >= 16),
        ..rule("lapic-lvt-vector", VLAPIC)
    },
    Rule {
        subjects: &[Subject::part(PAGE, "icr_lo").mask(1 << 12)],
        condition: "must have the delivery status of ICR (bit 12) clear",
        reason: "the kernel clears it whenever the guest writes the register",
        bhyve: "restores it; the guest may wait for ever until its interrupt is delivered",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_icrlo_write_handler",
        judge: Judge::Number(|icr| icr & 1 << 12 == 0),
        ..rule("lapic-icr-status", VLAPIC)
    },
    Rule {
        subjects: &[Subject::part(PAGE, "apr"), Subject::part(PAGE, "eoi"), Subject::rest(PAGE)],
        condition: "must be 0 where the page has no register, or one that is never written",
        reason: "the page is zeroed when it is made, and nothing writes there",
        bhyve: "restores it; the guest reads 0 or what is there",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_reset, vlapic_write",
        judge: Judge::Relation(unused),
        ..rule("lapic-unused", VLAPIC)
    },
    Rule {
        subjects: &[Subject::field("vlapic->boot_state")],
        condition: "must be 0 (INIT), 1 (SIPI) or 2 (RUNNING), and 2 for the first virtual CPU",
        reason: "there are no other states, and nothing stops the first virtual CPU",
        bhyve: "restores it; the guest cannot start the virtual CPU",
        source: "sys/amd64/vmm/io/vlapic.c of FreeBSD 13, vlapic_icrlo_write_handler, vlapic_reset",
        judge: Judge::Relation(boot_state),
        ..rule("lapic-boot-state", VLAPIC)
    },
    Rule {
        severity: Severity::Guest,
        needs: Needs::Records,
        subjects: &[Subject::field("vlapic->boot_state")],
        condition: "must not be 0 (INIT) with registers that were never set",
        reason: "such a virtual CPU waits to be started, or `ncpus` is larger than it was: \
                 FreeBSD 13 writes sixteen slots whatever it is",
        bhyve: "restores as many virtual CPUs as `ncpus` says",
        source: "usr.sbin/bhyve/snapshot.c of FreeBSD 13; sys/amd64/vmm/io/vlapic.c vlapic_init",
        advice: "compare `ncpus` in .meta with the configuration of the virtual machine",
        judge: Judge::Relation(never_started),
        ..rule("lapic-never-started", VLAPIC)
    },
];

/// A register of the page.
pub(super) fn register(page: &FieldRef<'_, '_>, name: &str) -> u64 {
    page.part(name).and_then(|part| part.u64()).unwrap_or_default()
}

/// Whether a virtual CPU is in x2APIC mode, if its state is one of the two.
fn x2apic(check: &Check<'_, '_>, slot: Scope<'_, '_>) -> Option<bool> {
    let state = check.machine().slot("vm", slot.index())?.u64("vcpu->x2apic_state")?;
    (state <= 1).then_some(state == 1)
}

fn id(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some((page, x2apic)) = slot.get(PAGE).zip(x2apic(check, slot)) else { continue };
        let vcpu = slot.index();
        let wanted = if x2apic { vcpu } else { vcpu << 24 };
        if register(&page, "id") != u64::from(wanted) {
            let others = [("x2apic_state", x2apic.into())];
            check.breaks_at(known.record, &page, Spot::part(&page, "id"), &others);
        }
    }
}

fn destination(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some((page, x2apic)) = slot.get(PAGE).zip(x2apic(check, slot)) else { continue };
        let vcpu = u64::from(slot.index());
        let (ldr, dfr) = (register(&page, "ldr"), register(&page, "dfr"));
        let others = [("x2apic_state", x2apic.into())];
        let (ldr_good, dfr_good) = if x2apic {
            let logical = (vcpu >> 4) << 16 | 1 << (vcpu & 0xf);
            (ldr == logical || ldr == 0, matches!(dfr, 0 | 0xffff_ffff))
        } else {
            (ldr & 0xff_ffff == 0, dfr & 0xfff_ffff == 0xfff_ffff)
        };
        if !ldr_good {
            check.breaks_at(known.record, &page, Spot::part(&page, "ldr"), &others);
        }
        if !dfr_good {
            check.breaks_at(known.record, &page, Spot::part(&page, "dfr"), &others);
        }
    }
}

fn lvt_bits(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        for (key, field) in [(0, slot.get(PAGE)), (1, slot.get(LAST))] {
            let Some(field) = field else { continue };
            for (own, copy, mask) in LVT {
                let name = if key == 0 { own } else { copy };
                if register(&field, name) & !mask != 0 {
                    check.breaks_at(known.record, &field, Spot::part(&field, name), &[]);
                }
            }
        }
    }
}

fn lvt_last(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some((page, last)) = slot.get(PAGE).zip(slot.get(LAST)) else { continue };
        for (own, copy, _) in LVT {
            let (value, copied) = (register(&page, own), register(&last, copy));
            if value != copied {
                let others = [("in lvt_last", copied)];
                check.breaks_at(known.record, &page, Spot::part(&page, own), &others);
            }
        }
    }
}

/// Registers that are never written.
const NEVER: [&str; 2] = ["apr", "eoi"];

fn unused(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some(page) = slot.get(PAGE) else { continue };
        let mut at = 0;
        let used = page.definition().inside.iter().filter(|part| !NEVER.contains(&part.name));
        let ends = used.map(|part| (part.at, part.at + part.len));
        let whole = u32::try_from(page.len()).unwrap_or_default();
        for (start, end) in ends.chain([(whole, whole)]) {
            let gap = page.bytes().get(at as usize..start as usize).unwrap_or_default();
            if let Some(first) = gap.iter().position(|byte| *byte != 0) {
                let word = u64::from(at) + first as u64 / 4 * 4;
                check.breaks_at(known.record, &page, Spot::bytes(word, 4), &[("at", word)]);
            }
            at = end;
        }
    }
}

fn boot_state(check: &mut Check<'_, '_>) {
    /// Past INIT and SIPI.
    const RUNNING: u64 = 2;
    for (known, slot) in check.slots("vlapic") {
        let Some(field) = slot.get("vlapic->boot_state") else { continue };
        let good = match (slot.index(), field.u64()) {
            (0, state) => state == Some(RUNNING),
            (_, state) => state <= Some(RUNNING),
        };
        if !good {
            check.breaks(known.record, &field, &[]);
        }
    }
}

fn never_started(check: &mut Check<'_, '_>) {
    for (known, slot) in check.slots("vlapic") {
        let Some(field) = slot.get("vlapic->boot_state") else { continue };
        if slot.index() > 0 && field.u64() == Some(0) && check.machine().untouched(slot.index()) {
            check.breaks(known.record, &field, &[]);
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VLAPIC,
        subjects: &[
            Subject::part(PAGE, "tpr"),
            Subject::part(PAGE, "svr"),
            Subject::part(PAGE, "icr_lo"),
            Subject::part(PAGE, "icr_hi"),
            Subject::part(PAGE, "self_ipi"),
        ],
        class: Class::Free,
        because: "the guest writes it, and the kernel or the CPU keeps all bits",
    },
    Argued {
        records: VLAPIC,
        subjects: &[
            Subject::part(PAGE, "ppr"),
            Subject::part(PAGE, "esr"),
            Subject::field("vlapic->esr_pending"),
        ],
        class: Class::Free,
        because: "a byte that the kernel or the CPU sets, and that is set anew before it matters",
    },
    Argued {
        records: VLAPIC,
        subjects: &[Subject::range(PAGE, 0x180, 0x74)],
        class: Class::Free,
        because: "a bit for each vector, set by the guest in its I/O APIC; any vector can be \
                  level-triggered",
    },
    Argued {
        records: VLAPIC,
        subjects: &[Subject::range(PAGE, 0x200, 0x74)],
        class: Class::Free,
        because: "a bit for each vector from 16 on; any interrupt can be requested",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vlapic",
        fact: "svr_last and the APIC base agree with the page",
        because: "bhyve does not save them: after a restore they are those of a new machine, \
                  whatever is in the snapshot",
    },
    NotRule {
        about: "lapic svr, lvt_*",
        fact: "all entries of the vector table are masked while the APIC is disabled",
        because: "the kernel masks them when SVR changes from what it was, which a restore forgets",
    },
    NotRule {
        about: "lapic ppr",
        fact: "is the higher of TPR and the vector in service",
        because: "the kernel computes it before each use, and not whenever one of them changes",
    },
];
