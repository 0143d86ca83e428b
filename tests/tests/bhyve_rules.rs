//! Every rule about stock snapshots, each broken alone: rules say what they claim, and no more.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test may")]

use std::collections::BTreeSet;
use std::fs;

use snapfmt::bhyve::config::{Config, disagreements};
use snapfmt::bhyve::{self, Finding, Meta, rules};
use tests::fixtures::folder;

const NEWER: &str = "intel-1cpu-fbsd";
const OLDER: &str = "older-2020-intel-1cpu";

/// One set that breaks one rule: changes to the text of `.meta`, and to the two lengths.
struct Case {
    rule: &'static str,
    fixture: &'static str,
    replace: Vec<(String, String)>,
    kern: i64,
    ram: i64,
}

fn case(rule: &'static str, fixture: &'static str, replace: &[(&str, &str)]) -> Case {
    let own = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
    Case { rule, fixture, replace: replace.iter().map(own).collect(), kern: 0, ram: 0 }
}

fn with_lengths(rule: &'static str, kern: i64, ram: i64) -> Case {
    Case { kern, ram, ..case(rule, NEWER, &[]) }
}

/// The length of the whole fixture's `.kern`: where its last record ends.
fn kern_len(fixture: &str) -> i64 {
    match fixture {
        NEWER => 82668,
        "intel-4cpu-highmem" => 33_600_272,
        _ => 155_950,
    }
}

const MEMORY: i64 = 64 << 20;

fn text(fixture: &str) -> String {
    fs::read_to_string(folder(fixture).join("vm.ckp.meta")).unwrap()
}

fn findings(case: &Case) -> Vec<Finding> {
    let mut text = text(case.fixture);
    for (from, to) in &case.replace {
        assert!(text.contains(from), "{}: no {from}", case.rule);
        text = text.replacen(from, to, 1);
    }
    let length = |length: i64| u64::try_from(length).unwrap();
    match Meta::parse(text.as_bytes()) {
        Ok(meta) => {
            let kern = length(kern_len(case.fixture) + case.kern);
            bhyve::check(&meta, kern, length(MEMORY + case.ram))
        }
        Err(error) => vec![error.finding()],
    }
}

/// An entry of a newer `.meta`.
fn entry(name: &str, size: u64, offset: u64) -> String {
    format!(
        "{{\n      \"device\": \"{name}\",\n      \"size\": {size},\n      \
         \"file_offset\": {offset}\n    }}"
    )
}

fn text_cases() -> Vec<Case> {
    let long = "x".repeat(256);
    let too_long = format!("\"vmname\": \"{long}\"");
    let long_record = format!("\"device\": \"{}\"", "x".repeat(128));
    let many = format!("\"devices\": [{}", "{},".repeat(4096));
    let records = |n: u8| entry(&format!("xhci@pci.{n}.0.0"), 0, 82668);
    let more: Vec<_> = (0..=u8::MAX).map(records).collect();
    let more: Vec<_> = ["", "a", "b", "c"]
        .iter()
        .map(|kind| more.join(",").replace("xhci", &format!("{kind}xhci")))
        .collect();
    let more = format!("}},{}\n  ]}}", more.join(","));
    let padding = " ".repeat(1 << 20);
    let whole = text(NEWER);
    let newer: [(_, &[(&str, &str)]); 23] = [
        ("meta-too-long", &[("{\n", padding.as_str())]),
        ("meta-not-json", &[("\"basic metadata\"", "basic")]),
        ("meta-unfinished", &[("]}\n", "]")]),
        ("meta-key-duplicate", &[("\"memflags\"", "\"ncpus\"")]),
        (
            "meta-key-duplicate",
            &[("\"size\": 284", "\"x\": {\"a\": 1, \"\\u0061\": 2}, \"size\": 284")],
        ),
        ("meta-key-duplicate", &[("{\n", "{\n\"x\": [1, {\"b\": {\"a\": 1, \"a\": 1}}],")]),
        ("meta-unfinished", &[(whole.as_str(), "")]),
        ("meta-unfinished", &[(whole.as_str(), " \n")]),
        ("meta-key-missing", &[("\"ncpus\": 1,", "")]),
        ("meta-type-wrong", &[("\"ncpus\": 1", "\"ncpus\": \"1\"")]),
        ("meta-type-wrong", &[("\"ncpus\": 1", "\"ncpus\": 1.5")]),
        ("meta-number-negative", &[("\"size\": 284", "\"size\": -1")]),
        ("meta-number-too-large", &[("\"size\": 284", "\"size\": 9223372036854775808")]),
        ("meta-name-too-long", &[("\"vmname\": \"fbsd14\"", too_long.as_str())]),
        ("meta-name-too-long", &[("\"device\": \"vrtc\"", long_record.as_str())]),
        ("meta-name-empty", &[("\"device\": \"atkbdc\"", "\"device\": \"\"")]),
        ("meta-name-nul", &[("fbsd14", "a\\u0000")]),
        ("meta-name-nul", &[("lpc@", "\\u0000")]),
        ("meta-number-too-large", &[("\"memflags\": 0", "\"memflags\": 4294967296")]),
        ("meta-too-many-records", &[("}\n  ]}", more.as_str())]),
        ("meta-too-many-records", &[("\"devices\": [", many.as_str())]),
        ("meta-layout-unclear", &[("\"kern_structs\"", "\"structures\"")]),
        ("meta-layout-unclear", &[("\"devices\"", "\"structs\"")]),
    ];
    let tolerated: [(_, &[(&str, &str)]); 3] = [
        ("meta-key-unknown", &[("\"size\": 284", "\"crc\": [null, {}], \"size\": 284")]),
        ("meta-key-absent", &[("\"vmname\": \"fbsd14\",", "")]),
        ("meta-key-absent", &[(",\n    \"memflags\": 0", "")]),
    ];
    let all = newer.into_iter().chain(tolerated);
    all.map(|(rule, replace)| case(rule, NEWER, replace)).collect()
}

