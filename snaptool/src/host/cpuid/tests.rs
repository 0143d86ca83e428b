//! CPUs that are made up, and the one that runs the test.

use super::*;

/// A CPU with these leaves, by leaf and subleaf; all others are 0.
fn probe(leaves: &[(u32, u32, [u32; 4])]) -> HostFacts {
    let mut facts = HostFacts::new();
    fill(&mut facts, |leaf, subleaf| {
        let found = leaves.iter().find(|known| (known.0, known.1) == (leaf, subleaf));
        found.map_or([0; 4], |known| known.2)
    });
    facts
}

fn word(text: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*text)
}

const BASE: u32 = 0x8000_0000;

#[test]
fn a_server_of_intel_is_told_as_it_is() {
    let facts = probe(&[
        (0, 0, [0x1b, word(b"Genu"), word(b"ntel"), word(b"ineI")]),
        (1, 0, [0x0006_06a6, 0, 1 << 26 | 1 << 17, 1 << 6 | 1 << 13]),
        (7, 0, [1, 1 << 7, 1 << 16, 0]),
        (0xd, 0, [0x2e7, 0, 0, 0]),
        (0x15, 0, [2, 200, 25_000_000, 0]),
        (BASE, 0, [0x8000_0008, 0, 0, 0]),
        (BASE + 7, 0, [0, 0, 0, 1 << 8]),
        (BASE + 1, 0, [0, 0, 0, 1 << 11 | 1 << 20 | 1 << 29]),
        (BASE + 2, 0, [word(b"  Xe"), word(b"on\0x"), 0, 0]),
        (BASE + 8, 0, [57 << 8 | 46, 0, 0, 0]),
    ]);
    assert_eq!(facts.cpu_vendor.as_deref(), Some("GenuineIntel"));
    assert_eq!(
        (facts.cpu_family, facts.cpu_model, facts.cpu_stepping),
        (Some(6), Some(106), Some(6))
    );
    assert_eq!((facts.physical_bits, facts.linear_bits), (Some(46), Some(57)));
    assert_eq!(facts.xcr0, Some(Hex(0x2e7)));
    assert_eq!(facts.cr4, Some(Hex(1 << 5 | 1 << 7 | 1 << 12 | 1 << 17 | 1 << 18 | 1 << 20)));
    assert_eq!(facts.efer, Some(Hex(0xd01)));
    assert_eq!(facts.model.as_deref(), Some("Xeon"));
    assert_eq!(facts.tsc_frequency, Some(2_500_000_000));
    assert_eq!(facts.asids, None);
    assert_eq!(facts.cpu_feature, Some(Hex(1 << 6 | 1 << 13)));
    assert_eq!(facts.cpu_feature2, Some(Hex(1 << 26 | 1 << 17)));
    assert_eq!(facts.cpu_stdext_feature, Some(Hex(1 << 7)));
    assert_eq!(facts.amd_feature, Some(Hex(1 << 11 | 1 << 20 | 1 << 29)));
    assert_eq!(facts.tsc_invariant, Some(true));
}

#[test]
fn a_cpu_without_a_leaf_has_none_of_its_features() {
    let facts = probe(&[(0, 0, [1, 0, 0, 0]), (1, 0, [0, 0, 3, 5]), (7, 0, [0, 9, 9, 9])]);
    assert_eq!((facts.cpu_feature, facts.cpu_feature2), (Some(Hex(5)), Some(Hex(3))));
    assert_eq!((facts.cpu_stdext_feature, facts.amd_feature), (Some(Hex(0)), Some(Hex(0))));
    assert_eq!(facts.tsc_invariant, Some(false));
}

#[test]
fn a_server_of_amd_has_a_number_of_asids() {
    let facts = probe(&[
        (0, 0, [0x10, word(b"Auth"), word(b"cAMD"), word(b"enti")]),
        (1, 0, [0x00a2_0f12, 0, 0, 0]),
        (BASE, 0, [0x8000_000a, 0, 0, 0]),
        (BASE + 1, 0, [0, 0, 1 << 2, 0]),
        (BASE + 8, 0, [0, 1 << 20, 0, 0]),
        (BASE + 10, 0, [1, 32768, 0, 0]),
    ]);
    assert_eq!((facts.cpu_family, facts.cpu_model), (Some(25), Some(33)));
    assert_eq!(facts.asids, Some(32768));
    assert_eq!(facts.efer, Some(Hex(1 << 12)));
    assert_eq!(facts.why_unknown("xcr0"), "the CPU has no XSAVE");
}

#[test]
fn a_leaf_that_is_not_there_says_nothing() {
    // Intel's CPUs answer with the highest leaf that they have.
    let facts = probe(&[(0, 0, [1, 0, 0, 0]), (7, 0, [0, !0, !0, !0]), (BASE + 1, 0, [!0; 4])]);
    assert_eq!((facts.cr4, facts.efer), (Some(Hex(0)), Some(Hex(0))));
    assert_eq!((facts.physical_bits, facts.asids), (None, None));
}

#[test]
fn what_cpuid_tells_or_not_is_one_or_the_other() {
    let facts = crate::host::probe();
    let json: serde_json::Value = serde_json::from_str(&facts.to_json()).unwrap();
    for name in FACTS {
        let known = !json.get(name).unwrap().is_null();
        assert_ne!(known, facts.unknown.contains_key(name), "{name}");
    }
}
