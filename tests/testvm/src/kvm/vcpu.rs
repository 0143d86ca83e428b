//! A virtual CPU: running it, and taking and giving its state.

#![allow(unsafe_code)]

use std::io;

use kvm_bindings::{
    CpuId, KVM_MP_STATE_RUNNABLE, Msrs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_sregs,
    kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{VcpuExit, VcpuFd};

use super::cpu_state::{CpuState, Msr, Segments};
use super::kick::Kick;

/// Why a virtual CPU left the guest.
#[derive(Debug)]
pub enum Exit<'a> {
    /// It was kicked, or a signal came.
    Interrupted,
    /// The guest reads from a port.
    In(u16, &'a mut [u8]),
    /// The guest writes to a port.
    Out(u16, &'a [u8]),
    /// The guest made an error that it cannot handle: on hardware, a reset.
    Shutdown,
    /// Something that this virtual machine does not do.
    Other(String),
}

/// A virtual CPU.
#[derive(Debug)]
pub struct Vcpu {
    fd: VcpuFd,
    kick: Kick,
}

impl Vcpu {
    pub(super) fn new(mut fd: VcpuFd, cpuid: &CpuId) -> io::Result<Self> {
        fd.set_cpuid2(cpuid)?;
        let kick = Kick::new(&mut fd)?;
        Ok(Self { fd, kick })
    }

    /// What stops it. The virtual CPU has to outlive it.
    pub(crate) fn kick(&self) -> Kick {
        self.kick.clone()
    }

    /// Enters the guest, after completing what the last exit was about.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn run(&mut self) -> io::Result<Exit<'_>> {
        match self.fd.run() {
            Ok(VcpuExit::IoIn(port, bytes)) => Ok(Exit::In(port, bytes)),
            Ok(VcpuExit::IoOut(port, bytes)) => Ok(Exit::Out(port, bytes)),
            Ok(VcpuExit::Intr) => Ok(Exit::Interrupted),
            Ok(VcpuExit::Shutdown) => Ok(Exit::Shutdown),
            Ok(other) => Ok(Exit::Other(format!("{other:?}"))),
            Err(error) if error.errno() == libc::EINTR => Ok(Exit::Interrupted),
            Err(error) => Err(error.into()),
        }
    }

    /// Its state. It has to be out of the guest, with its last exit completed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn state(&self) -> io::Result<CpuState> {
        let fd = &self.fd;
        let sregs = fd.get_sregs()?;
        let xsave = fd.get_xsave()?;
        let mut fpu = [0; 512];
        let words = xsave.region.iter().flat_map(|word| word.to_le_bytes());
        for (byte, value) in fpu.iter_mut().zip(words) {
            *byte = value;
        }
        let xcrs = fd.get_xcrs()?;
        let xcr0 = xcrs.xcrs.iter().take(xcrs.nr_xcrs as usize).find(|xcr| xcr.xcr == 0);
        let mut state = CpuState {
            regs: fd.get_regs()?,
            segments: Segments {
                es: sregs.es,
                cs: sregs.cs,
                ss: sregs.ss,
                ds: sregs.ds,
                fs: sregs.fs,
                gs: sregs.gs,
                tr: sregs.tr,
                ldtr: sregs.ldt,
            },
            idtr: sregs.idt,
            gdtr: sregs.gdt,
            cr: [sregs.cr0, sregs.cr2, sregs.cr3, sregs.cr4],
            cr8: sregs.cr8,
            efer: sregs.efer,
            debug: fd.get_debug_regs()?,
            xcr0: xcr0.map_or(1, |xcr| xcr.value),
            fpu,
            lapic: fd.get_lapic()?.regs.map(i8::cast_unsigned),
            msrs: [0; Msr::ALL.len()],
        };
        for msr in Msr::ALL {
            let mut list = entries(&[(msr, 0)])?;
            if fd.get_msrs(&mut list)? == 1 {
                let value = list.as_slice().first().map_or(0, |entry| entry.data);
                state.set_msr(msr, value);
            }
        }
        Ok(state)
    }

    /// Gives it a state.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_state(&mut self, state: &CpuState) -> io::Result<()> {
        let fd = &self.fd;
        let sregs = fd.get_sregs()?;
        let Segments { es, cs, ss, ds, fs, gs, tr, ldtr } = state.segments;
        let [cr0, cr2, cr3, cr4] = state.cr;
        fd.set_sregs(&kvm_sregs {
            cs,
            ds,
            es,
            fs,
            gs,
            ss,
            tr,
            ldt: ldtr,
            gdt: state.gdtr,
            idt: state.idtr,
            cr0,
            cr2,
            cr3,
            cr4,
            cr8: state.cr8,
            efer: state.efer,
            apic_base: sregs.apic_base,
            interrupt_bitmap: [0; 4],
        })?;
        self.set_extended(state)?;
        let fd = &self.fd;
        for msr in Msr::ALL {
            // One at a time: the kernel stops at the first that it does not know, and one that
            // holds 0 it need not know.
            if fd.set_msrs(&entries(&[(msr, state.msr(msr))])?)? != 1 && state.msr(msr) != 0 {
                return Err(io::Error::other(format!("{msr:?} cannot be set")));
            }
        }
        fd.set_lapic(&kvm_lapic_state { regs: state.lapic.map(u8::cast_signed) })?;
        fd.set_debug_regs(&state.debug)?;
        fd.set_mp_state(kvm_mp_state { mp_state: KVM_MP_STATE_RUNNABLE })?;
        fd.set_regs(&state.regs)?;
        Ok(())
    }

    /// XCR0, x87 and SSE.
    fn set_extended(&mut self, state: &CpuState) -> io::Result<()> {
        let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..Default::default() };
        if let Some(first) = xcrs.xcrs.first_mut() {
            first.value = state.xcr0;
        }
        self.fd.set_xcrs(&xcrs)?;
        let mut xsave = kvm_xsave::default();
        let (words, _) = state.fpu.as_chunks();
        for (word, bytes) in xsave.region.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        // XSTATE_BV of the header that follows: x87 and SSE are there.
        if let Some(header) = xsave.region.get_mut(128) {
            *header = 3;
        }
        // SAFETY: the kernel reads more than this structure only if larger states were enabled
        // with `arch_prctl`, which this process never does.
        unsafe { self.fd.set_xsave(&xsave) }?;
        Ok(())
    }
}

fn entries(list: &[(Msr, u64)]) -> io::Result<Msrs> {
    let entry = |(msr, data): &(Msr, u64)| kvm_msr_entry {
        index: *msr as u32,
        data: *data,
        ..Default::default()
    };
    let list: Vec<_> = list.iter().map(entry).collect();
    Msrs::from_entries(&list).map_err(|error| io::Error::other(format!("{error:?}")))
}
