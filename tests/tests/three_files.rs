//! Sets of three files as bhyve leaves them, whole and broken.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test may")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use snapfmt::bhyve::{self, Config, Files, Finding, Generation, Meta, Section, Severity};
use tests::fixtures::{
    Variant, apply_broken, fixtures, folder, unpack, unpack_without_memory, variants,
};

/// What is found in the set called `base`.
fn findings(base: &Path) -> Vec<Finding> {
    let files = Files::of(base);
    let length = |path| fs::metadata(path).unwrap().len();
    match Meta::parse(&fs::read(&files.meta).unwrap()) {
        Ok(meta) => bhyve::check(&meta, length(&files.kern), length(&files.ram)),
        Err(error) => vec![error.finding()],
    }
}

/// The rule that a broken set must break; none if only the values of fields can show the damage.
fn expected(variant: &Variant, generation: Generation) -> Option<&'static str> {
    Some(match variant.name.as_str() {
        "kern-truncated-in-last-record" | "kern-truncated-in-vrtc" => "kern-range-outside",
        "kern-empty" => "kern-empty",
        "kern-trailing-garbage" => "kern-trailing",
        "mem-truncated" | "mem-one-byte-long" | "meta-memsize-wrong" => "ram-size-mismatch",
        "meta-size-overruns" => "kern-range-outside",
        // Between two layouts that vlapic had: only the bytes it leaves over prove the damage.
        "meta-size-short" if generation == Generation::A => "kern-gap",
        "meta-size-short" | "meta-vrtc-size-short" => "kern-size-short",
        "meta-size-negative" | "meta-offset-negative" => "meta-number-negative",
        "meta-offset-overlap" => "kern-overlap",
        "meta-offset-plus-size-wraps" => "kern-range-wraps",
        "meta-record-missing" => "kern-record-missing",
        "meta-not-json" => "meta-not-json",
        // With sixteen slots whatever ncpus is, the number cannot be seen from sizes.
        "meta-ncpus-wrong" if generation == Generation::B => "ncpus-mismatch",
        _ => return None,
    })
}

#[test]
fn whole_fixtures_give_no_findings() {
    for name in fixtures() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(findings(&unpack_without_memory(name, dir.path()).unwrap()), [], "{name}");
    }
}

#[test]
fn unpacked_memory_is_sparse_and_as_long_as_the_machine_has() {
    use std::os::unix::fs::MetadataExt as _;
    for name in fixtures() {
        let dir = tempfile::tempdir().unwrap();
        let base = unpack(name, dir.path()).unwrap();
        assert_eq!(findings(&base), [], "{name}");
        let ram = fs::metadata(&base).unwrap();
        assert!((1..64 << 20).contains(&(ram.blocks() * 512)), "{name}: {} blocks", ram.blocks());
    }
}

#[test]
fn broken_sets_break_the_expected_rule() {
    let mut left = Vec::new();
    for name in fixtures() {
        let meta = fs::read(folder(name).join("vm.ckp.meta")).unwrap();
        let generation = Meta::parse(&meta).unwrap().generation;
        for variant in variants(name).unwrap() {
            let Some(rule) = expected(&variant, generation) else {
                // Damage elsewhere than in fields must be seen here.
                let fields = variant.file == "vm.ckp.kern";
                assert!(fields || variant.or_warn, "{name}: {} has no rule", variant.name);
                left.push(format!("{name}: {}", variant.name));
                continue;
            };
            let dir = tempfile::tempdir().unwrap();
            let base = unpack_without_memory(name, dir.path()).unwrap();
            apply_broken(&variant, dir.path()).unwrap();
            let findings = findings(&base);
            let refused = findings
                .iter()
                .any(|finding| finding.rule.id == rule && finding.severity() == Severity::Refuse);
            assert!(refused, "{name}: {} gave {findings:#?}", variant.name);
        }
    }
    println!("left for the rules about fields: {}\n{}", left.len(), left.join("\n"));
}

#[test]
fn damage_to_fields_leaves_the_structure_whole() {
    let name = "intel-1cpu-fbsd";
    for variant in variants(name).unwrap() {
        if expected(&variant, Generation::B).is_none() {
            let dir = tempfile::tempdir().unwrap();
            let base = unpack_without_memory(name, dir.path()).unwrap();
            let before = fs::read(Files::of(&base).kern).unwrap();
            apply_broken(&variant, dir.path()).unwrap();
            assert_ne!(fs::read(Files::of(&base).kern).unwrap(), before, "{}", variant.name);
            assert_eq!(findings(&base), [], "{}", variant.name);
        }
    }
}

