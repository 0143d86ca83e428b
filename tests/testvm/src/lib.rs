//! A small real virtual machine on Linux KVM.
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
