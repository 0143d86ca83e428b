//! What MSRs tell of VMX.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use snapfmt::bhyve::records::Vendor;
use snapfmt::state::HostFacts;
use snapfmt::state::host::Hex;

use super::{tools, unknown};

const BASIC: u32 = 0x480;
const EXIT: u32 = 0x483;
const ENTRY: u32 = 0x484;
const TRUE_EXIT: u32 = 0x48f;
const TRUE_ENTRY: u32 = 0x490;

/// Set in `IA32_VMX_BASIC` where there are the MSRs whose names have TRUE.
const HAS_TRUE: u64 = 1 << 55;

type Place = fn(&mut HostFacts) -> &mut Option<Hex>;

const FIXED: [(&str, u32, Place); 4] = [
    ("cr0_fixed0", 0x486, |facts| &mut facts.cr0_fixed0),
    ("cr0_fixed1", 0x487, |facts| &mut facts.cr0_fixed1),
    ("cr4_fixed0", 0x488, |facts| &mut facts.cr4_fixed0),
    ("cr4_fixed1", 0x489, |facts| &mut facts.cr4_fixed1),
];

/// Where MSRs are read from.
pub(super) enum Source {
    /// cpucontrol(8), on FreeBSD.
    Cpucontrol,
    /// msr(4) of Linux.
    File(io::Result<File>),
}

/// What this system has.
pub(super) fn here() -> Source {
    if cfg!(target_os = "freebsd") {
        return Source::Cpucontrol;
    }
    Source::File(File::open("/dev/cpu/0/msr"))
}

impl Source {
    /// An MSR of the first CPU, or why it cannot be read.
    pub(super) fn read(&self, number: u32) -> Result<u64, String> {
        match self {
            Self::Cpucontrol => tools::cpucontrol(number),
            Self::File(Err(error)) => Err(format!("/dev/cpu/0/msr: {error}")),
            Self::File(Ok(file)) => {
                let mut bytes = [0; 8];
                let done = file.read_exact_at(&mut bytes, u64::from(number));
                done.map_err(|error| format!("MSR {number:#x}: {error}"))?;
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }
}

/// Adds what MSRs say, given a number.
pub(super) fn fill(facts: &mut HostFacts, read: impl Fn(u32) -> Result<u64, String>) {
    let names = FIXED.iter().map(|(name, ..)| *name).chain(["entry_ctls", "exit_ctls"]);
    let none = match facts.vendor() {
        Some(Vendor::Intel) => None,
        _ => Some("the CPU is not Intel's".to_owned()),
    };
    let basic = none.map_or_else(|| read(BASIC), Err);
    let basic = match basic {
        Ok(basic) => basic,
        Err(why) => {
            names.for_each(|name| unknown(facts, name, &why));
            return;
        }
    };
    let (entry, exit) = if basic & HAS_TRUE == 0 { (ENTRY, EXIT) } else { (TRUE_ENTRY, TRUE_EXIT) };
    let controls: [(&str, u32, Place); 2] = [
        ("entry_ctls", entry, |facts| &mut facts.entry_ctls),
        ("exit_ctls", exit, |facts| &mut facts.exit_ctls),
    ];
    for (name, number, place) in controls.into_iter().chain(FIXED) {
        match read(number) {
            Ok(value) => *place(facts) = Some(Hex(value)),
            Err(why) => unknown(facts, name, &why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intel() -> HostFacts {
        HostFacts { cpu_vendor: Some("GenuineIntel".to_owned()), ..HostFacts::new() }
    }

    #[test]
    fn the_true_controls_count_where_there_are_such() {
        for (basic, entry) in [(0, 0x484), (HAS_TRUE, 0x490)] {
            let mut facts = intel();
            fill(&mut facts, |number| Ok(if number == BASIC { basic } else { u64::from(number) }));
            assert_eq!(facts.entry_ctls, Some(Hex(entry)));
            assert_eq!(facts.cr4_fixed1, Some(Hex(0x489)));
            assert!(facts.unknown.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_open_with_the_reason() {
        let mut facts = intel();
        fill(&mut facts, |_| Err("no permission".to_owned()));
        assert_eq!(facts.entry_ctls, None);
        assert_eq!(facts.unknown.len(), 6);
        assert_eq!(facts.why_unknown("cr0_fixed0"), "no permission");
    }

    #[test]
    fn only_a_cpu_of_intel_is_asked() {
        let mut facts = HostFacts::new();
        let asked = std::cell::Cell::new(false);
        fill(&mut facts, |_| {
            asked.set(true);
            Ok(0)
        });
        assert!(!asked.get());
        assert_eq!(facts.why_unknown("exit_ctls"), "the CPU is not Intel's");
    }
}
