//! Every byte of the kernel's records is ruled or argued, and neither is a mere claim.

use std::collections::BTreeSet;

use snapfmt::bhyve::Section;
use snapfmt::state::host::{Hex, HostFacts};
use snapfmt::state::rules::class::{self, ByteClass};
use snapfmt::state::rules::{self, Machine};

use crate::cases::cpu::{pae, vm86};
use crate::cases::cpu_host::{EPYC, XEON, good};
use crate::cases::{AMD, INTEL, OLD_AMD, OLD_INTEL};
use crate::fixture::{Edit, Fixture, new_findings, set, write};
use crate::scope::{RULED, device_layouts, ruled_layouts};

#[test]
fn every_byte_is_ruled_or_argued() {
    for layout in ruled_layouts() {
        let missing: Vec<_> = class::classes(layout)
            .into_iter()
            .filter(|run| run.class == ByteClass::Unclassed)
            .map(|run| format!("{} bytes of {} from {}", run.len, run.field.key(), run.at))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:#?}", layout.id);
        let (fixed, slot) = layout.size().unwrap();
        assert_eq!(class::tally(layout).all(), fixed + slot, "{}", layout.id);
    }
}

#[test]
fn every_byte_of_devices_is_ruled_or_argued() {
    for layout in device_layouts() {
        let runs = class::classes(layout).into_iter();
        let missing = runs.filter(|run| run.class == ByteClass::Unclassed);
        let missing: Vec<_> = missing.map(|run| (run.field.key(), run.at, run.len)).collect();
        assert!(missing.is_empty(), "{}: {missing:#?}", layout.id);
    }
}

#[test]
fn every_argument_is_needed() {
    let mut used = BTreeSet::new();
    for layout in snapfmt::state::layouts::all() {
        used.extend(class::classes(layout).into_iter().filter_map(|run| match run.class {
            ByteClass::Argued(_, because) => Some(because),
            _ => None,
        }));
    }
    let idle: Vec<_> = class::argued().filter(|argued| !used.contains(argued.because)).collect();
    assert!(idle.is_empty(), "{idle:#?}");
}

/// A machine in which more can go wrong: as many interrupts in service as there can be, a timer
/// that asserts one, a clock at the end of its days.
fn busy(name: &str, [initial, pin, date]: [u64; 3]) -> Fixture {
    let mut stack = [0_u8; 17];
    for priority in 1..16 {
        stack[usize::from(priority) + 1] = priority << 4;
    }
    stack[1] = 0x0f;
    let isr = |name| set("vlapic", "lapic", 0x1_0001).part(name);
    let count = set("vlapic", "lapic", 0x0123_4567).part("icr_timer");
    Fixture::of(name).with(&[
        write("vlapic", "vlapic->isrvec_stk", &stack),
        set("vlapic", "vlapic->isrvec_stk_top", 16),
        set("vlapic", "lapic", 0x1_8000).part("isr0"),
        isr("isr1"),
        isr("isr2"),
        isr("isr3"),
        isr("isr4"),
        isr("isr5"),
        isr("isr6"),
        isr("isr7"),
        count,
        set("vlapic", "ccr", 0x0123_4567),
        set("vhpet", "vhpet->isr", 1),
        set("vhpet", "vhpet->timer[i].cap_config", 0xff00_0000_0000_8012 | 24 << 9),
        set("vioapic", "vioapic->rtbl[i].reg", pin),
        set("vatpit", "channel->mode", 6),
        set("vatpit", "channel->initial", initial),
        set("vrtc", "vrtc->base_rtctime", date),
    ])
}

