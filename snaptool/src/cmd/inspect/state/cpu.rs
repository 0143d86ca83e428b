//! Virtual CPUs: `vmcx`, and `vmx` where that was apart, of either vendor.
//!
//! What a virtual CPU is made of is spread over records: where it goes on is in `vm`, and in
//! snapshots of FreeBSD 13 the general registers are in `vmx`.

use snapfmt::state::Scope;

use super::bits::{self, register};
use super::controls;
use super::machine::Machine;
use super::page::Page;
use super::segments::{self, Access};
use super::{View, words};

/// The records that hold something of one virtual CPU.
#[derive(Clone, Copy)]
pub(super) struct Cpu<'m, 'a> {
    /// The slot that is shown.
    pub(super) own: Option<Scope<'m, 'a>>,
    other: Option<Scope<'m, 'a>>,
    vm: Option<Scope<'m, 'a>>,
}

/// Registers that are a field each: their names, and their keys in the records.
const FIELDS: &[(&str, &[&str])] = &[
    ("CR0", &["CR0", "vmcb->state.cr0"]),
    ("CR2", &["CR2", "vmxctx->guest_cr2", "vmcb->state.cr2"]),
    ("CR3", &["CR3", "vmcb->state.cr3"]),
    ("CR4", &["CR4", "vmcb->state.cr4"]),
    ("EFER", &["EFER", "vmcb->state.efer"]),
    ("RFLAGS", &["RFLAGS", "vmcb->state.rflags"]),
    ("RIP", &["RIP", "vmcb->state.rip"]),
    ("RSP", &["RSP", "vmcb->state.rsp"]),
    ("RAX", &["RAX", "vmxctx->guest_rax", "vmcb->state.rax"]),
    ("RBX", &["vmxctx->guest_rbx", "vcpu->swctx.sctx_rbx"]),
    ("RCX", &["vmxctx->guest_rcx", "vcpu->swctx.sctx_rcx"]),
    ("RDX", &["vmxctx->guest_rdx", "vcpu->swctx.sctx_rdx"]),
    ("RSI", &["vmxctx->guest_rsi", "vcpu->swctx.sctx_rsi"]),
    ("RDI", &["vmxctx->guest_rdi", "vcpu->swctx.sctx_rdi"]),
    ("RBP", &["vmxctx->guest_rbp", "vcpu->swctx.sctx_rbp"]),
    ("R8", &["vmxctx->guest_r8", "vcpu->swctx.sctx_r8"]),
    ("R9", &["vmxctx->guest_r9", "vcpu->swctx.sctx_r9"]),
    ("R10", &["vmxctx->guest_r10", "vcpu->swctx.sctx_r10"]),
    ("R11", &["vmxctx->guest_r11", "vcpu->swctx.sctx_r11"]),
    ("R12", &["vmxctx->guest_r12", "vcpu->swctx.sctx_r12"]),
    ("R13", &["vmxctx->guest_r13", "vcpu->swctx.sctx_r13"]),
    ("R14", &["vmxctx->guest_r14", "vcpu->swctx.sctx_r14"]),
    ("R15", &["vmxctx->guest_r15", "vcpu->swctx.sctx_r15"]),
    ("DR0", &["vmxctx->guest_dr0", "vcpu->swctx.sctx_dr0"]),
    ("DR1", &["vmxctx->guest_dr1", "vcpu->swctx.sctx_dr1"]),
    ("DR2", &["vmxctx->guest_dr2", "vcpu->swctx.sctx_dr2"]),
    ("DR3", &["vmxctx->guest_dr3", "vcpu->swctx.sctx_dr3"]),
    ("DR6", &["DR6", "vmxctx->guest_dr6", "vmcb->state.dr6"]),
    ("DR7", &["DR7", "vmcb->state.dr7"]),
    ("STAR", &["vmcb.STAR[8]", "vmcb->state.star"]),
    ("LSTAR", &["vmcb.LSTAR[8]", "vmcb->state.lstar"]),
    ("CSTAR", &["vmcb.CSTAR[8]", "vmcb->state.cstar"]),
    ("SF_MASK", &["vmcb.SFMASK[8]", "vmcb->state.sfmask"]),
    ("KGSBASE", &["vmcb.KERNELGBASE[8]", "vmcb->state.kernelgsbase"]),
    ("PAT", &["vmcb.GUEST_PAT[8]", "vmcb->state.g_pat"]),
    (
        "SYSENTER_CS",
        &["VMCS_GUEST_IA32_SYSENTER_CS", "vmcb.SYSENTER_CS[8]", "vmcb->state.sysenter_cs"],
    ),
    (
        "SYSENTER_ESP",
        &["VMCS_GUEST_IA32_SYSENTER_ESP", "vmcb.SYSENTER_ESP[8]", "vmcb->state.sysenter_esp"],
    ),
    (
        "SYSENTER_EIP",
        &["VMCS_GUEST_IA32_SYSENTER_EIP", "vmcb.SYSENTER_EIP[8]", "vmcb->state.sysenter_eip"],
    ),
    ("DEBUGCTL", &["vmcb.DBGCTL[8]", "vmcb->state.dbgctl"]),
];

