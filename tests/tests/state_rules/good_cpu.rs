//! States of virtual CPUs that are legal, however rare: they pass.

use snapfmt::bhyve::Section;
use snapfmt::state::HostFacts;
use snapfmt::state::rules::{self, Machine, Missing, Needs};

use crate::cases::cpu::{both, cx, pae, protected, real_mode, vm86};
use crate::cases::cpu_host::{EPYC, XEON, good};
use crate::cases::{AMD, INTEL, INTEL_4, OLD_AMD, OLD_INTEL};
use crate::fixture::{Edit, Fixture, set};
use crate::good::passes;

fn all_pass(fixture: &str, states: Vec<(&str, Vec<Edit>)>) {
    for (what, edits) in states {
        passes(what, &Fixture::of(fixture).with(&edits), &[]);
    }
}

/// Where the guest goes on, in both records.
fn at(address: u64) -> Vec<Edit> {
    vec![cx("RIP", address), set("vm", "vcpu->nextrip", address)]
}

fn more(mut edits: Vec<Edit>, others: &[Edit]) -> Vec<Edit> {
    edits.extend_from_slice(others);
    edits
}

#[test]
fn every_mode_of_a_cpu_of_intel_passes() {
    let user = [cx("CS.access", 0xa0fb), cx("SS.access", 0xc0f3)];
    let compatible = [cx("CS.access", 0xc0fb), cx("SS.access", 0xc0f3)];
    let no_pae = [cx("CR0", 0x8000_0033), cx("CR4", 0x2010)];
    let entering = [cx("EFER", 0x100), cx("CR4", 0x2020)];
    all_pass(
        INTEL,
        vec![
            ("reset", real_mode()),
            ("real mode with a code segment", more(real_mode(), &[cx("CS.access", 0x9b)])),
            ("paging off", protected()),
            ("paging without PAE", more(protected(), &no_pae)),
            ("PAE paging", pae()),
            ("PAE paging with entries that are not present", more(pae(), &[cx("PDPTE3", !1)])),
            ("LME without paging", more(protected(), &entering)),
            ("a task of 16 bits", more(protected(), &[cx("TR.access", 0x83)])),
            ("virtual-8086 mode", vm86()),
            ("compatibility mode", more(at(0x804_8000), &compatible)),
            ("64-bit user mode", more(at(0x7fff_ffff_f000), &user)),
            ("conforming code", vec![cx("CS.access", 0xa09f)]),
        ],
    );
}

#[test]
fn what_else_a_guest_on_intel_may_do_passes() {
    all_pass(
        INTEL,
        vec![
            ("no stack segment", vec![cx("SS", 0), cx("SS.access", 0x1_0000)]),
            ("HLT", vec![cx("VMCS_GUEST_ACTIVITY", 1)]),
            ("after STI", vec![cx("VMCS_GUEST_INTERRUPTIBILITY", 1)]),
            ("after MOV SS", vec![cx("VMCS_GUEST_INTERRUPTIBILITY", 2), cx("RFLAGS", 2)]),
            ("in an NMI", vec![cx("VMCS_GUEST_INTERRUPTIBILITY", 8)]),
            ("page tables in the boot ROM", vec![cx("CR3", 0xffff_0000)]),
            ("PCID", vec![cx("CR3", 0x14d_a123), cx("CR4", 0x37_26e0)]),
            ("linear address masking", vec![cx("CR3", 1 << 62 | 0x14d_a000)]),
            ("shadow stacks", vec![cx("CR4", 0xb5_26e0)]),
            ("garbage where tables have no access rights", vec![cx("GDTR.access", 0xdead_beef)]),
            (
                "junk in what is unusable",
                vec![cx("LDTR", 0x34), cx("LDTR.access", 0xf_ff00 | 1 << 16)],
            ),
            ("a posted interrupt", vec![cx("pir_desc", 0xff).bytes(31, 1)]),
            ("no memory types", vec![cx("mtrr", 0).part("def_type")]),
        ],
    );
    all_pass(INTEL_4, vec![("page tables above 4 GiB", vec![cx("CR3", 0x1_3fff_f000).vcpu(1)])]);
}