/// Machines in states that rules about virtual CPUs speak of, and hosts for them.
fn machines() -> Vec<(&'static str, Fixture, HostFacts)> {
    let intel = [1, 0x20, 0x3a_fff4_417f];
    let amd = [0x100, 0x1_0005, 0x3a_feff_ffff];
    let host = |vendor| HostFacts {
        physical_bits: Some(36),
        cr4: Some(Hex(0xbf_67ff)),
        cr4_fixed1: None,
        ..good(vendor)
    };
    let cx = |key, value| set("vmcx", key, value);
    let ldt = [cx("LDTR.access", 0x82), cx("LDTR.limit", 0xffff), cx("CR4", 0xb5_26e0)];
    let long_task = [
        cx("TR.access", 0x808b),
        cx("TR.limit", 0x2fff),
        cx("LDTR.access", 0x8082),
        cx("LDTR.limit", 0xfff),
    ];
    let ran_nowhere = |record| [set(record, "vcpu->lastcpu", u64::MAX)];
    let ran = |record| [set(record, "vcpu->asid.gen", 0)];
    let of = |name, edits: &[Edit]| Fixture::of(name).with(edits);
    let mut cramped = busy(INTEL, intel).with(&ldt);
    // Memory ends behind the page table.
    cramped.meta.vm.memsize = 0x14d_b000;
    let shadow_stacks = [cx("CR4", 0xb5_06e0)];
    let mut cramped_amd = busy(AMD, amd).with(&ran("vmcx")).with(&shadow_stacks);
    cramped_amd.meta.vm.memsize = 0x33b_b000;
    vec![
        (INTEL, cramped, host(XEON)),
        (AMD, cramped_amd, host(EPYC)),
        (OLD_INTEL, busy(OLD_INTEL, [1, 0x20, 0]), host(XEON)),
        (OLD_AMD, of(OLD_AMD, &ran("vmx")), host(EPYC)),
        ("virtual 8086 mode", of(INTEL, &[&vm86()[..], &long_task].concat()), host(XEON)),
        ("PAE paging", of(INTEL, &pae()), host(XEON)),
        ("not run", of(AMD, &ran_nowhere("vmcx")), host(EPYC)),
        ("not run, older", of(OLD_AMD, &ran_nowhere("vmx")), host(EPYC)),
    ]
}

/// Tries values in every byte of the first slot and of what is not per virtual CPU. A byte that is
/// ruled breaks, with some value on some machine, a rule that speaks of it; one that is argued
/// none.
#[test]
fn a_ruled_byte_can_break_its_rule_and_an_argued_byte_cannot() {
    const VALUES: [u8; 13] = [0xff, 0, 1, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 0xfe, 0x7f, 0x42];
    let (mut idle, mut busy_bytes, mut changes) = (BTreeSet::new(), BTreeSet::new(), 0_u32);
    for (name, mut fixture, host) in machines() {
        fixture.meta.records.retain(|record| RULED.contains(&record.name.as_str()));
        let before = fixture.check(None, Some(&host));
        for (at, class, what) in bytes(&fixture) {
            let was = fixture.kern[at];
            for value in VALUES.into_iter().filter(|value| *value != was) {
                if busy_bytes.contains(&what) {
                    break;
                }
                fixture.kern[at] = value;
                changes += 1;
                let after = fixture.check(None, Some(&host));
                let new = new_findings(&after, &before);
                let ByteClass::Ruled(rules) = &class else {
                    assert!(new.is_empty(), "{name}: {what} {value:#x}: {new:#?}");
                    continue;
                };
                idle.insert(what.clone());
                if new.iter().any(|finding| rules.contains(&finding.rule)) {
                    busy_bytes.insert(what.clone());
                }
            }
            fixture.kern[at] = was;
        }
    }
    let idle: Vec<_> = idle.difference(&busy_bytes).collect();
    assert!(idle.is_empty(), "{idle:#?}");
    assert!(changes > 20_000, "{changes}");
}

