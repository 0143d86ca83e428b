//! What CPUID tells.

use snapfmt::state::HostFacts;
use snapfmt::state::host::Hex;

use super::unknown;

/// The facts that come from CPUID, by their names in a file.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) const FACTS: [&str; 19] = [
    "cpu_vendor",
    "cpu_family",
    "cpu_model",
    "cpu_stepping",
    "physical_bits",
    "linear_bits",
    "tsc_invariant",
    "cpu_feature",
    "cpu_feature2",
    "cpu_stdext_feature",
    "cpu_stdext_feature2",
    "cpu_stdext_feature3",
    "amd_feature",
    "amd_feature2",
    "amd_extended_feature_extensions",
    "xcr0",
    "cr4",
    "efer",
    "asids",
];

/// A flag of CPUID: leaf, subleaf, register (0 EAX to 3 EDX), bit.
type Flag = (u32, u32, usize, u32);

const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

type Place = fn(&mut HostFacts) -> &mut Option<Hex>;

/// Words of features: leaf, register, and the fact that holds them.
const FEATURES: [(u32, usize, Place); 8] = [
    (1, EDX, |facts| &mut facts.cpu_feature),
    (1, ECX, |facts| &mut facts.cpu_feature2),
    (7, EBX, |facts| &mut facts.cpu_stdext_feature),
    (7, ECX, |facts| &mut facts.cpu_stdext_feature2),
    (7, EDX, |facts| &mut facts.cpu_stdext_feature3),
    (0x8000_0001, EDX, |facts| &mut facts.amd_feature),
    (0x8000_0001, ECX, |facts| &mut facts.amd_feature2),
    (0x8000_0008, EBX, |facts| &mut facts.amd_extended_feature_extensions),
];

const INVARIANT_TSC: Flag = (0x8000_0007, 0, EDX, 8);
const XSAVE: Flag = (1, 0, ECX, 26);
const SVM: Flag = (0x8000_0001, 0, ECX, 2);

/// Bits of CR4, and the feature that brings each; two bits may come with one, and one with either
/// of two.
const CR4: [(u32, Flag); 29] = [
    (0, (1, 0, EDX, 1)),
    (1, (1, 0, EDX, 1)),
    (2, (1, 0, EDX, 4)),
    (3, (1, 0, EDX, 2)),
    (4, (1, 0, EDX, 3)),
    (5, (1, 0, EDX, 6)),
    (6, (1, 0, EDX, 7)),
    (7, (1, 0, EDX, 13)),
    // Performance counters come with the MSRs.
    (8, (1, 0, EDX, 5)),
    (9, (1, 0, EDX, 24)),
    (10, (1, 0, EDX, 25)),
    (11, (7, 0, ECX, 2)),
    (12, (7, 0, ECX, 16)),
    (13, (1, 0, ECX, 5)),
    (14, (1, 0, ECX, 6)),
    (16, (7, 0, EBX, 0)),
    (17, (1, 0, ECX, 17)),
    (18, XSAVE),
    (19, (7, 0, ECX, 23)),
    (20, (7, 0, EBX, 7)),
    (21, (7, 0, EBX, 20)),
    (22, (7, 0, ECX, 3)),
    (23, (7, 0, ECX, 7)),
    (23, (7, 0, EDX, 20)),
    (24, (7, 0, ECX, 31)),
    (25, (7, 0, EDX, 5)),
    (27, (7, 1, EAX, 6)),
    (28, (7, 1, EAX, 26)),
    (32, (7, 1, EAX, 17)),
];

/// Bits of EFER, likewise. LMSLE (13) is no longer there where a flag says so.
const EFER: [(u32, Flag); 10] = [
    (0, (0x8000_0001, 0, EDX, 11)),
    (8, (0x8000_0001, 0, EDX, 29)),
    (10, (0x8000_0001, 0, EDX, 29)),
    (11, (0x8000_0001, 0, EDX, 20)),
    (12, SVM),
    (14, (0x8000_0001, 0, EDX, 25)),
    (15, (0x8000_0001, 0, ECX, 17)),
    (17, (0x8000_0008, 0, EBX, 8)),
    (18, (0x8000_0008, 0, EBX, 13)),
    (20, (0x8000_0021, 0, EAX, 7)),
];
const AUTOMATIC_IBRS: (u32, Flag) = (21, (0x8000_0021, 0, EAX, 8));
const NO_LMSLE: Flag = (0x8000_0008, 0, EBX, 20);

struct Cpuid<F>(F);