#[test]
fn the_index_says_what_the_text_says() {
    let text = fs::read(folder("older-2020-amd-2cpu").join("vm.ckp.meta")).unwrap();
    let meta = Meta::parse(&text).unwrap();
    assert_eq!(meta.generation, Generation::A);
    assert_eq!((meta.vm.name.as_str(), meta.vm.ncpus), ("old2", 2));
    assert_eq!((meta.vm.memsize, meta.vm.memflags), (128 << 20, 0));
    assert_eq!(meta.section(Section::Kern).count(), 10);
    assert_eq!(meta.section(Section::Device).count(), 10);
    let vmx = meta.records.iter().find(|record| record.name == "vmx").unwrap();
    assert_eq!((vmx.snapshot_req, vmx.size, vmx.offset), (Some(0), 50856, 3228));
}

fn meta_text() -> impl Strategy<Value = String> {
    prop::sample::select(fixtures())
        .prop_map(|name| fs::read_to_string(folder(name).join("vm.ckp.meta")).unwrap())
}

/// The text without white space outside strings, or with more of it.
fn respace(text: &str, spaces: &[String]) -> String {
    let mut out = String::new();
    let (mut quoted, mut spaces) = (false, spaces.iter().cycle());
    for c in text.chars() {
        let punctuation = !quoted && "{}[]:,".contains(c);
        quoted ^= c == '"';
        if punctuation {
            out.extend([spaces.next().unwrap(), c.to_string().as_str(), spaces.next().unwrap()]);
        } else if quoted || !c.is_whitespace() {
            out.push(c);
        }
    }
    out
}

proptest! {
    #[test]
    fn damaged_text_never_panics(
        text in meta_text(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        kern_len in any::<u64>(),
        ram_len in any::<u64>(),
    ) {
        let mut text = text.into_bytes();
        text.truncate(cut.index(4 * text.len()));
        for (at, byte) in damage {
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
        }
        match Meta::parse(&text) {
            Ok(meta) => drop(bhyve::check(&meta, kern_len, ram_len)),
            Err(error) => prop_assert!(error.offset <= text.len() as u64),
        }
    }

    #[test]
    fn changed_digits_never_panic_the_check(
        text in meta_text(),
        digits in prop::collection::vec((any::<prop::sample::Index>(), "[0-9]{1,19}"), 1..4),
        kern_len in 0_u64..1 << 40,
    ) {
        let mut text = text;
        for (at, digits) in digits {
            let numbers: Vec<_> = text.match_indices(|c: char| c.is_ascii_digit()).collect();
            let at = numbers[at.index(numbers.len())].0;
            text.replace_range(at..=at, &digits);
        }
        if let Ok(meta) = Meta::parse(text.as_bytes()) {
            for finding in bhyve::check(&meta, kern_len, meta.vm.memsize) {
                prop_assert!(!finding.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn white_space_does_not_change_what_is_read(
        text in meta_text(),
        spaces in prop::collection::vec("[ \t\r\n]{0,3}", 2..9),
    ) {
        let respaced = respace(&text, &spaces);
        prop_assert_eq!(Meta::parse(respaced.as_bytes()), Meta::parse(text.as_bytes()));
    }

    #[test]
    fn what_is_read_of_a_text_is_what_another_reader_reads(
        text in meta_text(),
        at in any::<prop::sample::Index>(),
        byte in " -~",
    ) {
        let mut text = text;
        let at = at.index(text.len());
        text.replace_range(at..=at, &byte);
        if let Ok(meta) = Meta::parse(text.as_bytes()) {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let memsize = json.pointer("/basic metadata/memsize").unwrap();
            prop_assert_eq!(memsize.as_u64(), Some(meta.vm.memsize));
            let devices = json["devices"].as_array().unwrap();
            prop_assert_eq!(devices.len(), meta.section(Section::Device).count());
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_configurations_panic(
        text in "(bhyve|name=|pci\\.0\\.1\\.0|[-cmsolU%(){}'\"\\\\\n#=,:. a0$]){0,40}",
    ) {
        if let Ok(config) = Config::parse(text.as_bytes()) {
            prop_assert_eq!(config.text, text);
        }
    }
}
