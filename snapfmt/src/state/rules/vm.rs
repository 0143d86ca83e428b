//! Rules of the software state of virtual CPUs: `vm`.

use super::check::Check;
use super::class::{Argued, Class};
use super::finding::Spot;
use super::rule::{ANOTHER, Basis, Judge, Moment, Needs, NotRule, Rule, Severity, Subject, rule};
use super::{Chapter, canonical};
use crate::bhyve::records::Vendor;

const VM: &[&str] = &["vm"];
const XCR0: &str = "vcpu->guest_xcr0";
const INTINFO: &str = "vcpu->exitintinfo";

const X87: u64 = 1;
const SSE: u64 = 1 << 1;
const AVX: u64 = 1 << 2;
const MPX: u64 = 0b11 << 3;
const AVX512: u64 = 0b111 << 5;
const AMX: u64 = 0b11 << 17;

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vm`: software state of the virtual CPUs",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        moment: Moment::Entry,
        subjects: &[Subject::field(XCR0)],
        condition: "must have x87 (bit 0), AVX only with SSE, MPX (3, 4) whole or not at all, \
                    AVX-512 (5 to 7) whole and only with AVX, AMX (17, 18) whole, and nothing else",
        reason: "the host loads it with XSETBV before it enters the guest, and any other value \
                 raises #GP in the kernel",
        bhyve: "resumes; the first entry into the guest ends in \"general protection fault while \
                in kernel mode\"",
        source: "sys/amd64/vmm/vmm.c restore_guest_fpustate; \
                 Intel SDM vol. 1, \"Enabling the XSAVE Feature Set\"",
        judge: Judge::Number(xcr0),
        ..rule("xcr0-loadable", VM)
    },
    Rule {
        severity: Severity::Panic,
        moment: Moment::Entry,
        needs: Needs::Host,
        subjects: &[Subject::field(XCR0)],
        condition: "must have no bit that the CPU of the host lacks",
        reason: "the host loads it with XSETBV, which raises #GP for bits that the CPU lacks",
        bhyve: "resumes; the first entry into the guest ends in \"general protection fault while \
                in kernel mode\"",
        advice: "restore it on a host whose CPU has these features",
        source: "sys/amd64/vmm/vmm.c restore_guest_fpustate; \
                 Intel SDM vol. 1, \"Enabling the XSAVE Feature Set\"",
        judge: Judge::Relation(xcr0_of_host),
        ..rule("xcr0-host", VM)
    },
    Rule {
        subjects: &[Subject::field("vcpu->x2apic_state")],
        condition: "must be 0 (disabled) or 1 (enabled)",
        reason: "there are no other states",
        bhyve: "restores it; what follows depends on which of the two it is compared with",
        source: "sys/amd64/include/vmm.h enum x2apic_state",
        judge: Judge::Number(|state| state <= 1),
        ..rule("x2apic-state", VM)
    },
    Rule {
        subjects: &[Subject::field(INTINFO)],
        condition: "must be 0, or have bit 31 (valid), bits 30:12 clear, and vector 2 if it is an \
                    NMI",
        reason: "vmm keeps nothing else of an event",
        bhyve: "restores it; without bit 31 it is ignored, otherwise delivered",
        source: "sys/amd64/vmm/vmm.c vm_exit_intinfo",
        judge: Judge::Number(intinfo),
        ..rule("exitintinfo-form", VM)
    },
    Rule {
        severity: Severity::Panic,
        moment: Moment::Entry,
        vendor: Some(Vendor::Amd),
        subjects: &[Subject::field(INTINFO)],
        condition: "if valid, must be an interrupt (type 0), NMI (2), exception (3) with a vector \
                    below 32 and not 2, or INTn (4)",
        reason: "the kernel panics when it is to inject anything else",
        bhyve: "resumes; the first entry into the guest panics with \"invalid intr_type/vector\"",
        source: "sys/amd64/vmm/amd/svm.c svm_eventinject",
        judge: Judge::Number(|info| {
            let (kind, vector) = event(info);
            !valid(info) || matches!(kind, 0 | 2 | 4) || kind == 3 && vector < 32 && vector != 2
        }),
        ..rule("exitintinfo-svm", VM)
    },
    Rule {
        severity: Severity::Entry,
        vendor: Some(Vendor::Intel),
        subjects: &[Subject::field(INTINFO)],
        condition: "if valid, must be an event that can be injected: not type 1 or 7, and an \
                    exception only with a vector below 32",
        reason: "the CPU checks what is to be injected before it enters the guest",
        bhyve: "resumes; the first entry into the guest fails",
        source: "Intel SDM vol. 3, \"VM-Entry Control Fields\"",
        judge: Judge::Number(|info| {
            let (kind, vector) = event(info);
            !valid(info) || !matches!(kind, 1 | 7) && (kind != 3 || vector < 32)
        }),
        ..rule("exitintinfo-vmx", VM)
    },
    Rule {
        severity: Severity::Entry,
        subjects: &[Subject::field("vcpu->nextrip")],
        condition: "must be a canonical address",
        reason: "it becomes the guest's RIP, and the CPU does not enter a guest whose RIP is none",
        bhyve: "resumes; the first entry into the guest fails",
        source: "sys/amd64/vmm/vmm.c vm_run; \
                 Intel SDM vol. 3, \"Checks on Guest RIP, RFLAGS, and SSP\"",
        judge: Judge::Number(canonical),
        ..rule("nextrip-canonical", VM)
    },
    Rule {
        severity: Severity::Guest,
        basis: Basis::Unverified,
        needs: Needs::Records,
        records: &["vm", "vmcx"],
        subjects: &[Subject::field("vcpu->nextrip").only("vm-"), Subject::field("RIP")],
        condition: "must be RIP, or the instruction after it",
        reason: "it is what follows the instruction of the last exit, and takes the place of RIP",
        bhyve: "resumes the guest there, whatever RIP is",
        advice: "look at what stands at both addresses",
        source: "sys/amd64/vmm/vmm.c vm_run",
        judge: Judge::Relation(nextrip),
        ..rule("nextrip-rip", VM)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field("vm_->startup_cpus")],
        condition: "must have only virtual CPUs that exist, and not the first",
        reason: "a virtual CPU in it waits for its SIPI, which the first does not",
        bhyve: "restores it; such a virtual CPU stays where it is",
        advice: ANOTHER,
        source: "sys/amd64/vmm/vmm.c vm_await_start",
        judge: Judge::Relation(startup),
        ..rule("startup-cpus", VM)
    },
];

fn xcr0(value: u64) -> bool {
    let whole = |set: u64| matches!(value & set, 0) || value & set == set;
    value & X87 != 0
        && value & !(X87 | SSE | AVX | MPX | AVX512 | AMX) == 0
        && (value & AVX == 0 || value & SSE != 0)
        && (value & AVX512 == 0 || value & AVX != 0)
        && [MPX, AVX512, AMX].into_iter().all(whole)
}

fn xcr0_of_host(check: &mut Check<'_, '_>) {
    let Some(mask) = check.fact("xcr0", |host| host.xcr0.map(|mask| mask.0)) else { return };
    for (known, slot) in check.slots("vm") {
        if let Some(field) = slot.get(XCR0)
            && field.u64().is_some_and(|value| value & !mask != 0)
        {
            check.breaks(known.record, &field, &[("the host has", mask)]);
        }
    }
}

const fn valid(info: u64) -> bool {
    info >> 31 & 1 == 1
}

/// Type and vector of an event.
const fn event(info: u64) -> (u64, u64) {
    (info >> 8 & 7, info & 0xff)
}

fn intinfo(info: u64) -> bool {
    let (kind, vector) = event(info);
    info == 0 || valid(info) && info & 0x7fff_f000 == 0 && (kind != 2 || vector == 2)
}

fn nextrip(check: &mut Check<'_, '_>) {
    /// No instruction is longer.
    const LONGEST: u64 = 15;
    for (known, slot) in check.slots("vm") {
        let registers = check.machine().slot("vmcx", slot.index());
        if let Some(rip) = registers.and_then(|registers| registers.u64("RIP"))
            && let Some(field) = slot.get("vcpu->nextrip")
            && let Some(next) = field.u64()
            && next.wrapping_sub(rip) > LONGEST
        {
            check.breaks(known.record, &field, &[("RIP", rip)]);
        }
    }
}

fn startup(check: &mut Check<'_, '_>) {
    let ncpus = check.machine().ncpus as usize;
    for known in check.records("vm") {
        let Some(field) = known.fields.find("vm_->startup_cpus", None, 0) else { continue };
        for (at, byte) in (0..).zip(field.bytes()) {
            let bits = (0..8).filter(|bit| byte >> bit & 1 == 1);
            let mut cpus = bits.map(|bit| at * 8 + bit);
            if cpus.any(|cpu| cpu == 0 || cpu >= ncpus) {
                check.breaks_at(known.record, &field, Spot::bytes(at as u64, 1), &[]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VM,
        subjects: &[
            Subject::field("vcpu->exc_vector"),
            Subject::field("vcpu->exc_errcode_valid"),
            Subject::field("vcpu->exc_errcode"),
        ],
        class: Class::Free,
        because: "they belong to an exception that is pending, and whether there is one is not \
                  saved: after a restore there is none, and the next sets them",
    },
    Argued {
        records: VM,
        subjects: &[Subject::field("vcpu->exitinfo")],
        class: Class::Opaque,
        because: "what the last exit left behind; the next exit overwrites it before it is read",
    },
    Argued {
        records: VM,
        subjects: &[Subject::field("vcpu->tsc_offset"), Subject::field("tsc")],
        class: Class::Free,
        because: "the guest's time stamp counter, which a guest can set to anything on each of its \
                  virtual CPUs",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "vm vcpu->x2apic_state",
        fact: "must be what `-x` of the bhyve that restores says, or the local APIC is in the \
               other mode than the guest thinks",
        because: "that command line is not known here; `unpack` and the manual page say it",
    },
    NotRule {
        about: "vm vcpu->x2apic_state",
        fact: "is the same on all virtual CPUs",
        because: "older bhyve sets it when it starts a virtual CPU, so that those not yet started \
                  differ",
    },
    NotRule {
        about: "vm tsc",
        fact: "time stamp counters of virtual CPUs are close to each other",
        because: "guests may write them one by one, and the fixtures have arbitrary ones",
    },
    NotRule {
        about: "vm vcpu->exitinfo",
        fact: "the exit code is that of a stop for a snapshot",
        because: "nothing reads it before the next exit",
    },
    NotRule {
        about: "vm",
        fact: "registers of the FPU, SSE and AVX, a pending NMI, exception or ExtINT, and halted \
               virtual CPUs are restored",
        because: "bhyve does not save them: no value in a snapshot is right or wrong",
    },
];
