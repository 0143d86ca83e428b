//! How a virtual CPU that runs is made to stop: a flag that the kernel looks at before it enters
//! the guest, and a signal that brings it out.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;

/// Does nothing in a process that runs no virtual CPU: the signal then has no thread to go to.
const SIGNAL: libc::c_int = libc::SIGUSR1;

/// Stops one virtual CPU.
#[derive(Debug, Clone)]
pub struct Kick {
    /// `immediate_exit` of the page that the kernel shares with us for this virtual CPU.
    flag: NonNull<AtomicU8>,
    /// The thread that runs it; 0 for none.
    thread: Arc<AtomicU64>,
}

// SAFETY: the flag is an atomic in memory that outlives this value, as `new` demands.
unsafe impl Send for Kick {}
// SAFETY: as above; all access is atomic.
unsafe impl Sync for Kick {}

extern "C" fn ignore(_: libc::c_int) {}

impl Kick {
    /// For a virtual CPU that outlives the value and all its clones.
    pub(super) fn new(vcpu: &mut VcpuFd) -> io::Result<Self> {
        let run: *mut kvm_run = vcpu.get_kvm_run();
        // SAFETY: `run` points to the whole structure, which the kernel maps; the sum stays in it.
        let flag = unsafe { &raw mut (*run).immediate_exit };
        let flag = NonNull::new(flag.cast()).ok_or_else(|| io::Error::other("no kvm_run"))?;
        listen()?;
        Ok(Self { flag, thread: Arc::new(AtomicU64::new(0)) })
    }

    fn flag(&self) -> &AtomicU8 {
        // SAFETY: it is a byte of memory that stays mapped as long as the virtual CPU lives, which
        // is longer than this value. The kernel only reads it. `kvm_run` is borrowed by this
        // process while an exit is looked at, but none of its code reads or writes this byte.
        unsafe { self.flag.as_ref() }
    }

    /// This thread is the one that runs it.
    pub fn enlist(&self) {
        // SAFETY: it takes nothing and cannot fail.
        self.thread.store(unsafe { libc::pthread_self() }, Ordering::SeqCst);
    }

    /// The thread will not run it again.
    pub fn dismiss(&self) {
        self.thread.store(0, Ordering::SeqCst);
    }

    /// From now on it may enter the guest.
    pub fn clear(&self) {
        self.flag().store(0, Ordering::SeqCst);
    }

    /// It leaves the guest, or does not enter it, until the flag is cleared. An exit that it had
    /// is completed first.
    pub fn stop(&self) {
        self.flag().store(1, Ordering::SeqCst);
        let thread = self.thread.load(Ordering::SeqCst);
        if thread != 0 {
            // SAFETY: the thread calls `dismiss` before it ends, and is joined only after all kicks
            // of whoever holds this value; the signal has a handler.
            unsafe { libc::pthread_kill(thread, SIGNAL) };
        }
    }
}

/// Gives the signal a handler, so that it interrupts and does not kill.
fn listen() -> io::Result<()> {
    // SAFETY: all zero is a valid value: no flags, no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as *const () as usize;
    // SAFETY: the action is initialised, and its handler does nothing, so it is safe in any state
    // that a signal can interrupt.
    match unsafe { libc::sigaction(SIGNAL, &raw const action, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
