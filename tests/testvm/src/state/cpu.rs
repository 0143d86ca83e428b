//! The virtual CPUs: `vm` and, as Intel hosts have it, `vmcx`.

use kvm_bindings::{kvm_dtable, kvm_segment};
use snapfmt::bhyve::Section;

use super::error::StateError;
use super::record::{Read, Record};
use crate::kvm::{CpuState, Msr};

const VM_SLOT: usize = 184;
/// A bit for each of the CPUs that a FreeBSD kernel may have.
const STARTUP_CPUS: usize = 128;
const VMCX_SLOT: usize = 920;

/// `VM_EXITCODE_DEBUG`: how a virtual CPU leaves the guest when it is suspended.
const EXITCODE_DEBUG: u64 = 21;
/// VM-entry controls that bhyve sets, for a guest in long mode.
const ENTRY_CTLS: u64 = 0x93ff;
/// VM-exit controls that bhyve sets.
const EXIT_CTLS: u64 = 0x0033_efff;

type Word = fn(&mut CpuState) -> &mut u64;
type Segment = fn(&mut CpuState) -> &mut kvm_segment;
type Table = fn(&mut CpuState) -> &mut kvm_dtable;

/// The fields that hold a register of 64 bits as it is.
const WORDS: [(&str, Word); 29] = [
    ("CR0", |cpu| &mut cpu.cr[0]),
    ("CR3", |cpu| &mut cpu.cr[2]),
    ("CR4", |cpu| &mut cpu.cr[3]),
    ("DR7", |cpu| &mut cpu.debug.dr7),
    ("RSP", |cpu| &mut cpu.regs.rsp),
    ("RIP", |cpu| &mut cpu.regs.rip),
    ("RFLAGS", |cpu| &mut cpu.regs.rflags),
    ("EFER", |cpu| &mut cpu.efer),
    ("vmxctx->guest_rdi", |cpu| &mut cpu.regs.rdi),
    ("vmxctx->guest_rsi", |cpu| &mut cpu.regs.rsi),
    ("vmxctx->guest_rdx", |cpu| &mut cpu.regs.rdx),
    ("vmxctx->guest_rcx", |cpu| &mut cpu.regs.rcx),
    ("vmxctx->guest_r8", |cpu| &mut cpu.regs.r8),
    ("vmxctx->guest_r9", |cpu| &mut cpu.regs.r9),
    ("vmxctx->guest_rax", |cpu| &mut cpu.regs.rax),
    ("vmxctx->guest_rbx", |cpu| &mut cpu.regs.rbx),
    ("vmxctx->guest_rbp", |cpu| &mut cpu.regs.rbp),
    ("vmxctx->guest_r10", |cpu| &mut cpu.regs.r10),
    ("vmxctx->guest_r11", |cpu| &mut cpu.regs.r11),
    ("vmxctx->guest_r12", |cpu| &mut cpu.regs.r12),
    ("vmxctx->guest_r13", |cpu| &mut cpu.regs.r13),
    ("vmxctx->guest_r14", |cpu| &mut cpu.regs.r14),
    ("vmxctx->guest_r15", |cpu| &mut cpu.regs.r15),
    ("vmxctx->guest_cr2", |cpu| &mut cpu.cr[1]),
    ("vmxctx->guest_dr0", |cpu| &mut cpu.debug.db[0]),
    ("vmxctx->guest_dr1", |cpu| &mut cpu.debug.db[1]),
    ("vmxctx->guest_dr2", |cpu| &mut cpu.debug.db[2]),
    ("vmxctx->guest_dr3", |cpu| &mut cpu.debug.db[3]),
    ("vmxctx->guest_dr6", |cpu| &mut cpu.debug.dr6),
];

/// Selector, base, limit and access rights of each segment register.
const SEGMENTS: [([&str; 4], Segment); 8] = [
    (["ES", "ES.base", "ES.limit", "ES.access"], |cpu| &mut cpu.segments.es),
    (["CS", "CS.base", "CS.limit", "CS.access"], |cpu| &mut cpu.segments.cs),
    (["SS", "SS.base", "SS.limit", "SS.access"], |cpu| &mut cpu.segments.ss),
    (["DS", "DS.base", "DS.limit", "DS.access"], |cpu| &mut cpu.segments.ds),
    (["FS", "FS.base", "FS.limit", "FS.access"], |cpu| &mut cpu.segments.fs),
    (["GS", "GS.base", "GS.limit", "GS.access"], |cpu| &mut cpu.segments.gs),
    (["TR", "TR.base", "TR.limit", "TR.access"], |cpu| &mut cpu.segments.tr),
    (["LDTR", "LDTR.base", "LDTR.limit", "LDTR.access"], |cpu| &mut cpu.segments.ldtr),
];

const TABLES: [([&str; 2], Table); 2] = [
    (["IDTR.base", "IDTR.limit"], |cpu| &mut cpu.idtr),
    (["GDTR.base", "GDTR.limit"], |cpu| &mut cpu.gdtr),
];

/// The fields that hold a model-specific register.
const MSRS: [(&str, Msr); 3] = [
    ("VMCS_GUEST_IA32_SYSENTER_CS", Msr::SysenterCs),
    ("VMCS_GUEST_IA32_SYSENTER_ESP", Msr::SysenterEsp),
    ("VMCS_GUEST_IA32_SYSENTER_EIP", Msr::SysenterEip),
];

/// The elements of `guest_msrs`, in order.
const GUEST_MSRS: [Msr; 7] =
    [Msr::Lstar, Msr::Cstar, Msr::Star, Msr::SfMask, Msr::KernelGsBase, Msr::Pat, Msr::TscAux];