/// Registers that an Intel host keeps in one array.
const ARRAYS: [&str; 2] = ["vcpu->guest_msrs", "vmx->guest_msrs[i]"];

impl<'m, 'a> Cpu<'m, 'a> {
    /// A virtual CPU with all that is known of it.
    pub(super) fn of(machine: &'m Machine<'a>, vcpu: u32) -> Self {
        let slot = |name| machine.slot(name, vcpu);
        Self { own: slot("vmcx"), other: slot("vmx"), vm: slot("vm") }
    }

    fn own_register(self, name: &str) -> Option<u64> {
        Self::find(self.own?, name)
    }

    /// A register, whichever record has it.
    pub(super) fn register(self, name: &str) -> Option<u64> {
        let other = || Self::find(self.other?, name);
        self.own_register(name).or_else(other)
    }

    fn find(slot: Scope<'_, '_>, name: &str) -> Option<u64> {
        let keys = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, keys)| *keys);
        let field = keys.unwrap_or_default().iter().find_map(|key| slot.u64(key));
        let array = || {
            let mut arrays = ARRAYS.iter().filter_map(|key| slot.get(key));
            arrays.find_map(|field| field.part(name)?.u64())
        };
        field.or_else(array)
    }

    /// Where it goes on: bhyve takes `nextrip`, not the RIP of the control block.
    pub(super) fn rip(self) -> Option<u64> {
        let next = |scope: Option<Scope<'_, '_>>| scope?.u64("vcpu->nextrip");
        next(self.vm).or_else(|| next(self.own)).or_else(|| self.register("RIP"))
    }

    fn access(self, key: &str) -> Option<Access> {
        let find = |slot: Option<Scope<'_, '_>>| slot?.u64(key);
        find(self.own).or_else(|| find(self.other)).map(Access)
    }

    /// The privilege level: that of SS.
    pub(super) fn cpl(self) -> Option<u64> {
        self.access("SS.access").map(Access::dpl)
    }

    /// What the processor is doing: `64-bit`, `protected, 32-bit`.
    pub(super) fn mode(self) -> Option<String> {
        let (cr0, efer) = (self.register("CR0")?, self.register("EFER")?);
        let code = self.access("CS.access");
        let size = code.map_or("", |cs| if cs.big() { ", 32-bit" } else { ", 16-bit" });
        let virtual86 = self.register("RFLAGS").is_some_and(|flags| flags >> 17 & 1 == 1);
        Some(match (cr0 & 1 == 1, efer >> 10 & 1 == 1) {
            (false, _) => "real mode".to_owned(),
            (true, true) if code.is_some_and(Access::long) => "64-bit".to_owned(),
            (true, true) => format!("compatibility{size}"),
            (true, false) if virtual86 => "virtual 8086".to_owned(),
            (true, false) => format!("protected{size}"),
        })
    }

    /// How it translates addresses.
    fn paging(self) -> Option<&'static str> {
        let [cr0, cr4, efer] = ["CR0", "CR4", "EFER"].map(|name| self.register(name));
        let (cr0, cr4, long) = (cr0?, cr4?, efer? >> 10 & 1 == 1);
        Some(match (cr0 >> 31 & 1 == 1, long) {
            (false, _) => "paging off",
            (true, true) if cr4 >> 12 & 1 == 1 => "5-level paging",
            (true, true) => "4-level paging",
            (true, false) if cr4 >> 5 & 1 == 1 => "PAE paging",
            (true, false) => "32-bit paging",
        })
    }

    /// One line: mode, privilege level, where it goes on.
    fn line(self, waits: bool) -> Option<String> {
        let mut words = vec![self.mode()?];
        words.extend(self.cpl().map(|cpl| format!("CPL {cpl}")));
        words.extend(self.rip().map(|rip| format!("RIP {rip:#x}")));
        words.extend(self.paging().map(str::to_owned));
        if waits {
            words.push("waits for its SIPI".to_owned());
        }
        Some(words.join(", "))
    }
}

/// Shows the slots of `vmcx` or `vmx`.
pub(super) fn render(view: &View<'_, '_>, page: &mut Page) {
    for (vcpu, own) in view.slots() {
        page.head(&format!("vcpu {vcpu}"));
        let machine = view.machine;
        let mut cpu = Cpu::of(machine, vcpu);
        // Of `vmx`, only what it has itself; `vmcx` counts where both have a register.
        let apart = view.record.base() == "vmx";
        if !apart {
            page.some("mode", cpu.line(machine.waits(vcpu)));
        }
        cpu = if apart {
            Cpu { own: Some(own), other: None, vm: None }
        } else {
            Cpu { own: Some(own), ..cpu }
        };
        control(cpu, page);
        general(cpu, page);
        debug(cpu, page);
        segments::render(own, page);
        controls::render(own, page);
        msrs(cpu, page);
        mtrr(own, page);
    }
    view.unused(page);
}