fn machine_cases() -> Vec<Case> {
    let memsize = "\"memsize\": 67108864";
    vec![
        case("ncpus-out-of-range", NEWER, &[("\"ncpus\": 1", "\"ncpus\": 0")]),
        case("ncpus-out-of-range", NEWER, &[("\"ncpus\": 1", "\"ncpus\": 1025")]),
        case("ncpus-out-of-range", OLDER, &[("\"ncpus\": 1", "\"ncpus\": 17")]),
        case("ncpus-mismatch", NEWER, &[("\"ncpus\": 1", "\"ncpus\": 2")]),
        case("memsize-zero", NEWER, &[(memsize, "\"memsize\": 0")]),
        Case { ram: 1, ..case("memsize-unaligned", NEWER, &[(memsize, "\"memsize\": 67108865")]) },
        Case {
            ram: (1 << 53) - MEMORY,
            ..case("memsize-too-large", NEWER, &[(memsize, "\"memsize\": 9007199254740992")])
        },
        case("vm-name-illegal", NEWER, &[("fbsd14", "")]),
        case("vm-name-illegal", NEWER, &[("fbsd14", "a/b")]),
        case("vm-name-illegal", NEWER, &[("fbsd14", "a\\n")]),
        with_lengths("ram-empty", 0, -MEMORY),
        with_lengths("ram-size-mismatch", 0, -4096),
        with_lengths("ram-size-mismatch", 0, 1),
    ]
}