/// Software state. `exitinfo` tells what a virtual CPU does that was suspended.
pub(super) fn write_vm(cpus: &[CpuState], ncpus: u32) -> Result<Record, StateError> {
    let len = cpus.len() * VM_SLOT + STARTUP_CPUS;
    let mut record = Record::new(Section::Kern, "vm", len, ncpus)?;
    for (vcpu, cpu) in (0..).zip(cpus) {
        let one = (Some(vcpu), 0);
        record.set("vcpu->guest_xcr0", one, cpu.xcr0)?;
        let mut exit = [EXITCODE_DEBUG.to_le_bytes(), cpu.regs.rip.to_le_bytes()].concat();
        exit.resize(136, 0);
        record.copy("vcpu->exitinfo", one, &exit)?;
        record.set("vcpu->nextrip", one, cpu.regs.rip)?;
        record.set("tsc", one, cpu.msr(Msr::Tsc))?;
    }
    Ok(record)
}

pub(super) fn read_vm(record: &Read<'_>, vcpu: u32, cpu: &mut CpuState) -> Result<(), StateError> {
    let one = (Some(vcpu), 0);
    cpu.xcr0 = record.get("vcpu->guest_xcr0", one)?;
    cpu.regs.rip = record.get("vcpu->nextrip", one)?;
    cpu.set_msr(Msr::Tsc, record.get("tsc", one)?);
    Ok(())
}

/// Hardware state.
pub(super) fn write_vmcx(cpus: &[CpuState], ncpus: u32) -> Result<Record, StateError> {
    let mut record = Record::new(Section::Kern, "vmcx", cpus.len() * VMCX_SLOT, ncpus)?;
    for (vcpu, cpu) in (0..).zip(cpus) {
        // What the tables name is named for writing; it is read here through a copy.
        let mut cpu = cpu.clone();
        let one = (Some(vcpu), 0);
        for (key, word) in WORDS {
            record.set(key, one, *word(&mut cpu))?;
        }
        for ([selector, base, limit, access], segment) in SEGMENTS {
            let segment = *segment(&mut cpu);
            record.set(selector, one, segment.selector.into())?;
            record.set(base, one, segment.base)?;
            record.set(limit, one, segment.limit.into())?;
            record.set(access, one, rights(&segment))?;
        }
        for ([base, limit], table) in TABLES {
            let table = *table(&mut cpu);
            record.set(base, one, table.base)?;
            record.set(limit, one, table.limit.into())?;
        }
        for (key, msr) in MSRS {
            record.set(key, one, cpu.msr(msr))?;
        }
        let msrs: Vec<u8> = GUEST_MSRS.iter().flat_map(|m| cpu.msr(*m).to_le_bytes()).collect();
        record.copy("vcpu->guest_msrs", one, &msrs)?;
        record.set("VMCS_ENTRY_CTLS", one, ENTRY_CTLS)?;
        record.set("VMCS_EXIT_CTLS", one, EXIT_CTLS)?;
    }
    Ok(record)
}

pub(super) fn read_vmcx(
    record: &Read<'_>,
    vcpu: u32,
    cpu: &mut CpuState,
) -> Result<(), StateError> {
    let one = (Some(vcpu), 0);
    let rip = cpu.regs.rip;
    for (key, word) in WORDS {
        *word(cpu) = record.get(key, one)?;
    }
    // The guest goes on at `nextrip` of `vm`.
    cpu.regs.rip = rip;
    for ([selector, base, limit, access], segment) in SEGMENTS {
        let segment = segment(cpu);
        *segment = from_rights(record.get(access, one)?);
        segment.selector = low(record.get(selector, one)?);
        segment.base = record.get(base, one)?;
        segment.limit = low(record.get(limit, one)?);
    }
    for ([base, limit], table) in TABLES {
        let table = table(cpu);
        table.base = record.get(base, one)?;
        table.limit = low(record.get(limit, one)?);
    }
    for (key, msr) in MSRS {
        cpu.set_msr(msr, record.get(key, one)?);
    }
    let (msrs, _) = record.bytes("vcpu->guest_msrs", one)?.as_chunks();
    for (msr, value) in GUEST_MSRS.into_iter().zip(msrs) {
        cpu.set_msr(msr, u64::from_le_bytes(*value));
    }
    Ok(())
}

/// Access rights as VMX has them.
fn rights(segment: &kvm_segment) -> u64 {
    let bits = [
        (segment.type_, 0),
        (segment.s, 4),
        (segment.dpl, 5),
        (segment.present, 7),
        (segment.avl, 12),
        (segment.l, 13),
        (segment.db, 14),
        (segment.g, 15),
        (segment.unusable, 16),
    ];
    bits.into_iter().map(|(value, at)| u64::from(value) << at).sum()
}

fn from_rights(access: u64) -> kvm_segment {
    let bits = |at: u32, len: u32| low(access >> at & ((1 << len) - 1));
    kvm_segment {
        type_: bits(0, 4),
        s: bits(4, 1),
        dpl: bits(5, 2),
        present: bits(7, 1),
        avl: bits(12, 1),
        l: bits(13, 1),
        db: bits(14, 1),
        g: bits(15, 1),
        unusable: bits(16, 1),
        ..Default::default()
    }
}

/// A number that fits, or the largest that does.
fn low<T: TryFrom<u64> + Bounded>(value: u64) -> T {
    T::try_from(value).unwrap_or(T::MOST)
}

trait Bounded {
    const MOST: Self;
}

impl Bounded for u8 {
    const MOST: Self = Self::MAX;
}

impl Bounded for u16 {
    const MOST: Self = Self::MAX;
}

impl Bounded for u32 {
    const MOST: Self = Self::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_rights_are_what_they_were() {
        for access in [0xa09b, 0xc093, 0x008b, 0x0082, 0x1_0000] {
            assert_eq!(rights(&from_rights(access)), access);
        }
    }
}
