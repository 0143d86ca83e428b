//! What belongs to the host that wrote the snapshot, on AMD: physical addresses, CPU numbers.

use super::super::Chapter;
use super::super::check::Check;
use super::super::finding::Spot;
use super::super::rule::{Judge, Needs, Rule, Severity, Subject, rule};
use super::{BOTH, invalid_svm};
use crate::bhyve::records::Vendor;

const NPTP: &str = "sc->nptp";
const NPT_BASE: &str = "vmcb.NPT_BASE[8]";
const IO_PERM: &str = "vmcb.IO_PERM[8]";
const MSR_PERM: &str = "vmcb.MSR_PERM[8]";
const LASTCPU: &str = "vcpu->lastcpu";
const ASID_GEN: &str = "vcpu->asid.gen";

const ADDRESSES: &[Subject] = &[
    Subject::field(NPTP),
    Subject::field(NPT_BASE),
    Subject::field(IO_PERM),
    Subject::field(MSR_PERM),
];

pub(in super::super) static CHAPTER: Chapter = Chapter {
    title: "`vmcx`, `vmx`: what belongs to one host, on AMD",
    rules: RULES,
    argued: &[],
    not_rules: &[],
};

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::HostSpecific,
        vendor: Some(Vendor::Amd),
        subjects: ADDRESSES,
        condition: "must be 0, or the snapshot must be restored on the same boot of the same host, \
                    and into the same virtual machine",
        reason: "it is a physical address of the host that wrote it; the CPU would take what lies \
                 there for page tables, or for the map of caught ports or MSRs",
        bhyve: "writes it to the VMCB as it is; guests freeze, and worse is possible",
        advice: "take the snapshot with FreeBSD 14 or newer, which leaves these out",
        source: "sys/amd64/vmm/amd/svm.c svm_snapshot_vmi, svm_snapshot_vmcx (2020)",
        judge: Judge::Number(|address| address == 0),
        ..rule("svm-host-address", BOTH)
    },
    Rule {
        severity: Severity::Corrupt,
        vendor: Some(Vendor::Amd),
        needs: Needs::Records,
        subjects: ADDRESSES,
        condition: "must be a page below 2^52, and the same for all virtual CPUs",
        reason: "a virtual machine has one nested page table and one map each of ports and MSRs: \
                 an address of its own was not written by bhyve, and says where the CPU looks for \
                 them",
        bhyve: "writes it to the VMCB as it is",
        source: "sys/amd64/vmm/amd/svm.c svm_init (2020)",
        judge: Judge::Relation(addresses),
        ..rule("svm-host-addresses", BOTH)
    },
    Rule {
        severity: Severity::HostSpecific,
        vendor: Some(Vendor::Amd),
        subjects: &[Subject::field(LASTCPU), Subject::field(ASID_GEN)],
        condition: "must be -1, or asid.gen must be 0",
        reason: "on a CPU of the same number whose generation is the same by chance, the kernel \
                 keeps the ASID, and with it what another guest left in the TLB",
        bhyve: "restores both",
        advice: "restore it soon after the start of the host, or not on the host that wrote it",
        source: "sys/amd64/vmm/amd/svm.c svm_pmap_activate, svm_run",
        judge: Judge::Relation(stale_asid),
        ..rule("svm-stale-asid", BOTH)
    },
    Rule {
        subjects: &[Subject::field(LASTCPU)],
        condition: "must be the number of a CPU, or -1",
        reason: "there is no other way to say none",
        source: "sys/amd64/vmm/amd/svm.c svm_run",
        judge: Judge::Signed(|cpu| cpu >= -1),
        ..invalid_svm("svm-lastcpu", BOTH)
    },
];

fn addresses(check: &mut Check<'_, '_>) {
    let root = check.records("vmx").next().and_then(|known| known.fields.root().u64(NPTP));
    for known in check.records("vmcx") {
        for key in [NPT_BASE, IO_PERM, MSR_PERM] {
            // All slots count for what is usual: each is set up when the machine is created.
            let all: Vec<u64> = known.fields.root().all(key).filter_map(|f| f.u64()).collect();
            let times = |wanted: &u64| all.iter().filter(|value| *value == wanted).count();
            let usual = all.iter().copied().max_by_key(times);
            let usual = if key == NPT_BASE { root.or(usual) } else { usual };
            for (_, slot) in check.slots("vmcx") {
                let Some(field) = slot.get(key) else { continue };
                let Some((value, usual)) = field.u64().zip(usual) else { continue };
                if value != usual || !is_page(value) {
                    check.breaks_at(known.record, &field, Spot::whole(&field), &[("usual", usual)]);
                }
            }
        }
    }
}

/// Whether it can be the physical address of a page that is in use.
const fn is_page(address: u64) -> bool {
    address != 0 && address & 0xfff == 0 && address >> 52 == 0
}

fn stale_asid(check: &mut Check<'_, '_>) {
    for family in BOTH {
        for (known, slot) in check.slots(family) {
            let Some((field, generation)) = slot.get(LASTCPU).zip(slot.u64(ASID_GEN)) else {
                continue;
            };
            if generation != 0 && field.i64() != Some(-1) {
                check.breaks(known.record, &field, &[("asid.gen", generation)]);
            }
        }
    }
}