fn kern_cases() -> Vec<Case> {
    let vrtc = entry("vrtc", 140, 6367);
    let without_vrtc = format!(",\n    {vrtc}");
    let lpc = entry("lpc@pci.0.31.0", 536, 81991);
    let atkbdc = entry("atkbdc", 141, 82527);
    let sorted = (format!("{lpc},\n    {atkbdc}"), format!("{atkbdc},\n    {lpc}"));
    let longer = format!("{atkbdc},\n    {}", entry("fbuf@pci.0.6.0", (65 << 20) + 452, 82668));
    let twice = format!("{lpc},\n    {}", entry("lpc@pci.0.31.0", 0, 82527));
    let longer_vrtc = entry("vrtc", 141, 6367);
    let shorter_bridge = entry("hostbridge@pci.0.0.0", 451, 6508);
    let bridge = entry("hostbridge@pci.0.0.0", 452, 6507);
    let short_vrtc = entry("vrtc", 139, 6367);
    let longer_bridge = entry("hostbridge@pci.0.0.0", 453, 6506);
    // Sixteen slots of an AMD host for the six MSRs and the registers of an Intel one.
    let amd = 16 * (496 - 376);
    let mut vendor = case("cpu-vendor-mismatch", OLDER, &[("\"size\": 6016", "\"size\": 7936")]);
    vendor.kern = amd;
    let offsets = text(OLDER);
    for offset in offsets.split("\"file_offset\": ").skip(1) {
        let digits = offset.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        let offset: i64 = digits.parse().unwrap();
        if offset > 73840 {
            let to = format!("\"file_offset\":  {}", offset + amd);
            vendor.replace.push((format!("\"file_offset\": {offset}"), to));
        }
    }
    vec![
        with_lengths("kern-empty", -82668, 0),
        with_lengths("kern-trailing", 4, 0),
        with_lengths("kern-range-outside", -1, 0),
        case(
            "kern-range-wraps",
            NEWER,
            &[("\"file_offset\": 284", "\"file_offset\": 9223372036854775807")],
        ),
        case("kern-overlap", NEWER, &[("\"size\": 66197,", "\"size\": 66229,")]),
        case("kern-gap", NEWER, &[("\"size\": 66197", "\"size\": 66181")]),
        Case { kern: (65 << 20) + 452, ..case("record-too-large", NEWER, &[(&atkbdc, &longer)]) },
        case(
            "record-duplicate",
            OLDER,
            &[("\"snapshot_req\": \"e1000\"", "\"snapshot_req\": \"xhci\"")],
        ),
        case("record-duplicate", NEWER, &[(&lpc, &twice)]),
        case("record-order", NEWER, &[(&sorted.0, &sorted.1)]),
        case(
            "kern-record-missing",
            NEWER,
            &[
                (&without_vrtc, ""),
                (&bridge, &bridge.replace("452", "592").replace("6507", "6367")),
            ],
        ),
        case(
            "kern-record-unknown",
            NEWER,
            &[(&vrtc, &format!("{vrtc},{}", entry("new", 0, 6507)))],
        ),
        case(
            "kern-req-mismatch",
            OLDER,
            &[("\"debug_name\": \"vatpit\"", "\"debug_name\": \"vatpic\"")],
        ),
        case("kern-size-short", NEWER, &[(&vrtc, &short_vrtc), (&bridge, &longer_bridge)]),
        case("kern-size-unknown", NEWER, &[(&vrtc, &longer_vrtc), (&bridge, &shorter_bridge)]),
        vendor,
        case(
            "device-empty",
            NEWER,
            &[(&atkbdc, &format!("{atkbdc},{}", entry("fbuf@pci.0.6.0", 0, 82668)))],
        ),
        case(
            "device-size-unlikely",
            NEWER,
            &[
                ("\"size\": 536", "\"size\": 535"),
                ("\"size\": 141", "\"size\": 142"),
                ("\"file_offset\": 82527", "\"file_offset\": 82526"),
            ],
        ),
        case("device-unknown", NEWER, &[("lpc@", "nvme@")]),
        case("device-unknown", NEWER, &[("lpc@pci.0.31.0", "lpc@pci.0.32.0")]),
        case("device-atkbdc-missing", NEWER, &[("\"atkbdc\"", "\"lpc@pci.0.30.0\"")]),
    ]
}

fn list_cases() -> Vec<Case> {
    let atkbdc = entry("atkbdc", 141, 82527);
    let misplaced = |offset| format!("{atkbdc},\n    {}", entry("zzz", 0, offset));
    let frames: Vec<_> = (0..17_u64)
        .map(|n| entry(&format!("fbuf@pci.1.{n}.0"), 64 << 20, 82668 + (n << 26)))
        .collect();
    let frames = format!("{atkbdc},\n    {}", frames.join(",\n    "));
    vec![
        Case { kern: 17 << 26, ..case("records-too-large", NEWER, &[(&atkbdc, &frames)]) },
        // At the start, within a record, where one begins that is listed before, behind the end.
        case("record-empty-misplaced", NEWER, &[(&atkbdc, &misplaced(0))]),
        case("record-empty-misplaced", NEWER, &[(&atkbdc, &misplaced(100))]),
        case("record-empty-misplaced", NEWER, &[(&atkbdc, &misplaced(82527))]),
        case(
            "record-empty-misplaced",
            OLDER,
            &[("\"file_offset\": 155950", "\"file_offset\": 155949")],
        ),
        case(
            "record-duplicate",
            OLDER,
            &[(
                "\"structs\": [",
                "\"structs\": [{\"debug_name\": \"n\", \"snapshot_req\": 70, \"size\": 0, \
                 \"file_offset\": 0}, {\"debug_name\": \"n\", \"snapshot_req\": 71, \"size\": 0, \
                 \"file_offset\": 0},",
            )],
        ),
    ]
}