/// Bytes of `.kern` to be tried: where they are, what is known of them, and what they are.
fn bytes(fixture: &Fixture) -> Vec<(usize, ByteClass, String)> {
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let mut bytes = Vec::new();
    let ruled = |name: &str| RULED.contains(&name);
    for record in machine.records.iter().filter(|record| ruled(record.family)) {
        let fields = record.fields.as_ref().unwrap();
        let runs = class::classes(fields.layout());
        let mut seen: Vec<&str> = Vec::new();
        for run in runs {
            let key = run.field.key();
            if run.at == 0 {
                seen.push(key);
            }
            let nth = seen.iter().filter(|other| **other == key).count() as u32 - 1;
            let find = |vcpu| fields.find(key, vcpu, nth);
            let found = [None, Some(0)].into_iter().find_map(find);
            let field = found.unwrap();
            let long = matches!(run.class, ByteClass::Argued(..)) && run.len > 64;
            for at in (run.at..run.at + run.len).step_by(if long { 7 } else { 1 }) {
                let place = record.entry.offset + field.offset() + u64::from(at);
                // Layouts of one vendor have the same rules for the same field.
                let vendor = fields.layout().vendor;
                let what = format!("{} {vendor:?} {key} #{nth} byte {at:#x}", record.family);
                bytes.push((place as usize, run.class.clone(), what));
            }
        }
    }
    bytes
}

#[test]
fn rules_name_fields_and_parts_that_exist() {
    let covered = |records: &[&str], subject: &rules::Subject| {
        snapfmt::state::layouts::all()
            .filter(|layout| layout.names.iter().any(|name| records.contains(name)))
            .flat_map(|layout| layout.definitions())
            .filter(|definition| definition.field.key() == subject.key)
            .any(|definition| match subject.span {
                rules::Span::Part(name) => {
                    definition.field.inside.iter().any(|part| part.name == name)
                }
                rules::Span::Range(at, len) => {
                    definition.field.shape.fixed_len().is_some_and(|all| at + len <= all)
                }
                _ => true,
            })
    };
    for rule in rules::all() {
        for subject in rule.subjects {
            assert!(covered(rule.records, subject), "{}: {subject}", rule.id);
        }
    }
    for argued in class::argued() {
        for subject in argued.subjects {
            assert!(covered(argued.records, subject), "{subject}");
        }
    }
}

/// Tries values in every byte of devices that no rule restricts, where the field is first.
#[test]
fn an_argued_byte_of_a_device_breaks_no_rule() {
    let mut wrong = BTreeSet::new();
    let mut changes = 0_u32;
    for name in ["intel-1cpu-fbsd", "amd-2cpu-linux", "older-2020-amd-2cpu"] {
        let mut fixture = Fixture::of(name).with(&[]);
        fixture.meta.records.retain(|record| record.section == Section::Device);
        let before = fixture.check(None, None);
        for (at, what) in argued_bytes(&fixture) {
            let was = fixture.kern[at];
            for value in [0xff, 0, 1, 0x80].into_iter().filter(|value| *value != was) {
                fixture.kern[at] = value;
                changes += 1;
                let after = fixture.check(None, None);
                for finding in new_findings(&after, &before) {
                    wrong.insert((what, finding.rule.id));
                }
            }
            fixture.kern[at] = was;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(changes > 3_500, "{changes}");
}

/// Bytes of devices that are argued: where they are in `.kern`, and the field.
fn argued_bytes(fixture: &Fixture) -> Vec<(usize, &'static str)> {
    /// More of a long field are alike.
    const MOST: u32 = 32;
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let mut bytes = Vec::new();
    for record in &machine.records {
        let Ok(fields) = &record.fields else { continue };
        for run in class::classes(fields.layout()) {
            let ByteClass::Argued(..) = run.class else { continue };
            let key = run.field.key();
            let Some(field) = fields.iter().find(|field| field.definition() == run.field) else {
                continue;
            };
            let at = record.entry.offset + field.offset() + u64::from(run.at);
            let len = u64::from(run.len.min(MOST));
            bytes.extend((at..at + len).map(|at| (at as usize, key)));
        }
    }
    bytes
}