impl<F: Fn(u32, u32) -> [u32; 4]> Cpuid<F> {
    /// A leaf, or nothing if the CPU has not that many: it would give those of another.
    fn leaf(&self, leaf: u32, subleaf: u32) -> Option<[u32; 4]> {
        let [highest, ..] = (self.0)(leaf & 0x8000_0000, 0);
        let there = (leaf & 0x8000_0000..=highest).contains(&leaf);
        there.then(|| (self.0)(leaf, subleaf))
    }

    fn has(&self, (leaf, subleaf, register, bit): Flag) -> bool {
        let value = self.leaf(leaf, subleaf).and_then(|found| found.get(register).copied());
        value.is_some_and(|value| value >> bit & 1 == 1)
    }

    fn bits(&self, table: &[(u32, Flag)]) -> u64 {
        let have = table.iter().filter(|(_, flag)| self.has(*flag));
        have.fold(0, |mask, (bit, _)| mask | 1 << bit)
    }
}

/// Adds what CPUID says, given a leaf and a subleaf.
pub(super) fn fill(facts: &mut HostFacts, read: impl Fn(u32, u32) -> [u32; 4]) {
    let cpuid = Cpuid(read);
    if let Some([_, b, c, d]) = cpuid.leaf(0, 0) {
        facts.cpu_vendor = Some(text(&[b, d, c]));
    }
    if let Some([signature, ..]) = cpuid.leaf(1, 0) {
        let (family, model) = (signature >> 8 & 0xf, signature >> 4 & 0xf);
        let extended = matches!(family, 6 | 15);
        let (more_family, more_model) = (signature >> 20 & 0xff, signature >> 16 & 0xf);
        facts.cpu_family = Some(if family == 15 { family + more_family } else { family });
        facts.cpu_model = Some(if extended { model | more_model << 4 } else { model });
        facts.cpu_stepping = Some(signature & 0xf);
    }
    match cpuid.leaf(0x8000_0008, 0) {
        Some([widths, ..]) => {
            facts.physical_bits = Some(widths & 0xff);
            facts.linear_bits = Some(widths >> 8 & 0xff);
        }
        None => {
            unknown(facts, "physical_bits", "CPUID has no leaf 80000008h");
            unknown(facts, "linear_bits", "CPUID has no leaf 80000008h");
        }
    }
    for (leaf, register, place) in FEATURES {
        // A CPU without the leaf has none of its features.
        let word = cpuid.leaf(leaf, 0).and_then(|found| found.get(register).copied());
        *place(facts) = Some(Hex(word.unwrap_or_default().into()));
    }
    facts.tsc_invariant = Some(cpuid.has(INVARIANT_TSC));
    match cpuid.leaf(0xd, 0).filter(|_| cpuid.has(XSAVE)) {
        Some([low, _, _, high]) => {
            facts.xcr0 = Some(Hex(u64::from(high) << 32 | u64::from(low)));
        }
        None => unknown(facts, "xcr0", "the CPU has no XSAVE"),
    }
    facts.cr4 = Some(Hex(cpuid.bits(&CR4)));
    let mut efer = cpuid.bits(&EFER) | cpuid.bits(&[AUTOMATIC_IBRS]);
    if cpuid.has(SVM) && !cpuid.has(NO_LMSLE) {
        efer |= 1 << 13;
    }
    facts.efer = Some(Hex(efer));
    match cpuid.leaf(0x8000_000a, 0).filter(|_| cpuid.has(SVM)) {
        Some([_, asids, ..]) => facts.asids = Some(asids),
        None => unknown(facts, "asids", "the CPU has no SVM, or hides it"),
    }
    if facts.model.is_none() {
        let brand = (0x8000_0002..=0x8000_0004).filter_map(|leaf| cpuid.leaf(leaf, 0));
        let brand: Vec<u32> = brand.flatten().collect();
        facts.model = Some(text(&brand)).filter(|text| !text.is_empty());
    }
    if facts.tsc_frequency.is_none() {
        facts.tsc_frequency = tsc(&cpuid);
        if facts.tsc_frequency.is_none() {
            unknown(facts, "tsc_frequency", "CPUID does not tell (leaf 15h)");
        }
    }
}

/// The frequency of the crystal times the ratio, if the CPU tells both.
fn tsc<F: Fn(u32, u32) -> [u32; 4]>(cpuid: &Cpuid<F>) -> Option<u64> {
    let [below, above, crystal, _] = cpuid.leaf(0x15, 0)?;
    let product = u64::from(crystal) * u64::from(above);
    product.checked_div(u64::from(below)).filter(|frequency| *frequency > 0)
}

/// What registers spell, up to the first NUL and without blanks around.
fn text(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|register| register.to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let bytes = bytes.get(..end).unwrap_or_default();
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests;
