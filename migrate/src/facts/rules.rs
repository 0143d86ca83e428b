//! The table: what is compared, and what a grade of it means.

use snapfmt::bhyve::records::Vendor;

use super::Pair;
use super::features::word;
use super::judge::{self, Judged};
use crate::stream::message::{Finding, Grade};

/// One thing that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name: that of the fact if there is one. It is also what a person accepts.
    pub subject: &'static str,
    /// What is compared.
    pub compared: &'static str,
    /// Why it is fine if it is the same.
    pub same: &'static str,
    /// Why a difference works, if one can.
    pub works: Option<&'static str>,
    /// Why a difference may fail, if one may.
    pub may_fail: Option<&'static str>,
    /// Why a difference is refused, if one is.
    pub refused: Option<&'static str>,
    /// Whether a person can go on although it is refused.
    pub overridable: bool,
    /// The vendor whose CPUs have it, if not all do.
    pub only: Option<Vendor>,
    /// Compares it.
    pub judge: fn(&Pair<'_>) -> Judged,
}

impl Rule {
    /// Whether there is anything to compare: not what neither CPU can have.
    #[must_use]
    pub fn applies(&self, pair: &Pair<'_>) -> bool {
        let [source, target] = [pair.source, pair.target].map(|host| host.facts.vendor());
        let without = |vendor: Option<Vendor>| vendor.is_some() && vendor != self.only;
        self.only.is_none() || !(without(source) && without(target))
    }

    /// Why something has a grade.
    #[must_use]
    pub fn reason(&self, grade: Grade) -> Option<&'static str> {
        match grade {
            Grade::Same => Some(self.same),
            Grade::Works => self.works,
            Grade::MayFail => self.may_fail,
            Grade::Refused => self.refused,
        }
    }

    /// The finding for what was judged.
    pub(super) fn finding(&self, subject: String, judged: Judged) -> Finding {
        let Judged { grade, source, target, detail, known } = judged;
        // What is not known needs no other reason.
        let reason = self.reason(grade).filter(|_| known);
        let words = detail.into_iter().chain(reason.map(str::to_owned));
        let reason = words.collect::<Vec<_>>().join(": ");
        let overridable = grade == Grade::Refused && self.overridable;
        let option = overridable.then(|| subject.clone());
        Finding { subject, grade, source, target, reason, option }
    }
}

/// Of which the others are made.
const RULE: Rule = Rule {
    subject: "",
    compared: "",
    same: "both hosts have the same",
    works: None,
    may_fail: None,
    refused: None,
    overridable: true,
    only: None,
    judge: |_| Judged { grade: Grade::Same, source: None, target: None, detail: None, known: true },
};

/// A word of features.
const FEATURES: Rule = Rule {
    works: Some(
        "the target has all features of the source, and more: the guest does not look for them \
         again",
    ),
    may_fail: Some(
        "the guest does not see these features under bhyve of FreeBSD 14, and may under another",
    ),
    refused: Some("the guest may use instructions that it was told of, and would die of #UD"),
    ..RULE
};

/// What VMX allows.
const VMX: Rule = Rule {
    only: Some(Vendor::Intel),
    works: Some("what the source allows is allowed at the target"),
    may_fail: Some(
        "the source allows values that the target does not: the state is held against it when \
         it comes",
    ),
    ..RULE
};