/// What a CPU of AMD holds after a reset; in 2020 it is there twice.
fn reset_of_amd(older: bool) -> Vec<Edit> {
    let mut edits = at(0xfff0);
    for (old, new, value) in [
        ("vmcb->state.cr0", "CR0", 0x6000_0010),
        ("vmcb->state.cr3", "CR3", 0),
        ("vmcb->state.cr4", "CR4", 0),
        ("vmcb->state.efer", "EFER", 0x1000),
        ("vmcb->state.rflags", "RFLAGS", 2),
        ("vmcb->state.rip", "RIP", 0xfff0),
    ] {
        let [first, second] = both(old, new, value);
        edits.push(second);
        if older {
            edits.push(first);
        }
    }
    edits.extend([cx("CS", 0xf000), cx("CS.base", 0xffff_0000), cx("CS.limit", 0xffff)]);
    edits.extend([cx("CS.access", 0x9b), cx("SS.access", 0x93), cx("SS.limit", 0xffff)]);
    edits
}

#[test]
fn what_a_guest_on_amd_may_do_passes() {
    let window = [cx("vmcb.VIRQ[8]", 0x0110_0100), cx("vmcb.INST1_INTERCEPT[4]", 0xdc44_001f)];
    let options =
        [cx("vmcb.INST1_INTERCEPT[4]", 0xddc4_000f), cx("vmcb.EXC_INTERCEPT[4]", 0x4_0008)];
    all_pass(
        AMD,
        vec![
            ("reset", reset_of_amd(false)),
            ("HLT and PAUSE are caught, and breakpoints", options.to_vec()),
            ("waiting to inject", window.to_vec()),
            ("never run here", vec![cx("vcpu->lastcpu", 0xffff_ffff), cx("vcpu->asid.gen", 0)]),
            ("a flush to come", vec![cx("vmcb.TLB_CTRL[4]", 3)]),
            ("a segment loaded as null", vec![cx("DS.access", 0x1_0013), cx("DS.limit", 0x1234)]),
            ("features of Zen", vec![cx("EFER", 0x32_dd01)]),
        ],
    );
    all_pass(OLD_AMD, vec![("reset", reset_of_amd(true))]);
    // SYSRET leaves the DPL of SS alone.
    passes("after SYSRET", &Fixture::of(AMD).with(&[cx("vmcb.CPL[1]", 3)]), &["cpl-ss"]);
}

/// A copy in which a virtual CPU has only zeros in a record.
fn zeroed(fixture: &Fixture, family: &str, vcpu: u32) -> Fixture {
    let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
    let known = machine.family(family).next().unwrap();
    let mut kern = fixture.kern.clone();
    for field in known.fields.vcpu(vcpu).unwrap().iter() {
        let from = (known.record.entry.offset + field.offset()) as usize;
        kern[from..from + field.len() as usize].fill(0);
    }
    Fixture { meta: fixture.meta.clone(), kern }
}

/// What the slot of a virtual CPU holds that was only just made.
#[test]
fn a_virtual_cpu_that_was_never_started_passes() {
    let intel = zeroed(Fixture::of(INTEL_4), "vmcx", 3).with(&[
        cx("DR7", 0x400).vcpu(3),
        cx("VMCS_ENTRY_CTLS", 0x91ff).vcpu(3),
        cx("VMCS_EXIT_CTLS", 0x33_efff).vcpu(3),
        cx("vmxctx->guest_dr6", 0xffff_0ff0).vcpu(3),
        cx("vcpu->guest_msrs", 0x0007_0406_0007_0406).part("PAT").vcpu(3),
        set("vm", "vcpu->nextrip", 0).vcpu(3),
    ]);
    passes("Intel", &intel, &[]);
    let amd = zeroed(Fixture::of(AMD), "vmcx", 1).with(&[
        cx("DR6", 0xffff_0ff0).vcpu(1),
        cx("DR7", 0x400).vcpu(1),
        cx("EFER", 0x1000).vcpu(1),
        cx("vmcb.CR_INTERCEPT[4]", 0xfee2_fee2).vcpu(1),
        cx("vmcb.EXC_INTERCEPT[4]", 1 << 18).vcpu(1),
        cx("vmcb.INST1_INTERCEPT[4]", 0xdc44_000f).vcpu(1),
        cx("vmcb.INST2_INTERCEPT[4]", 0xd7d).vcpu(1),
        cx("vmcb.VIRQ[8]", 1 << 24).vcpu(1),
        cx("vmcb.NP_ENABLE[1]", 1).vcpu(1),
        cx("vmcb.GUEST_PAT[8]", 0x0007_0406_0007_0406).vcpu(1),
        cx("vcpu->nextrip", u64::MAX).vcpu(1),
        cx("vcpu->lastcpu", 0xffff_ffff).vcpu(1),
        set("vm", "vcpu->nextrip", 0).vcpu(1),
    ]);
    passes("AMD", &amd, &[]);
}

