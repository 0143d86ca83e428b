//! Good states pass: what real machines write, what manuals say of reset, what is legal and rare.

use proptest::prelude::*;
use snapfmt::state::rules::Machine;
use tests::fixtures::fixtures;

use crate::cases::{AMD, INTEL, INTEL_4, OLD_AMD, OLD_INTEL};
use crate::fixture::{Edit, Fixture, set, write};
use crate::machines::{with_devices, with_vcpus};

pub(crate) fn passes(what: &str, fixture: &Fixture, warnings: &[&str]) {
    let report = fixture.check(None, None);
    let failing: Vec<_> = report.failing().map(ToString::to_string).collect();
    assert!(failing.is_empty(), "{what}: {failing:#?}");
    let ours = report.warnings().map(|finding| finding.rule.id);
    let ours: Vec<_> = ours.filter(|id| !BY_HOST.contains(id)).collect();
    assert_eq!(ours, warnings, "{what}");
}

/// Warnings about what belongs to the host that wrote a snapshot: every snapshot has them.
const BY_HOST: [&str; 0] = [];

#[test]
fn no_fixture_fails_and_none_warns_but_of_its_host() {
    for name in fixtures() {
        passes(name, Fixture::of(name), &[]);
    }
}

/// What is in the slot of a virtual CPU that was only just made.
fn fresh_vcpu() -> Vec<Edit> {
    let reg = |name, value| set("vlapic", "lapic", value).part(name);
    let mut edits = vec![
        write("vlapic", "lapic", &[0; 4096]),
        reg("version", 0x6_0010),
        reg("dfr", 0xffff_ffff),
        reg("svr", 0xff),
        write("vlapic", "vlapic->lvt_last", &[0, 0, 1, 0].repeat(7)),
        set("vlapic", "vlapic->timer_freq_bt.frac", 1 << 38),
        set("vlapic", "ccr", 0),
        set("vm", "vcpu->guest_xcr0", 1),
        set("vm", "vcpu->nextrip", 0xfff0),
        set("vmcx", "RIP", 0xfff0),
    ];
    let lvts = [
        "lvt_lint0",
        "lvt_lint1",
        "lvt_timer",
        "lvt_error",
        "lvt_pcint",
        "lvt_thermal",
        "lvt_cmci",
    ];
    edits.extend(lvts.map(|name| reg(name, 0x1_0000)));
    edits
}

/// What the other records of the kernel hold then.
fn fresh_machine() -> Vec<Edit> {
    let mut edits = fresh_vcpu();
    for timer in 0..8 {
        let key = |field| Edit::nth(set("vhpet", field, 0), timer);
        edits.push(set("vhpet", "vhpet->timer[i].cap_config", 0xff00_0000_0000_8010).nth(timer));
        edits.push(key("vhpet->timer[i].comprate"));
    }
    edits.push(set("vhpet", "vhpet->config", 0));
    edits.push(set("vhpet", "vhpet->isr", 0));
    for pin in 0..32 {
        edits.push(set("vioapic", "vioapic->rtbl[i].reg", 0x0001_0000_0001_0000).nth(pin));
        edits.push(set("vioapic", "vioapic->rtbl[i].acnt", 0).nth(pin));
    }
    for channel in 0..3 {
        edits.push(set("vatpit", "channel->mode", 0).nth(channel));
        edits.push(set("vatpit", "channel->initial", 0).nth(channel));
    }
    for pic in 0..2 {
        for key in ["atpic->ready", "atpic->rd_cmd_reg", "atpic->irq_base", "atpic->lowprio"] {
            edits.push(set("vatpic", key, 0).nth(pic));
        }
    }
    edits.push(set("vrtc", "vrtc->addr", 13));
    edits.push(set("vrtc", "vrtc->base_rtctime", 0));
    edits
}

#[test]
fn a_machine_that_was_only_just_made_passes() {
    for name in [INTEL, OLD_INTEL] {
        passes(name, &Fixture::of(name).with(&fresh_machine()), &[]);
    }
}

#[test]
fn virtual_cpus_that_wait_for_their_sipi_pass() {
    let reg = |name, value| set("vlapic", "lapic", value).part(name).vcpu(1);
    // INIT resets the local APIC to the values of the other mode.
    let init = [
        set("vm", "vm_->startup_cpus", 2).bytes(0, 1),
        reg("ldr", 0),
        reg("dfr", 0xffff_ffff),
        set("vm", "vcpu->nextrip", 0xfff0).vcpu(1),
        set("vmcx", "RIP", 0xfff0).vcpu(1),
    ];
    passes("newer", &Fixture::of(INTEL_4).with(&init), &[]);
    passes("newer", &Fixture::of(AMD).with(&init), &[]);
    for state in [0, 1] {
        let waiting = set("vlapic", "vlapic->boot_state", state).vcpu(1);
        passes("older", &Fixture::of(OLD_AMD).with(&[waiting]), &[]);
    }
}

#[test]
fn interrupts_in_service_pass() {
    let service = [
        write("vlapic", "vlapic->isrvec_stk", &[0, 0x41, 0x5f, 0xef, 0x77]),
        set("vlapic", "vlapic->isrvec_stk_top", 3),
        set("vlapic", "lapic", 1 << 1 | 1 << 31).part("isr2"),
        set("vlapic", "lapic", 1 << 15).part("isr7"),
    ];
    for name in fixtures() {
        passes(name, &Fixture::of(name).with(&service), &[]);
    }
}