/// Everything that is compared, but for disks.
pub const RULES: &[Rule] = &[
    Rule {
        subject: "machine",
        compared: "hw.machine",
        refused: Some("device state of one machine means nothing on another"),
        overridable: false,
        judge: |pair| {
            judge::equal("machine", pair, Grade::Refused, |host| host.facts.machine.clone())
        },
        ..RULE
    },
    Rule {
        subject: "page_size",
        compared: "hw.pagesize",
        refused: Some("bhyve's files are laid out in pages"),
        overridable: false,
        judge: |pair| judge::equal("page_size", pair, Grade::Refused, |host| host.facts.page_size),
        ..RULE
    },
    Rule {
        subject: "cpu_vendor",
        compared: "vendor of the CPU",
        refused: Some("records of VMX and SVM are not those of each other"),
        overridable: false,
        judge: |pair| {
            judge::equal("cpu_vendor", pair, Grade::Refused, |host| host.facts.cpu_vendor.clone())
        },
        ..RULE
    },
    Rule {
        subject: "xcr0",
        compared: "bits of XCR0 that XSETBV takes",
        works: Some("the target has all of the source's, and more"),
        refused: Some(
            "the guest may have registers saved that the target has not; an XCR0 that it does \
             not take is a panic of the host, and refused whatever is accepted",
        ),
        judge: |pair| judge::bits("xcr0", pair, Grade::Refused, |facts| facts.xcr0),
        ..RULE
    },
    Rule {
        subject: "cpu_feature",
        compared: "features in CPUID leaf 1, EDX",
        judge: |pair| word("cpu_feature", pair, |facts| facts.cpu_feature),
        ..FEATURES
    },
    Rule {
        subject: "cpu_feature2",
        compared: "features in CPUID leaf 1, ECX, but OSXSAVE",
        judge: |pair| word("cpu_feature2", pair, |facts| facts.cpu_feature2),
        ..FEATURES
    },
    Rule {
        subject: "cpu_stdext_feature",
        compared: "features in CPUID leaf 7, EBX",
        judge: |pair| word("cpu_stdext_feature", pair, |facts| facts.cpu_stdext_feature),
        ..FEATURES
    },
    Rule {
        subject: "cpu_stdext_feature2",
        compared: "features in CPUID leaf 7, ECX, but OSPKE",
        judge: |pair| word("cpu_stdext_feature2", pair, |facts| facts.cpu_stdext_feature2),
        ..FEATURES
    },
    Rule {
        subject: "cpu_stdext_feature3",
        compared: "features in CPUID leaf 7, EDX",
        judge: |pair| word("cpu_stdext_feature3", pair, |facts| facts.cpu_stdext_feature3),
        ..FEATURES
    },
    Rule {
        subject: "amd_feature",
        compared: "features in CPUID leaf 80000001h, EDX",
        judge: |pair| word("amd_feature", pair, |facts| facts.amd_feature),
        ..FEATURES
    },
    Rule {
        subject: "amd_feature2",
        compared: "features in CPUID leaf 80000001h, ECX",
        judge: |pair| word("amd_feature2", pair, |facts| facts.amd_feature2),
        ..FEATURES
    },
    Rule {
        subject: "amd_extended_feature_extensions",
        compared: "features in CPUID leaf 80000008h, EBX",
        judge: |pair| {
            let name = "amd_extended_feature_extensions";
            word(name, pair, |facts| facts.amd_extended_feature_extensions)
        },
        ..FEATURES
    },
    Rule {
        subject: "cr4",
        compared: "bits of CR4 that the CPU has",
        works: Some("the target has all of the source's, and more"),
        refused: Some(
            "a guest that has such a bit set cannot enter; the state is held against it \
             whatever is accepted",
        ),
        judge: |pair| judge::bits("cr4", pair, Grade::Refused, |facts| facts.cr4),
        ..RULE
    },
    Rule {
        subject: "efer",
        compared: "bits of EFER that the CPU has",
        works: Some("the target has all of the source's, and more"),
        refused: Some(
            "a guest that has such a bit set cannot enter; the state is held against it \
             whatever is accepted",
        ),
        judge: |pair| judge::bits("efer", pair, Grade::Refused, |facts| facts.efer),
        ..RULE
    },
    Rule {
        subject: "physical_bits",
        compared: "width of a physical address",
        works: Some("the target's addresses are wider"),
        refused: Some(
            "the guest may have put devices where the target has no addresses, and was told \
             which bits of a page table are reserved",
        ),
        judge: |pair| {
            judge::at_least("physical_bits", pair, Grade::Refused, |host| host.facts.physical_bits)
        },
        ..RULE
    },
    Rule {
        subject: "linear_bits",
        compared: "width of a linear address",
        works: Some("the target's addresses are wider"),
        refused: Some("a guest with page tables of five levels cannot run with four"),
        judge: |pair| {
            judge::at_least("linear_bits", pair, Grade::Refused, |host| host.facts.linear_bits)
        },
        ..RULE
    },
    Rule {
        subject: "tsc_frequency",
        compared: "frequency of the TSC; 500 ppm is what NTP corrects",
        works: Some("it differs by no more than NTP corrects"),
        refused: Some(
            "bhyve moves the TSC and does not scale it: the guest's clocks would run at another \
             rate",
        ),
        judge: tsc,
        ..RULE
    },
    Rule {
        subject: "tsc_invariant",
        compared: "whether the TSC is invariant",
        works: Some("it is invariant at the target, and the guest does not count on it"),
        may_fail: Some(
            "the guest may have been told that the TSC is invariant, and it is not at the \
             target",
        ),
        judge: |pair| {
            judge::at_least("tsc_invariant", pair, Grade::MayFail, |host| host.facts.tsc_invariant)
        },
        ..RULE
    },
    Rule {
        subject: "cpu_model",
        compared: "family and model of the CPU",
        may_fail: Some("guests choose workarounds and code by the model on which they booted"),
        judge: |pair| {
            judge::equal("cpu_model", pair, Grade::MayFail, |host| {
                let (family, model) = (host.facts.cpu_family?, host.facts.cpu_model?);
                Some(format!("family {family}, model {model}"))
            })
        },
        ..RULE
    },
    Rule {
        subject: "cpu_stepping",
        compared: "stepping of the CPU",
        works: Some("a stepping mends faults, and what it changes for guests is a feature"),
        judge: |pair| {
            judge::equal("cpu_stepping", pair, Grade::Works, |host| host.facts.cpu_stepping)
        },
        ..RULE
    },
    Rule {
        subject: "model",
        compared: "hw.model",
        works: Some("these are words: what they mean is compared by itself"),
        judge: |pair| judge::equal("model", pair, Grade::Works, |host| host.facts.model.clone()),
        ..RULE
    },
    Rule {
        subject: "entry_ctls",
        compared: "VM-entry controls that VMX allows",
        judge: |pair| judge::controls("entry_ctls", pair, |facts| facts.entry_ctls),
        ..VMX
    },
    Rule {
        subject: "exit_ctls",
        compared: "VM-exit controls that VMX allows",
        judge: |pair| judge::controls("exit_ctls", pair, |facts| facts.exit_ctls),
        ..VMX
    },
    Rule {
        subject: "cr0_fixed0",
        compared: "bits of CR0 that VMX wants to be 1",
        judge: |pair| judge::demands("cr0_fixed0", pair, |facts| facts.cr0_fixed0),
        ..VMX
    },
    Rule {
        subject: "cr0_fixed1",
        compared: "bits of CR0 that VMX lets be 1",
        judge: |pair| judge::bits("cr0_fixed1", pair, Grade::MayFail, |facts| facts.cr0_fixed1),
        ..VMX
    },
    Rule {
        subject: "cr4_fixed0",
        compared: "bits of CR4 that VMX wants to be 1",
        judge: |pair| judge::demands("cr4_fixed0", pair, |facts| facts.cr4_fixed0),
        ..VMX
    },
    Rule {
        subject: "cr4_fixed1",
        compared: "bits of CR4 that VMX lets be 1",
        judge: |pair| judge::bits("cr4_fixed1", pair, Grade::MayFail, |facts| facts.cr4_fixed1),
        ..VMX
    },
    Rule {
        subject: "virtual_interrupt_delivery",
        only: Some(Vendor::Intel),
        compared: "whether bhyve lets the CPU deliver interrupts",
        may_fail: Some(
            "where pending interrupts are kept depends on it: the state is held against it when \
             it comes",
        ),
        judge: |pair| {
            let name = "virtual_interrupt_delivery";
            judge::equal(name, pair, Grade::MayFail, |host| host.facts.virtual_interrupt_delivery)
        },
        ..RULE
    },
    Rule {
        subject: "asids",
        only: Some(Vendor::Amd),
        compared: "address space identifiers that SVM has",
        works: Some("the target has more"),
        may_fail: Some("the state names one, and is held against the target when it comes"),
        judge: |pair| judge::at_least("asids", pair, Grade::MayFail, |host| host.facts.asids),
        ..RULE
    },
    Rule {
        subject: "os",
        compared: "operating system",
        may_fail: Some("bhyve's snapshots are known from FreeBSD"),
        judge: |pair| judge::equal("os", pair, Grade::MayFail, |host| host.facts.os.clone()),
        ..RULE
    },
    Rule {
        subject: "os_release",
        compared: "its release",
        may_fail: Some(
            "a snapshot does not say which kernel's layouts it has, and another kernel reads it \
             by its own",
        ),
        judge: |pair| {
            judge::equal("os_release", pair, Grade::MayFail, |host| host.facts.os_release.clone())
        },
        ..RULE
    },
    Rule {
        subject: "version",
        compared: "version of bhyve",
        may_fail: Some(
            "a snapshot does not say which bhyve's layouts it has, and another bhyve reads it \
             by its own",
        ),
        judge: |pair| judge::equal("version", pair, Grade::MayFail, |host| host.bhyve.clone()),
        ..RULE
    },
    Rule {
        subject: "cpus",
        compared: "virtual CPUs with the target's CPUs",
        works: Some("the target has CPUs enough"),
        refused: Some(
            "bhyve makes no machine with more CPUs than the host has, unless hw.vmm.maxcpu says \
             so",
        ),
        judge: |pair| {
            let wanted = pair.needs.ncpus;
            judge::need("cpus", pair, (wanted, wanted), pair.target.facts.cpus.map(u64::from))
        },
        ..RULE
    },
    Rule {
        subject: "memory",
        compared: "RAM of the VM with free RAM of the target",
        works: Some("there is RAM enough"),
        refused: Some("the VM would be stopped at the source and find no RAM at the target"),
        judge: |pair| {
            let wanted = pair.needs.memsize;
            judge::need("memory", pair, (wanted, wanted), pair.target.memory)
        },
        ..RULE
    },
    Rule {
        subject: "room",
        compared: "RAM of the VM, or what of it is to come, with free room at the target",
        works: Some("there is room for all of the RAM"),
        may_fail: Some("there is room for what is expected to come, but not for all of the RAM"),
        refused: Some("what is to come would fill the target's disk"),
        judge: |pair| {
            let all = pair.needs.memsize.max(pair.needs.stored);
            judge::need("room", pair, (pair.needs.stored, all), pair.target.room)
        },
        ..RULE
    },
];

fn tsc(pair: &Pair<'_>) -> Judged {
    judge::both(
        "tsc_frequency",
        pair,
        |host| host.facts.tsc_frequency,
        |source, target| {
            // A part in 2000 is 500 ppm.
            if source == target {
                Grade::Same
            } else if source.abs_diff(*target) <= *source / 2000 {
                Grade::Works
            } else {
                Grade::Refused
            }
        },
    )
}