/// In 2020 the slots of virtual CPUs that the machine does not have are such: here it has them.
#[test]
fn a_virtual_cpu_of_2020_that_was_never_started_passes() {
    // It is a note, since `ncpus` may be wrong instead.
    let notes = ["lapic-never-started"; 3];
    for (name, waiting) in [(OLD_INTEL, 3), (OLD_AMD, 2)] {
        let mut fixture = Fixture::of(name).with(&[]);
        fixture.meta.vm.ncpus = 4;
        passes(name, &fixture, &notes[..waiting]);
        // Also if it is its registers alone that tell.
        let started = set("vlapic", "vlapic->boot_state", 2).vcpu(3);
        passes(name, &fixture.with(&[started]), &notes[..waiting - 1]);
    }
}

/// It would be reset before it runs, but what the host loads of it is loaded as it is.
#[test]
fn a_virtual_cpu_that_waits_is_held_to_what_harms_the_host_alone() {
    let waits = set("vm", "vm_->startup_cpus", 0b10).bytes(0, 1);
    let entry = cx("RFLAGS", 0).vcpu(1);
    let lstar = cx("vcpu->guest_msrs", 1 << 55).part("LSTAR").vcpu(1);
    let fixture = Fixture::of(INTEL_4);
    passes("RFLAGS", &fixture.with(&[waits.clone(), entry.clone()]), &[]);
    let report = fixture.with(&[waits, entry, lstar]).check(None, None);
    let rules: Vec<_> = report.failing().map(|finding| finding.rule.id).collect();
    assert_eq!(rules, ["msr-address"]);
}

/// Layouts that were only read about have the same rules: a state out of the newest is cut down.
#[test]
fn layouts_between_2020_and_14_are_ruled_alike() {
    let source = Fixture::of(INTEL);
    let machine = Machine::from_kern(&source.meta, &source.kern);
    let record = machine.family("vmcx").next().unwrap().record;
    let (head, rest) = record.bytes.split_at(432);
    let (pir, mtrr, context) = (&rest[..64], &rest[64..320], &rest[320..]);
    for (parts, id) in [
        (vec![head, context], "vmcx-intel-600"),
        (vec![head, pir, context], "vmcx-intel-664"),
        (vec![head, mtrr, context], "vmcx-intel-856"),
    ] {
        let mut fixture = source.with(&[]);
        let offset = fixture.kern.len() as u64;
        let bytes = parts.concat();
        let of_vmcx = |entry: &&mut snapfmt::bhyve::Record| {
            entry.section == Section::Kern && entry.name == "vmcx"
        };
        let entry = fixture.meta.records.iter_mut().find(of_vmcx).unwrap();
        (entry.offset, entry.size) = (offset, bytes.len() as u64);
        fixture.kern.extend(bytes);
        let layout = |fixture: &Fixture| {
            let machine = Machine::from_kern(&fixture.meta, &fixture.kern);
            machine.family("vmcx").next().unwrap().fields.layout().id
        };
        assert_eq!(layout(&fixture), id);
        passes(id, &fixture, &[]);
        let dr6 = fixture.with(&[cx("vmxctx->guest_dr6", 1 << 32)]).check(None, None);
        let rules: Vec<_> = dr6.failing().map(|finding| finding.rule.id).collect();
        assert_eq!(rules, ["dr6-vmx"], "{id}");
    }
}

#[test]
fn every_fixture_can_go_to_a_host_of_its_kind() {
    for (name, vendor) in [(INTEL, XEON), (INTEL_4, XEON), (OLD_INTEL, XEON), (AMD, EPYC)] {
        let report = Fixture::of(name).check(None, Some(&good(vendor)));
        assert_eq!(report.failing().count(), 0, "{name}");
        let host = report.not_checked.iter().filter(|not| not.rule.id.starts_with("host-"));
        assert_eq!(host.count(), 0, "{name}");
    }
}

/// Each fact that is missing is named, with the reason why, by each rule that needs it.
#[test]
fn facts_that_are_not_known_are_listed_and_not_passed() {
    let mut facts = HostFacts::new();
    facts.unknown.insert("entry_ctls".to_owned(), "MSRs are for root".to_owned());
    let mut named = Vec::new();
    for name in [INTEL, AMD] {
        let report = Fixture::of(name).check(None, Some(&facts));
        assert_eq!(report.failing().count(), 0);
        for not in &report.not_checked {
            if let Missing::Fact { name, why } = &not.why {
                assert_eq!(why == "MSRs are for root", *name == "entry_ctls");
                named.push(not.rule.id);
            }
        }
    }
    let needs = |rule: &&rules::Rule| rule.needs == Needs::Host && !rule.id.starts_with("lapic-");
    for rule in rules::all().filter(needs) {
        assert!(named.contains(&rule.id), "{}", rule.id);
    }
}