/// A CPU that delivers interrupts itself keeps ISR and PPR, and nobody the stack.
#[test]
fn interrupts_in_service_without_the_stack_pass_with_a_warning_on_intel() {
    let service = [
        set("vlapic", "lapic", 1 << 1).part("isr2"),
        set("vlapic", "lapic", 1 << 15).part("isr7"),
        set("vlapic", "lapic", 0xe0).part("ppr"),
    ];
    passes("PPR by ISR", &Fixture::of(INTEL).with(&service), &["lapic-isr-by-cpu"]);
    let by_tpr = [
        set("vlapic", "lapic", 1 << 1).part("isr2"),
        set("vlapic", "lapic", 0x4f).part("tpr"),
        set("vlapic", "lapic", 0x4f).part("ppr"),
    ];
    passes("PPR by TPR", &Fixture::of(INTEL).with(&by_tpr), &["lapic-isr-by-cpu"]);
}

#[test]
fn what_is_legal_and_rare_passes() {
    let states: [(&str, &[Edit]); 12] = [
        ("AVX-512", &[set("vm", "vcpu->guest_xcr0", 0xe7)]),
        ("MPX without AVX", &[set("vm", "vcpu->guest_xcr0", 0x19)]),
        ("AMX", &[set("vm", "vcpu->guest_xcr0", 0x6_00e7)]),
        ("real mode", &[set("vm", "vcpu->nextrip", 0x7c00), set("vmcx", "RIP", 0x7c00)]),
        ("an instruction later", &[set("vm", "vcpu->nextrip", 0x7c0f), set("vmcx", "RIP", 0x7c00)]),
        ("an interrupt broken off", &[set("vm", "vcpu->exitintinfo", 1 << 31 | 0x41)]),
        (
            "a page fault broken off",
            &[set("vm", "vcpu->exitintinfo", 7 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 14)],
        ),
        (
            "a halted clock",
            &[set("vrtc", "vrtc->base_rtctime", u64::MAX), set("vrtc", "vrtc->rtcdev.reg_b", 0x82)],
        ),
        ("no date", &[write("vrtc", "vrtc->rtcdev.month", &[0xff])]),
        (
            "a PIC half way through",
            &[set("vatpic", "atpic->ready", 0), set("vatpic", "atpic->icw_num", 3)],
        ),
        (
            "an HPET that interrupts by level",
            &[
                set("vhpet", "vhpet->isr", 1),
                set("vhpet", "vhpet->timer[i].cap_config", 0xff00_0000_0000_8016 | 31 << 9),
            ],
        ),
        ("a newer local APIC", &[set("vlapic", "lapic", 0x6_0014).part("version")]),
    ];
    for name in [INTEL, AMD, OLD_INTEL] {
        for (what, edits) in states {
            passes(what, &Fixture::of(name).with(edits), &[]);
        }
    }
}

#[test]
fn one_to_32_virtual_cpus_pass() {
    for vcpus in [1, 2, 3, 15, 16, 17, 32] {
        let fixture = with_vcpus(vcpus);
        assert_eq!(Machine::from_kern(&fixture.meta, &fixture.kern).unknown().count(), 0);
        passes(&format!("{vcpus} virtual CPUs"), &fixture, &[]);
    }
}

#[test]
fn what_breaks_a_rule_in_many_places_is_listed_so_often_and_counted() {
    let mut fixture = with_vcpus(32);
    for vcpu in 0..32 {
        fixture = fixture.with(&[set("vm", "vcpu->guest_xcr0", 0).vcpu(vcpu)]);
    }
    let report = fixture.check(None, None);
    assert_eq!(report.findings.len(), 16);
    let more: Vec<_> = report.more.iter().map(|(rule, count)| (rule.id, *count)).collect();
    assert_eq!(more, [("xcr0-loadable", 16)]);
}

#[test]
fn a_record_of_unknown_layout_is_listed_with_the_rules_that_are_not_checked() {
    let mut fixture = Fixture::of(INTEL).with(&[]);
    let record = fixture.meta.records.iter_mut().find(|record| record.name == "vrtc").unwrap();
    record.size -= 1;
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let unknown: Vec<_> = machine.unknown().map(|(record, _)| record.family).collect();
    assert_eq!(unknown, ["vrtc"]);
    let report = fixture.check(None, None);
    let ours = report.not_checked.iter().map(ToString::to_string);
    let ours: Vec<_> = ours.filter(|line| line.starts_with("rtc-")).collect();
    assert_eq!(ours.len(), 6);
    assert_eq!(ours[0], "rtc-far-date: the fields of kern record vrtc are not known");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rules_never_panic(
        name in prop::sample::select(vec![INTEL, AMD, OLD_INTEL, OLD_AMD]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 8]>()), 1..40),
        ncpus in prop::sample::select(vec![0, 1, 2, 16, 17, u32::MAX]),
        own in any::<bool>(),
    ) {
        let mut fixture = Fixture::of(name).with(&[]);
        let len = fixture.kern.len();
        for (index, bytes) in changes {
            let at = index.index(len - bytes.len());
            fixture.kern[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        if !own {
            fixture.meta.vm.ncpus = ncpus;
        }
        let report = fixture.check(None, None);
        prop_assert!(report.findings.iter().all(|f| !f.to_string().contains('\n')));
    }
}

/// Prints what a check costs: `cargo test --release -p tests --test state_rules -- --ignored cost`.
#[test]
#[ignore = "prints times, judges nothing"]
fn cost_of_16_virtual_cpus_and_30_devices() {
    let fixture = with_devices(with_vcpus(16), 30);
    let rounds = 200;
    let begin = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(Machine::from_kern(&fixture.meta, &fixture.kern));
    }
    let decode = begin.elapsed() / rounds;
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let begin = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(snapfmt::state::rules::check(&machine, None, None));
    }
    println!("decode {decode:?}, check {:?}, {} records", begin.elapsed() / rounds, {
        machine.records.len()
    });
}
