//! Local APICs.

use snapfmt::state::rules::HostFacts;

use super::{AMD, Case, INTEL, INTEL_4, OLD_AMD, OLD_INTEL, case};
use crate::fixture::{Edit, set, write};

const FRAC: &str = "vlapic->timer_freq_bt.frac";

pub(crate) fn cases() -> Vec<Case> {
    [registers(), service(), timer()].into_iter().flatten().collect()
}

/// Sets a register of the page.
fn reg(name: &'static str, value: u64) -> Edit {
    set("vlapic", "lapic", value).part(name)
}

/// Sets an entry of the vector table, in the page and in its copy.
fn lvt(own: &'static str, copy: &'static str, value: u64) -> [Edit; 2] {
    [reg(own, value), set("vlapic", "vlapic->lvt_last", value).part(copy)]
}

fn registers() -> Vec<Case> {
    let one = |rule, name, value| case(rule, INTEL, &[reg(name, value)]);
    let word = |at, value: u64| set("vlapic", "lapic", value).bytes(at, 4);
    vec![
        one("lapic-id", "id", 1),
        case("lapic-id", INTEL_4, &[reg("id", 3 << 24).vcpu(3)]),
        case(
            "lapic-id",
            OLD_AMD,
            &[
                set("vm", "vcpu->x2apic_state", 0).vcpu(1),
                {
                    // What the destination registers hold without x2APIC.
                    reg("ldr", 0).vcpu(1)
                },
                reg("dfr", 0xffff_ffff).vcpu(1),
            ],
        ),
        one("lapic-version", "version", 0x5_0010),
        one("lapic-version", "version", 0x6_0004),
        one("lapic-priority", "tpr", 0x100),
        one("lapic-priority", "ppr", 0x100),
        one("lapic-destination", "ldr", 0x0100_0001),
        one("lapic-destination", "dfr", 0),
        case("lapic-destination", AMD, &[reg("ldr", 4).vcpu(1)]),
        case("lapic-destination", AMD, &[reg("dfr", 1 << 28).vcpu(1)]),
        one("lapic-vectors", "irr0", 0x8000),
        case(
            "lapic-vectors",
            AMD,
            &[
                reg("isr0", 2),
                set("vlapic", "vlapic->isrvec_stk", 1).bytes(1, 1),
                set("vlapic", "vlapic->isrvec_stk_top", 1),
            ],
        ),
        one("lapic-errors", "esr", 0x100),
        case("lapic-errors", INTEL, &[set("vlapic", "vlapic->esr_pending", 1 << 31)]),
        case("lapic-lvt-bits", INTEL, &lvt("lvt_error", "ERROR", 0x1_01f0)),
        case("lapic-lvt-bits", OLD_INTEL, &lvt("lvt_timer", "TIMER", 0x10_00ef)),
        one("lapic-lvt-last", "lvt_lint0", 0x1_0000),
        case(
            "lapic-lvt-last",
            INTEL_4,
            &[set("vlapic", "vlapic->lvt_last", 0xff).part("CMCI").vcpu(2)],
        ),
        case("lapic-lvt-vector", INTEL, &lvt("lvt_error", "ERROR", 15)),
        one("lapic-icr-status", "icr_lo", 0x1000),
        one("lapic-unused", "eoi", 1),
        one("lapic-unused", "apr", 1),
        case("lapic-unused", AMD, &[word(0, 1).vcpu(1)]),
        case("lapic-unused", AMD, &[word(0x24, 1)]),
        case("lapic-unused", AMD, &[word(4092, 1 << 24)]),
        case("lapic-boot-state", OLD_INTEL, &[set("vlapic", "vlapic->boot_state", 1)]),
        case("lapic-boot-state", OLD_AMD, &[set("vlapic", "vlapic->boot_state", 3).vcpu(1)]),
        // AMD of 2020 has these registers twice.
        Case { also: &["svm-twice"], ..case("lapic-never-started", OLD_AMD, &never_started()) },
    ]
}

/// The second virtual CPU as it was made.
fn never_started() -> Vec<Edit> {
    vec![
        set("vlapic", "vlapic->boot_state", 0).vcpu(1),
        set("vmcx", "CR0", 0).vcpu(1),
        set("vmcx", "RFLAGS", 0).vcpu(1),
        set("vmcx", "EFER", 0x1000).vcpu(1),
    ]
}

/// A stack, and the vectors that ISR has.
fn in_service(stack: &[u8], top: u64, isr: &[u64]) -> Vec<Edit> {
    let mut edits = vec![
        write("vlapic", "vlapic->isrvec_stk", stack),
        set("vlapic", "vlapic->isrvec_stk_top", top),
    ];
    for vector in isr {
        // Other bits of the word are not needed.
        let at = 0x100 + (vector / 32 * 16) as usize;
        edits.push(set("vlapic", "lapic", 1 << (vector % 32)).bytes(at, 4));
    }
    edits
}

fn service() -> Vec<Case> {
    let facts =
        |delivery| HostFacts { virtual_interrupt_delivery: Some(delivery), ..HostFacts::new() };
    let by_cpu = || [in_service(&[0], 0, &[0x41]), vec![reg("ppr", 0x40)]].concat();
    vec![
        case("lapic-stack-top", INTEL, &in_service(&[0], 17, &[])),
        case("lapic-stack-top", OLD_AMD, &in_service(&[0], u64::MAX, &[0x41])),
        case("lapic-stack-base", AMD, &in_service(&[1], 0, &[])),
        case(
            "lapic-stack-order",
            INTEL,
            &[
                in_service(&[0, 0x41, 0x4f], 2, &[0x41]),
                vec![set("vlapic", "lapic", 1 << 1 | 1 << 15).part("isr2")],
            ]
            .concat(),
        ),
        case("lapic-stack-isr", INTEL, &in_service(&[0], 0, &[0x40])),
        case("lapic-stack-isr", AMD, &by_cpu()),
        case("lapic-stack-isr", AMD, &in_service(&[0, 0x41], 1, &[])),
        case("lapic-stack-isr", OLD_INTEL, &in_service(&[0, 0x41, 0x61], 2, &[0x41, 0x71])),
        case("lapic-isr-by-cpu", INTEL, &by_cpu()),
        Case { host: Some(facts(true)), ..case("lapic-isr-by-cpu", OLD_INTEL, &by_cpu()) },
        Case {
            host: Some(facts(false)),
            also: &["lapic-isr-by-cpu"],
            ..case("lapic-isr-host", INTEL, &by_cpu())
        },
    ]
}

fn timer() -> Vec<Case> {
    let frac = |rule, frac| case(rule, INTEL, &[set("vlapic", FRAC, frac)]);
    vec![
        frac("lapic-tick-zero", 0),
        frac("lapic-tick-zero", 1),
        case("lapic-tick-zero", OLD_INTEL, &[set("vlapic", FRAC, 0).vcpu(15)]),
        frac("lapic-tick", 1 << 38),
        case("lapic-tick", AMD, &[reg("dcr_timer", 0xb).vcpu(1)]),
        case("lapic-tick-seconds", OLD_AMD, &[set("vlapic", "vlapic->timer_freq_bt.sec", 1)]),
        case("lapic-count", INTEL, &[set("vlapic", "ccr", 0xffff_ffff)]),
    ]
}
