//! A small real virtual machine on Linux KVM, which suspends and restores as bhyve does.
//!
//! ```text
//! cli ── control (bhyve's socket) ── machine ── kvm: memory, virtual CPUs, dirty log
//!                  │                    ├────── device: serial ports, ACPI timer, clock chip
//!          state (bhyve's three files)  └────── pace: how fast the guest dirties its memory
//!                                               guest: the program that it runs
//! ```
//!
//! It is there so that what moves virtual machines can be tried on one that runs: its guest checks,
//! without end, that no page, register or device was lost, is stale or has changed, says so at a
//! serial port, and measures how long it did not run. [`guest`] says how.
//!
//! It is no hypervisor to be used. It runs that one guest, which has no interrupts, no disk and no
//! network. It takes its three files at their word as bhyve does, apart from what cannot be read.
//! Its records are those of FreeBSD 14 on an Intel host, whatever host it runs on; bhyve would not
//! run its guest, since bhyve has not its ports for work and time.
//!
//! The guest runs in 64-bit mode at privilege level 3, with page tables that let it do so and I/O
//! privilege for its ports. Any KVM runs that. `kvm_pvm`, which works without VMX and SVM, runs
//! code at that level on the processor, and interprets what runs at level 0, a hundred times slower
//! and without SSE; it is all the KVM that a virtual machine without nested virtualisation has.
//! Nothing else of the guest depends on it.
//!
//! `unsafe` is in [`kvm`], and where the guest program is taken out of this one.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod boot;
pub mod cli;
pub mod control;
pub mod device;
pub mod guest;
pub mod kvm;
pub mod machine;
pub mod pace;
pub mod state;
