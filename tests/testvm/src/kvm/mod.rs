//! What is asked of the kernel: guest memory in a shared file, a virtual machine, its virtual CPUs.
//!
//! The only modules with `unsafe`, beside the one that holds the guest program. They know nothing
//! of snapshots, of devices, and of what the guest does.

mod cpu_state;
mod kick;
mod ram;
mod vcpu;
mod vm;

pub use cpu_state::{CpuState, Msr, Segments};
pub use kick::Kick;
pub use ram::Ram;
pub use vcpu::{Exit, Vcpu};
pub use vm::{Vm, available};