fn control(cpu: Cpu<'_, '_>, page: &mut Page) {
    for (name, names) in [("CR0", bits::CR0), ("CR4", bits::CR4), ("EFER", bits::EFER)] {
        page.some(name, cpu.register(name).map(|value| register(value, names)));
    }
    if let Some(cr3) = cpu.register("CR3") {
        let pcid = cpu.register("CR4").is_some_and(|cr4| cr4 >> 17 & 1 == 1);
        let pcid = if pcid { format!("  PCID {:#x}", cr3 & 0xfff) } else { String::new() };
        page.pair("CR3", format!("{cr3:#x}{pcid}"));
    }
    page.some("CR2", cpu.register("CR2").map(|value| format!("{value:#x}")));
    if let Some(flags) = cpu.register("RFLAGS") {
        let named = bits::set(flags & !0x3002, bits::RFLAGS);
        page.pair("RFLAGS", format!("{flags:#x}  IOPL {} {named}", flags >> 12 & 3));
    }
    if let (Some(next), Some(rip)) = (cpu.rip(), cpu.register("RIP"))
        && next != rip
    {
        page.pair("RIP", format!("{rip:#x} in the control block, not used; nextrip {next:#x}"));
    }
}

fn general(cpu: Cpu<'_, '_>, page: &mut Page) {
    const ROWS: [[&str; 3]; 6] = [
        ["RAX", "RBX", "RCX"],
        ["RDX", "RSI", "RDI"],
        ["RBP", "RSP", "R8"],
        ["R9", "R10", "R11"],
        ["R12", "R13", "R14"],
        ["R15", "", ""],
    ];
    for row in ROWS {
        let known = row.iter().filter_map(|name| {
            let value = cpu.register(name)?;
            Some(format!("{name:<3} {value:#018x}"))
        });
        let words = known.collect::<Vec<_>>().join("  ");
        if !words.is_empty() {
            page.line(&words);
        }
    }
}

fn debug(cpu: Cpu<'_, '_>, page: &mut Page) {
    let all = ["DR0", "DR1", "DR2", "DR3"].map(|name| cpu.register(name));
    if let [Some(dr0), Some(dr1), Some(dr2), Some(dr3)] = all {
        page.pair("DR0-3", format!("{dr0:#x} {dr1:#x} {dr2:#x} {dr3:#x}"));
    }
    for (name, fixed, names) in [("DR6", 0xffff_0ff0, bits::DR6), ("DR7", 0x400, bits::DR7)] {
        let value = cpu.register(name);
        page.some(
            name,
            value.map(|value| format!("{value:#x}  {}", bits::set(value & !fixed, names))),
        );
    }
}

fn msrs(cpu: Cpu<'_, '_>, page: &mut Page) {
    if let Some(star) = cpu.register("STAR") {
        let (call, ret) = (star >> 32 & 0xffff, star >> 48);
        page.pair("STAR", format!("{star:#x}  SYSCALL CS {call:#x}, SYSRET CS {ret:#x}"));
    }
    for name in ["LSTAR", "CSTAR", "KGSBASE", "TSC_AUX", "DEBUGCTL"] {
        page.some(name, cpu.register(name).map(words::hex));
    }
    let enter = ["SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP"].map(|name| cpu.register(name));
    if let [Some(cs), Some(esp), Some(eip)] = enter.map(|value| value.map(words::hex)) {
        page.pair("SYSENTER", format!("CS {cs}, ESP {esp}, EIP {eip}"));
    }
    page.some("SF_MASK", cpu.register("SF_MASK").map(|mask| register(mask, bits::RFLAGS)));
    page.some("PAT", cpu.register("PAT").map(|pat| format!("{pat:#018x}  {}", memory_types(pat))));
}

/// The memory types of a PAT, of entry 0 first.
fn memory_types(pat: u64) -> String {
    pat.to_le_bytes().map(memory_type).join(" ")
}

fn memory_type(byte: u8) -> &'static str {
    match byte {
        0 => "UC",
        1 => "WC",
        4 => "WT",
        5 => "WP",
        6 => "WB",
        7 => "UC-",
        _ => "?",
    }
}

fn mtrr(slot: Scope<'_, '_>, page: &mut Page) {
    let Some(field) = ["mtrr", "vcpu->mtrr"].iter().find_map(|key| slot.get(key)) else { return };
    let Some(default) = field.part("def_type").and_then(|part| part.u64()) else { return };
    let kind = u8::try_from(default & 0xff).map_or("?", memory_type);
    let on = |bit: u32| if default >> bit & 1 == 1 { "on" } else { "off" };
    page.pair("MTRR", format!("{}, default {kind}, fixed ranges {}", on(11), on(10)));
    for number in 0..10 {
        let part = |what: &str| field.part(&format!("var[{number}].{what}"))?.u64();
        if let (Some(base), Some(mask)) = (part("base"), part("mask"))
            && mask >> 11 & 1 == 1
        {
            let kind = u8::try_from(base & 0xff).map_or("?", memory_type);
            let (base, mask) = (base & !0xfff, mask & !0xfff);
            page.pair("", format!("{base:#x} mask {mask:#x} {kind}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_value_of_the_pat_has_the_types_of_the_manual() {
        assert_eq!(memory_types(0x0007_0406_0007_0406), "WB WT UC- UC WB WT UC- UC");
    }
}
