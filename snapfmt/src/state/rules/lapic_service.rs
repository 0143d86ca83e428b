//! Rules of the interrupts that local APICs have in service: ISR, and the stack that follows it.

use super::Chapter;
use super::check::Check;
use super::finding::Spot;
use super::rule::{Basis, Judge, Needs, NotRule, Rule, Severity, Subject, rule};
use super::vlapic::{PAGE, VLAPIC, register};
use crate::bhyve::records::Vendor;
use crate::state::{FieldRef, Scope};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vlapic`: interrupts in service",
    rules: RULES,
    argued: &[],
    not_rules: NOT_RULES,
};

const STACK: &str = "vlapic->isrvec_stk";
const TOP: &str = "vlapic->isrvec_stk_top";

const ISR: [&str; 8] = ["isr0", "isr1", "isr2", "isr3", "isr4", "isr5", "isr6", "isr7"];

const STACK_AND_ISR: &[Subject] = &[
    Subject::field(STACK),
    Subject::field(TOP),
    Subject::part(PAGE, "isr0"),
    Subject::part(PAGE, "isr1"),
    Subject::part(PAGE, "isr2"),
    Subject::part(PAGE, "isr3"),
    Subject::part(PAGE, "isr4"),
    Subject::part(PAGE, "isr5"),
    Subject::part(PAGE, "isr6"),
    Subject::part(PAGE, "isr7"),
];

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(TOP)],
        condition: "must be 0 to 16",
        reason: "it is an index into 17 bytes, and is not checked",
        bhyve: "restores it; the next look for an interrupt reads kernel memory outside, or \
                panics, and the next interrupt writes there",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_update_ppr, vlapic_intr_accepted",
        judge: Judge::Number(|top| top <= 16),
        ..rule("lapic-stack-top", VLAPIC)
    },
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::range(STACK, 0, 1)],
        condition: "must begin with a 0",
        reason: "the kernel checks it whenever nothing is in service",
        bhyve: "restores it; the next look for an interrupt panics with \"isrvec_stk is \
                corrupted\"",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_update_ppr",
        judge: Judge::Number(|first| first == 0),
        ..rule("lapic-stack-base", VLAPIC)
    },
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(STACK), Subject::field(TOP)],
        condition: "must rise in priority (bits 7:4) from each vector to the next",
        reason: "an interrupt is interrupted by one of higher priority only, and the kernel \
                 checks it",
        bhyve: "restores it; the next look for an interrupt panics with \"isrvec_stk does not \
                satisfy invariant\"",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_update_ppr",
        judge: Judge::Relation(|check| each(check, |service| !service.rises())),
        ..rule("lapic-stack-order", VLAPIC)
    },
    Rule {
        severity: Severity::Panic,
        subjects: STACK_AND_ISR,
        condition: "must have the vectors that are set in ISR, in their order",
        reason: "the kernel checks that each vector in ISR is on the stack; one that is on the \
                 stack alone comes to that with the next interrupt",
        bhyve: "restores it; the next look for an interrupt, or the one after the next interrupt, \
                panics with \"ISR and isrvec_stk out of sync\"",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_update_ppr, vlapic_intr_accepted",
        judge: Judge::Relation(|check| {
            each(check, |service| !service.in_step() && !service.by_cpu());
        }),
        ..rule("lapic-stack-isr", VLAPIC)
    },
    Rule {
        severity: Severity::Panic,
        basis: Basis::Unverified,
        vendor: Some(Vendor::Intel),
        subjects: STACK_AND_ISR,
        condition: "must have the vectors that are set in ISR, unless the CPU delivers interrupts",
        reason: "it looks like what a host with virtual interrupt delivery writes, where the CPU \
                 keeps ISR and PPR and nobody keeps the stack; any other host panics",
        bhyve: "restores it; a host without virtual interrupt delivery panics with \"ISR and \
                isrvec_stk out of sync\", one with it when the guest halts before the interrupt \
                ends",
        advice: "restore it on a host whose sysctl hw.vmm.vmx.cap.virtual_interrupt_delivery is 1",
        source: "sys/amd64/vmm/intel/vmx.c vmx_modinit, vmx_inject_interrupts; \
                 sys/amd64/vmm/io/vlapic.c vlapic_update_ppr; Intel SDM vol. 3, \
                 \"Evaluation and Delivery of Virtual Interrupts\"",
        judge: Judge::Relation(|check| each(check, Service::by_cpu)),
        ..rule("lapic-isr-by-cpu", VLAPIC)
    },
    Rule {
        severity: Severity::Panic,
        needs: Needs::Host,
        vendor: Some(Vendor::Intel),
        subjects: STACK_AND_ISR,
        condition: "must have the vectors that are set in ISR, since this host needs the stack",
        reason: "the host does not use virtual interrupt delivery",
        bhyve: "restores it; the next look for an interrupt panics with \"ISR and isrvec_stk out \
                of sync\"",
        advice: "restore it on a host whose sysctl hw.vmm.vmx.cap.virtual_interrupt_delivery is 1",
        source: "sys/amd64/vmm/io/vlapic.c vlapic_update_ppr",
        judge: Judge::Relation(on_host),
        ..rule("lapic-isr-host", VLAPIC)
    },
];

/// What a local APIC has in service.
struct Service {
    /// The vectors that are set in ISR, as the kernel goes through them.
    isr: [u64; 8],
    stack: Vec<u8>,
    top: usize,
    tpr: u64,
    ppr: u64,
    intel: bool,
}

impl Service {
    /// Of a virtual CPU, unless the top of its stack is none.
    fn of(check: &Check<'_, '_>, slot: Scope<'_, '_>) -> Option<Self> {
        let page = slot.get(PAGE)?;
        let stack = slot.bytes(STACK)?.to_vec();
        let top = usize::try_from(slot.i64(TOP)?).ok()?;
        let (tpr, ppr) = (register(&page, "tpr"), register(&page, "ppr"));
        let intel = check.machine().vendor == Some(Vendor::Intel);
        (top < stack.len()).then(|| Self { isr: isr(&page), stack, top, tpr, ppr, intel })
    }

    fn vectors(&self) -> impl Iterator<Item = u64> {
        let set = |word: u64| (0..32).filter(move |bit| word >> bit & 1 == 1);
        (0..)
            .zip(self.isr)
            .flat_map(move |(number, word)| set(word).map(move |bit| number * 32 + bit))
    }

    fn used(&self) -> &[u8] {
        self.stack.get(1..=self.top).unwrap_or_default()
    }

    fn rises(&self) -> bool {
        self.used().iter().map(|vector| vector >> 4).is_sorted_by(|low, high| low < high)
    }

    fn in_step(&self) -> bool {
        self.vectors().eq(self.used().iter().map(|vector| u64::from(*vector)))
    }

    /// Whether it is as a CPU leaves it that delivers interrupts itself: with a PPR that follows
    /// from ISR, and with a stack that was never used.
    fn by_cpu(&self) -> bool {
        let Some(highest) = self.vectors().last() else { return false };
        let ppr = if self.tpr >> 4 >= highest >> 4 { self.tpr } else { highest & 0xf0 };
        let unused = self.top == 0 && self.stack.iter().all(|byte| *byte == 0);
        self.intel && unused && self.ppr == ppr
    }
}

fn isr(page: &FieldRef<'_, '_>) -> [u64; 8] {
    ISR.map(|name| register(page, name))
}

fn each(check: &mut Check<'_, '_>, bad: impl Fn(&Service) -> bool) {
    for (known, slot) in check.slots("vlapic") {
        let Some(service) = Service::of(check, slot).filter(&bad) else { continue };
        let Some(field) = slot.get(STACK) else { continue };
        let mut others = vec![("top", service.top as u64)];
        others.extend(service.vectors().take(4).map(|vector| ("ISR has", vector)));
        check.breaks_at(known.record, &field, Spot::whole(&field), &others);
    }
}

fn on_host(check: &mut Check<'_, '_>) {
    let name = "virtual_interrupt_delivery";
    if check.fact(name, |host| host.virtual_interrupt_delivery) == Some(false) {
        each(check, Service::by_cpu);
    }
}

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vlapic->isrvec_stk",
        fact: "is 0 above its top",
        because: "what has been in service stays there until it is overwritten",
    },
    NotRule {
        about: "lapic isr0 to isr7",
        fact: "ISR is empty at a snapshot",
        because: "a virtual CPU can be stopped in the middle of an interrupt handler",
    },
];
