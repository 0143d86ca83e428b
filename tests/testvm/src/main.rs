//! `testvm`: runs the test virtual machine.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    testvm::cli::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("testvm: needs Linux's KVM on x86-64");
    ExitCode::FAILURE
}
