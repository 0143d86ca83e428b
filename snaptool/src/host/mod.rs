//! What this host has and allows, for rules that compare a snapshot with the host that loads it.
//!
//! ```text
//! CPUID ─────────────── cpuid ──┐
//! sysctl, cpucontrol ── tools ──┼─> probe ──> HostFacts
//! /dev/cpu/0/msr ────── msr ────┘
//! ```
//! Looks and changes nothing. What cannot be found out is left open, with the reason. MSRs are read
//! by means that need no `unsafe`: on FreeBSD by cpucontrol(8), on Linux from a file. Either wants
//! root.

mod choice;
mod cpuid;
mod msr;
mod tools;

pub use choice::Host;
use snapfmt::state::HostFacts;

/// Finds out what it can.
#[must_use]
pub fn probe() -> HostFacts {
    let mut facts = HostFacts::new();
    system(&mut facts);
    cpu(&mut facts);
    vmx(&mut facts);
    facts
}

fn system(facts: &mut HostFacts) {
    let uname = rustix::system::uname();
    facts.os = Some(uname.sysname().to_string_lossy().into_owned());
    facts.os_release = Some(uname.release().to_string_lossy().into_owned());
    facts.machine = Some(uname.machine().to_string_lossy().into_owned());
    facts.page_size = Some(rustix::param::page_size() as u64);
    if cfg!(target_os = "freebsd") {
        match tools::sysctl("hw.model") {
            Ok(model) => facts.model = Some(model),
            Err(why) => unknown(facts, "model", &why),
        }
        let frequency = tools::sysctl("machdep.tsc_freq");
        match frequency.and_then(|text| text.parse().map_err(|_| format!("it is {text:?}"))) {
            Ok(frequency) => facts.tsc_frequency = Some(frequency),
            Err(why) => unknown(facts, "tsc_frequency", &why),
        }
        match tools::sysctl("hw.vmm.vmx.cap.virtual_interrupt_delivery") {
            Ok(text) => facts.virtual_interrupt_delivery = Some(text != "0"),
            Err(why) => unknown(facts, "virtual_interrupt_delivery", &why),
        }
    }
    match cpus() {
        Ok(cpus) => facts.cpus = Some(cpus),
        Err(why) => unknown(facts, "cpus", &why),
    }
}

fn cpus() -> Result<u32, String> {
    if cfg!(target_os = "freebsd") {
        let text = tools::sysctl("hw.ncpu")?;
        return text.parse().map_err(|_| format!("it is {text:?}"));
    }
    let count = std::thread::available_parallelism().map_err(|error| error.to_string())?;
    u32::try_from(count.get()).map_err(|error| error.to_string())
}

#[cfg(target_arch = "x86_64")]
fn cpu(facts: &mut HostFacts) {
    cpuid::fill(facts, |leaf, subleaf| {
        let found = std::arch::x86_64::__cpuid_count(leaf, subleaf);
        [found.eax, found.ebx, found.ecx, found.edx]
    });
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu(facts: &mut HostFacts) {
    for name in cpuid::FACTS {
        unknown(facts, name, "not an x86 CPU");
    }
}

fn vmx(facts: &mut HostFacts) {
    let source = msr::here();
    msr::fill(facts, |number| source.read(number));
}

fn unknown(facts: &mut HostFacts, name: &str, why: &str) {
    facts.unknown.insert(name.to_owned(), why.to_owned());
}