/// Rules that a case of another rule cannot help breaking too: bytes that change their owner give a
/// device an unlikely size, and a record of an unknown name or size is one.
fn companions(rule: &str) -> &'static [&'static str] {
    match rule {
        "kern-size-short" | "kern-size-unknown" | "kern-record-missing" | "record-too-large" => {
            &["device-size-unlikely"]
        }
        "device-atkbdc-missing" => &["device-size-unlikely"],
        "meta-too-many-records" => &["device-empty"],
        "meta-name-too-long" => &["kern-record-unknown", "kern-record-missing"],
        "meta-name-empty" => &["device-unknown", "device-atkbdc-missing"],
        "meta-name-nul" => &["device-unknown"],
        "record-duplicate" => &["device-empty", "kern-record-unknown"],
        // A record without bytes, of a name that nothing has.
        "record-empty-misplaced" => &["device-empty"],
        "records-too-large" => &["device-size-unlikely"],
        _ => &[],
    }
}

#[test]
fn each_rule_fires_alone() {
    let cases = [text_cases(), machine_cases(), kern_cases(), list_cases()].into_iter().flatten();
    let mut seen: BTreeSet<&str> = cases
        .map(|case| {
            let findings = findings(&case);
            let ids: BTreeSet<_> = findings.iter().map(|finding| finding.rule.id).collect();
            let mut others = ids.clone();
            assert!(others.remove(case.rule), "{} gave {ids:?}", case.rule);
            others.retain(|id| !companions(case.rule).contains(id));
            assert!(others.is_empty(), "{} also gave {others:?}", case.rule);
            case.rule
        })
        .collect();
    let meta = Meta::parse(text(NEWER).as_bytes()).unwrap();
    for config in ["cpus=2", "memory.size=65M", "name=other"] {
        let config = Config::parse(config.as_bytes()).unwrap();
        let findings = disagreements(&config, &meta);
        assert_eq!(findings.len(), 1, "{findings:?}");
        seen.extend(findings.iter().map(|finding| finding.rule.id));
    }
    let untested: Vec<_> =
        rules::all().map(|rule| rule.id).filter(|id| !seen.contains(id)).collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
}

#[test]
fn a_matching_configuration_has_no_disagreements() {
    let meta = Meta::parse(text(NEWER).as_bytes()).unwrap();
    for config in ["name=fbsd14\ncpus=1\nmemory.size=64M", "bhyve -c 1 -m 64 fbsd14", "uuid=1"] {
        let config = Config::parse(config.as_bytes()).unwrap();
        assert_eq!(disagreements(&config, &meta), []);
    }
}

#[test]
fn an_error_names_record_key_and_line() {
    let text = text(NEWER).replacen("\"size\": 4169", "\"size\": -4169", 1);
    let error = Meta::parse(text.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "size of kern_structs[3] vlapic is -4169, a negative number at line 27 column 15"
    );
    let finding = error.finding();
    assert_eq!(finding.to_string().lines().count(), 1);
    assert_eq!(finding.rule.id, "meta-number-negative");
}

#[test]
fn a_finding_says_where_and_with_which_values() {
    let mismatch = case("ncpus-mismatch", NEWER, &[("\"ncpus\": 1", "\"ncpus\": 2")]);
    assert_eq!(
        findings(&mismatch)[0].to_string(),
        ".meta basic metadata ncpus: the per-CPU records are for another number of virtual CPUs \
         (ncpus 2, records for 1)"
    );
}

#[test]
fn a_text_that_ends_too_early_says_what_is_missing_once() {
    let finding = |text: &[u8]| Meta::parse(text).unwrap_err().finding().to_string();
    assert_eq!(
        finding(b""),
        ".meta line 1 column 1: the text ends too early (because there is no text)"
    );
    assert_eq!(
        finding(b"{\n  \"devices\": ["),
        ".meta line 2 column 15: the text ends too early (because a value is not finished)"
    );
}

#[test]
fn a_key_that_stands_twice_under_an_unknown_one_is_named() {
    let text =
        text(NEWER).replacen("\"size\": 284", "\"x\": [{\"a\": 1, \"a\": 2}], \"size\": 284", 1);
    let error = Meta::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("a stands twice in x of kern_structs[0] vhpet at line "), "{error}");
}
