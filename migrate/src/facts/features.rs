//! Features of CPUs by what a guest of bhyve sees of them.
//!
//! bhyve gives its guests what CPUID says, but for features that it hides or feigns. A guest that
//! saw an instruction goes on using it, and gets #UD where it is not there. So a feature that is in
//! the table and missing at the target is refused; one that is not in the table is hidden by the
//! bhyve that the table was made for (FreeBSD 14), and another one may show it.

use snapfmt::state::host::{Hex, HostFacts};

use super::Pair;
use super::judge::{Judged, both};
use crate::stream::message::Grade;

/// A feature: the fact that has it, its bit there, its name as FreeBSD prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The name of the fact.
    pub word: &'static str,
    /// Its bit.
    pub bit: u32,
    /// Its name.
    pub name: &'static str,
}

const fn feature(word: &'static str, bit: u32, name: &'static str) -> Feature {
    Feature { word, bit, name }
}

/// Features that guests see.
pub const FEATURES: &[Feature] = &[
    feature("cpu_feature", 0, "FPU"),
    feature("cpu_feature", 1, "VME"),
    feature("cpu_feature", 2, "DE"),
    feature("cpu_feature", 3, "PSE"),
    feature("cpu_feature", 4, "TSC"),
    feature("cpu_feature", 5, "MSR"),
    feature("cpu_feature", 6, "PAE"),
    feature("cpu_feature", 8, "CX8"),
    feature("cpu_feature", 9, "APIC"),
    feature("cpu_feature", 11, "SEP"),
    feature("cpu_feature", 13, "PGE"),
    feature("cpu_feature", 15, "CMOV"),
    feature("cpu_feature", 16, "PAT"),
    feature("cpu_feature", 17, "PSE36"),
    feature("cpu_feature", 18, "PN"),
    feature("cpu_feature", 19, "CLFLUSH"),
    feature("cpu_feature", 23, "MMX"),
    feature("cpu_feature", 24, "FXSR"),
    feature("cpu_feature", 25, "SSE"),
    feature("cpu_feature", 26, "SSE2"),
    feature("cpu_feature", 27, "SS"),
    feature("cpu_feature2", 0, "SSE3"),
    feature("cpu_feature2", 1, "PCLMULQDQ"),
    feature("cpu_feature2", 9, "SSSE3"),
    feature("cpu_feature2", 12, "FMA"),
    feature("cpu_feature2", 13, "CX16"),
    feature("cpu_feature2", 17, "PCID"),
    feature("cpu_feature2", 19, "SSE4.1"),
    feature("cpu_feature2", 20, "SSE4.2"),
    feature("cpu_feature2", 22, "MOVBE"),
    feature("cpu_feature2", 23, "POPCNT"),
    feature("cpu_feature2", 25, "AESNI"),
    feature("cpu_feature2", 26, "XSAVE"),
    feature("cpu_feature2", 28, "AVX"),
    feature("cpu_feature2", 29, "F16C"),
    feature("cpu_feature2", 30, "RDRAND"),
    feature("cpu_stdext_feature", 0, "FSGSBASE"),
    feature("cpu_stdext_feature", 3, "BMI1"),
    feature("cpu_stdext_feature", 4, "HLE"),
    feature("cpu_stdext_feature", 5, "AVX2"),
    feature("cpu_stdext_feature", 7, "SMEP"),
    feature("cpu_stdext_feature", 8, "BMI2"),
    feature("cpu_stdext_feature", 9, "ERMS"),
    feature("cpu_stdext_feature", 10, "INVPCID"),
    feature("cpu_stdext_feature", 11, "RTM"),
    feature("cpu_stdext_feature", 16, "AVX512F"),
    feature("cpu_stdext_feature", 17, "AVX512DQ"),
    feature("cpu_stdext_feature", 18, "RDSEED"),
    feature("cpu_stdext_feature", 20, "SMAP"),
    feature("cpu_stdext_feature", 26, "AVX512PF"),
    feature("cpu_stdext_feature", 27, "AVX512ER"),
    feature("cpu_stdext_feature", 28, "AVX512CD"),
    feature("cpu_stdext_feature", 29, "SHA"),
    feature("cpu_stdext_feature", 30, "AVX512BW"),
    feature("cpu_stdext_feature", 31, "AVX512VL"),
    feature("cpu_stdext_feature2", 9, "VAES"),
    feature("cpu_stdext_feature2", 10, "VPCLMULQDQ"),
    feature("cpu_stdext_feature2", 22, "RDPID"),
    feature("cpu_stdext_feature3", 10, "MD_CLEAR"),
    feature("amd_feature", 11, "SYSCALL"),
    feature("amd_feature", 20, "NX"),
    feature("amd_feature", 22, "MMX+"),
    feature("amd_feature", 25, "FFXSR"),
    feature("amd_feature", 26, "Page1GB"),
    feature("amd_feature", 27, "RDTSCP"),
    feature("amd_feature", 29, "LM"),
    feature("amd_feature", 30, "3DNow!+"),
    feature("amd_feature", 31, "3DNow!"),
    feature("amd_feature2", 0, "LAHF"),
    feature("amd_feature2", 4, "CR8"),
    feature("amd_feature2", 5, "ABM"),
    feature("amd_feature2", 6, "SSE4A"),
    feature("amd_feature2", 7, "MAS"),
    feature("amd_feature2", 8, "Prefetch"),
    feature("amd_feature2", 11, "XOP"),
    feature("amd_feature2", 15, "LWP"),
    feature("amd_feature2", 16, "FMA4"),
    feature("amd_feature2", 21, "TBM"),
    feature("amd_extended_feature_extensions", 0, "CLZERO"),
    feature("amd_extended_feature_extensions", 1, "IRPerf"),
    feature("amd_extended_feature_extensions", 2, "XSaveErPtr"),
];

/// Bits that say what a system switched on, and differ on one CPU: OSXSAVE; OSPKE.
const SWITCHES: [(&str, u64); 2] = [("cpu_feature2", 1 << 27), ("cpu_stdext_feature2", 1 << 4)];

/// A word of features, compared.
pub(super) fn word(
    name: &'static str,
    pair: &Pair<'_>,
    read: impl Fn(&HostFacts) -> Option<Hex>,
) -> Judged {
    let switches = SWITCHES.iter().filter(|(word, _)| *word == name);
    let switches = switches.fold(0, |mask, (_, bits)| mask | bits);
    let read = |facts: &HostFacts| read(facts).map(|word| Hex(word.0 & !switches));
    let table = || FEATURES.iter().filter(|feature| feature.word == name);
    let seen = table().fold(0, |mask, feature| mask | 1_u64 << feature.bit);
    let mut missing = 0;
    let judged = both(
        name,
        pair,
        |host| read(&host.facts),
        |source, target| {
            missing = source.0 & !target.0;
            if source == target {
                Grade::Same
            } else if missing == 0 {
                Grade::Works
            } else if missing & seen == 0 {
                Grade::MayFail
            } else {
                Grade::Refused
            }
        },
    );
    if missing == 0 {
        return judged;
    }
    let names = table().filter(|feature| missing >> feature.bit & 1 == 1);
    let mut names: Vec<_> = names.map(|feature| feature.name.to_owned()).collect();
    if missing & !seen != 0 {
        names.push(format!("bits {:#x}", missing & !seen));
    }
    judged.with(format!("it lacks {}", names.join(", ")))
}
