//! What the host that is to restore a snapshot must have.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Judge, Needs, Rule, Severity, Subject};
use super::regs::{PAE, Regs};
use super::{entry, entry_svm, entry_vmx, registers};
use crate::bhyve::records::Vendor;
use crate::state::host::{Allowed, HostFacts};

const ELSEWHERE: &str = "restore it on a host whose CPU is of the same kind as that which took it";

/// A rule about the host. To be completed.
const fn host(rule: Rule) -> Rule {
    Rule { needs: Needs::Host, advice: ELSEWHERE, ..rule }
}

const ENTRY_CTLS: &str = "VMCS_ENTRY_CTLS";
const EXIT_CTLS: &str = "VMCS_EXIT_CTLS";

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: what the host must have", rules: RULES, argued: &[], not_rules: &[] };

/// Bits of an address that some CPUs have and others have not.
const WIDTH: u64 = 0xf_ffff << 32;

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::bits("CR0", 0)],
        condition: "must be of a CPU of the vendor whose CPU the host has",
        reason: "virtual CPUs of VMX and SVM are saved in different ways",
        bhyve: "fails, or takes registers for others",
        source: "sys/amd64/vmm/vmm.c vmmops_vcpu_snapshot",
        judge: Judge::Relation(vendor),
        ..host(entry("host-vendor"))
    },
    Rule {
        subjects: &[Subject::field(ENTRY_CTLS)],
        condition: "must be among the VM-entry controls that the host allows",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"VM-Entry Control Fields\"",
        judge: Judge::Relation(|check| {
            controls(check, "entry_ctls", ENTRY_CTLS, HostFacts::entry_controls);
        }),
        ..host(entry_vmx("host-entry-controls"))
    },
    Rule {
        subjects: &[Subject::field(EXIT_CTLS)],
        condition: "must be among the VM-exit controls that the host allows",
        reason: "VM entry checks it",
        source: "Intel SDM vol. 3, \"VM-Exit Control Fields\"",
        judge: Judge::Relation(|check| {
            controls(check, "exit_ctls", EXIT_CTLS, HostFacts::exit_controls);
        }),
        ..host(entry_vmx("host-exit-controls"))
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field("CR4")],
        condition: "must have no feature that the host lacks",
        reason: "the kernel clears what the host lacks, and the guest goes on without",
        bhyve: "resumes; the guest faults when it uses what it had turned on",
        source: "sys/amd64/vmm/intel/vmx.c vmx_fix_cr4",
        judge: Judge::Relation(cr4),
        ..host(entry_vmx("host-cr4-vmx"))
    },
    Rule {
        subjects: &[Subject::field("CR4")],
        condition: "must have no feature that the host lacks",
        reason: "VMRUN refuses a guest with bits that the CPU lacks",
        judge: Judge::Relation(cr4),
        ..host(entry_svm("host-cr4-svm"))
    },
    Rule {
        subjects: &[Subject::field("EFER")],
        condition: "must have no feature that the host lacks",
        reason: "the CPU refuses a guest with bits that it lacks",
        judge: Judge::Relation(|check| {
            let Some(mask) = check.fact("efer", |host| host.efer.map(|mask| mask.0)) else {
                return;
            };
            // SVME is the kernel's, and does not depend on what CPUID shows.
            lacks(check, "EFER", mask | super::regs::SVME);
        }),
        ..host(entry("host-efer"))
    },
    Rule {
        subjects: &[
            Subject::bits("CR3", WIDTH),
            Subject::bits("PDPTE0", WIDTH),
            Subject::bits("PDPTE1", WIDTH),
            Subject::bits("PDPTE2", WIDTH),
            Subject::bits("PDPTE3", WIDTH),
        ],
        condition: "must fit into the physical addresses of the host",
        reason: "the CPU refuses a guest with page tables beyond what it can address",
        judge: Judge::Relation(physical),
        ..host(entry("host-physical"))
    },
    Rule {
        subjects: &[Subject::bits("vmcb.ASID[4]", 0xffff_ffff)],
        condition: "must be below the number of ASIDs of the host",
        reason: "VMRUN refuses a guest with an ASID that the CPU lacks, if the kernel keeps it",
        judge: Judge::Relation(|check| {
            let Some(asids) = check.fact("asids", |host| host.asids) else { return };
            registers(check, "vmcb.ASID[4]", &[], |asid, _| asid < u64::from(asids));
        }),
        ..host(entry_svm("host-asids"))
    },
];

fn vendor(check: &mut Check<'_, '_>) {
    let Some(found) = check.machine().vendor else { return };
    let Some(wanted) = check.fact("cpu_vendor", HostFacts::vendor) else { return };
    if found == wanted {
        return;
    }
    let Some((known, slot)) = check.slots("vmcx").next() else { return };
    if let Some(field) = slot.get("CR0") {
        check.breaks(known.record, &field, &[]);
    }
}

fn controls(
    check: &mut Check<'_, '_>,
    fact: &'static str,
    key: &'static str,
    allowed: fn(&HostFacts) -> Option<Allowed>,
) {
    let Some(allowed) = check.fact(fact, allowed) else { return };
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(key) else { continue };
        if let Some(forbidden) = field.u64().and_then(|value| allowed.objection(value)) {
            let others = [("missing", forbidden.missing), ("not allowed", forbidden.excess)];
            check.breaks(known.record, &field, &others);
        }
    }
}

fn cr4(check: &mut Check<'_, '_>) {
    if let Some(mask) = check.fact("cr4", HostFacts::guest_cr4) {
        lacks(check, "CR4", mask);
    }
}

fn lacks(check: &mut Check<'_, '_>, key: &'static str, mask: u64) {
    for (known, slot) in check.slots("vmcx") {
        let Some(field) = slot.get(key) else { continue };
        if let Some(value) = field.u64()
            && value & !mask != 0
        {
            check.breaks(known.record, &field, &[("the host lacks", value & !mask)]);
        }
    }
}

fn physical(check: &mut Check<'_, '_>) {
    let Some(bits) = check.fact("physical_bits", |host| host.physical_bits) else { return };
    // What is above 52 bits has a rule of its own.
    let above = !0 << bits & WIDTH;
    registers(check, "CR3", &[], |cr3, _| cr3 & above == 0);
    if check.machine().vendor == Some(Vendor::Intel) {
        let fits = |entry: u64, regs: &Regs| {
            let used = regs.paging() && regs.cr4 & PAE != 0 && !regs.long();
            !used || entry & 1 == 0 || entry & above == 0
        };
        for key in ["PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"] {
            registers(check, key, &[], fits);
        }
    }
}
