//! `snaptool inspect`: what it shows of whole and of damaged snapshots, and what it must not show.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use snaptool::cmd::inspect::{Args, inspect};
use snaptool::exit::{Answer, hints};
use snaptool::links::Where;
use snaptool::progress::Options;
use snaptool::signal::Stop;
use tempfile::{TempDir, tempdir};
use tests::{fixtures, image};

/// A folder with one file in it.
struct Given {
    dir: TempDir,
}

impl Given {
    fn new(bytes: &[u8]) -> Self {
        let given = Self { dir: tempdir().unwrap() };
        given.put(bytes);
        given
    }

    fn put(&self, bytes: &[u8]) {
        fs::write(self.dir.path().join("a.snap"), bytes).unwrap();
    }

    fn try_run(&self, path: &str, json: bool, full: bool) -> anyhow::Result<(Answer, Vec<u8>)> {
        run(&self.dir.path().join("a.snap"), path, json, full)
    }

    /// The text, with the name of the folder taken out.
    fn text(&self, path: &str) -> (Answer, String) {
        let (answer, out) = self.try_run(path, false, false).unwrap();
        let dir = format!("{}/", self.dir.path().display());
        (answer, String::from_utf8(out).unwrap().replace(&dir, ""))
    }

    fn json(&self, path: &str, full: bool) -> (Answer, Value) {
        let (answer, out) = self.try_run(path, true, full).unwrap();
        (answer, serde_json::from_slice(&out).unwrap())
    }
}

fn run(input: &Path, path: &str, json: bool, full: bool) -> anyhow::Result<(Answer, Vec<u8>)> {
    let path = (!path.is_empty()).then(|| path.to_owned());
    let args = Args {
        input: input.to_owned(),
        path,
        fields: false,
        summary: false,
        json,
        full,
        chain: Where::default(),
        progress: Options::default(),
    };
    let mut out = Vec::new();
    let answer = inspect(&args, &Stop::never(), true, &mut out)?;
    Ok((answer, out))
}

fn small() -> Vec<u8> {
    image::pack(&image::small().unwrap()).unwrap()
}

fn flipped(bytes: &[u8], at: u64) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy[usize::try_from(at).unwrap()] ^= 4;
    copy
}

/// The offset of the part that holds a record.
fn part_of(given: &Given, name: &str) -> u64 {
    let (_, facts) = given.json("", false);
    let records = facts["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["name"] == name).unwrap();
    record["part_offset"].as_u64().unwrap()
}

#[test]
fn a_whole_file() {
    let given = Given::new(&small());
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::Yes);
    insta::assert_snapshot!("whole", text);
}

#[test]
fn a_flip_in_a_record() {
    let given = Given::new(&small());
    let at = part_of(&given, "vlapic");
    given.put(&flipped(&small(), at + 1000));
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::No);
    insta::assert_snapshot!("flip_in_record", text);
}

#[test]
fn a_flip_in_a_frame() {
    let given = Given::new(&small());
    let at = part_of(&given, "vmcx");
    given.put(&flipped(&small(), at + 40));
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::No);
    insta::assert_snapshot!("flip_in_frame", text);
}

#[test]
fn a_flip_in_the_header() {
    let given = Given::new(&small());
    // One letter of the producer's name.
    let bytes = small();
    let at = bytes.windows(8).position(|bytes| bytes == b"test 1.0").unwrap();
    given.put(&flipped(&bytes, at as u64));
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::No);
    insta::assert_snapshot!("flip_in_header", text);
    let (_, header) = given.text("header");
    assert!(header.lines().all(|line| line.contains("claimed: ")), "{header}");
    let (_, facts) = given.json("", false);
    assert!(facts["header"].is_null());
    assert_eq!(facts["claims"]["header"]["vm_name"], "small");
    assert!(facts["root"].is_null() && facts["content"].is_null());
}

#[test]
fn a_file_cut_in_half() {
    let bytes = small();
    let given = Given::new(&bytes[..bytes.len() / 2]);
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::No);
    insta::assert_snapshot!("cut_in_half", text);
}

#[test]
fn a_newer_version_says_who_wrote_it_when_and_of_which_machine() {
    let mut bytes = small();
    bytes[56] = 9;
    let digest = snapfmt::Digest::of(&bytes[..4064]);
    bytes[4064..4096].copy_from_slice(digest.as_bytes());
    let given = Given::new(&bytes);
    let (answer, text) = given.text("");
    assert_eq!(answer, Answer::No);
    for words in [
        "claimed: test 1.0",
        "claimed: small",
        "claimed: 2026-11-23T06:27:13Z",
        "claimed: 9",
        "hint: a newer version of this tool wrote the file",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_is_no_snapshot_is_said_to_be_none() {
    for bytes in [&b""[..], b"hello"] {
        let (answer, facts) = Given::new(bytes).json("", false);
        assert_eq!(answer, Answer::No);
        assert_eq!(facts["damage"][0]["fault"], "not-a-snapshot");
        assert_eq!(facts["damage"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn whatever_bit_is_flipped_nothing_is_shown_that_was_not_there() {
    let bytes = small();
    let given = Given::new(&bytes);
    let (_, whole) = given.json("", false);
    let records = whole["records"].as_array().unwrap();
    let layout = whole["layout"].as_array().unwrap();
    let memory = layout.iter().find(|range| range["what"] == "memory").unwrap();
    let end = usize::try_from(memory["offset"].as_u64().unwrap()).unwrap();
    // The header block's padding is checked by its digest like all else, so few of it will do.
    for at in (0..400).step_by(3).chain((400..4064).step_by(197)).chain((4064..end).step_by(19)) {
        let mut copy = bytes.clone();
        copy[at] ^= 1 << (at % 8);
        given.put(&copy);
        let (answer, facts) = given.json("", false);
        assert_eq!(answer, Answer::No, "{at:#x}");
        assert_eq!(facts["intact"], false);
        let same = |key: &str| facts[key].is_null() || facts[key] == whole[key];
        assert!(["header", "vm", "meta", "config"].iter().all(|key| same(key)), "{at:#x}");
        assert!(["root", "content", "memory_root"].iter().all(|key| facts[key].is_null()));
        assert!(facts["damage"].as_array().unwrap().iter().any(|damage| {
            let from = damage["offset"].as_u64().unwrap();
            damage["length"].as_u64().is_some() || from > 0
        }));
        for record in facts["records"].as_array().unwrap() {
            let mut record = record.clone();
            let was = records.iter().find(|was| was["part_offset"] == record["part_offset"]);
            if record["offset"].is_null() {
                record["offset"] = was.unwrap()["offset"].clone();
            }
            // Which layouts are possible takes the machine and `.meta`.
            if facts["vm"].is_null() || facts["meta"].is_null() {
                assert!(record["no_fields"].is_null());
                record["no_fields"] = was.unwrap()["no_fields"].clone();
            }
            assert_eq!(Some(&record), was, "{at:#x}");
        }
        let mut free = 0;
        for range in facts["layout"].as_array().unwrap() {
            assert_eq!(range["offset"], free);
            free += range["length"].as_u64().unwrap();
        }
        assert_eq!(free, bytes.len() as u64);
    }
}

#[test]
fn the_account_of_a_whole_file_is_whole_too() {
    let given = Given::new(&small());
    for full in [false, true] {
        let (answer, facts) = given.json("", full);
        assert_eq!(answer, Answer::Yes);
        let mut free = 0;
        for range in facts["layout"].as_array().unwrap() {
            assert_eq!(range["offset"], free, "{full} {facts:#}");
            free += range["length"].as_u64().unwrap();
        }
        assert_eq!(facts["size"], free);
    }
}

#[test]
fn both_ways_to_read_give_the_same_facts() {
    let given = Given::new(&small());
    let (_, map) = given.json("", false);
    let (_, full) = given.json("", true);
    for key in ["root", "content", "memory_root", "header", "vm", "records", "findings", "config"] {
        assert_eq!(map[key], full[key]);
    }
    assert_eq!(map["memory"]["segments"], full["memory"]["segments"]);
    assert_eq!((&map["checked"], &full["checked"]), (&"map".into(), &"full".into()));
    assert_eq!(full["memory"]["verified_pages"], 3);
    assert_eq!(full["not_checked"], serde_json::json!([]));
}

#[test]
fn damage_to_memory_is_found_only_if_memory_is_read() {
    let given = Given::new(&small());
    let bytes = small();
    let at = bytes.windows(7).position(|bytes| bytes == b"page 1 ").unwrap();
    given.put(&flipped(&bytes, at as u64));
    let (answer, facts) = given.json("", false);
    assert_eq!(answer, Answer::Yes);
    assert_eq!(facts["not_checked"].as_array().unwrap().len(), 1);
    let (answer, facts) = given.json("", true);
    assert_eq!(answer, Answer::No);
    assert_eq!(facts["damage"][0]["section"], "memory extent at GPA 0x0");
    assert_eq!(facts["memory"]["verified_extents"], 1);
    assert!(facts["memory"]["data_pages"].is_null());
}

/// Runs on a FIFO into which a thread writes.
fn piped(bytes: &[u8], json: bool) -> (Answer, String) {
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (path, bytes) = (fifo.clone(), bytes.to_vec());
    // The reader may leave at the first damage.
    let writer = std::thread::spawn(move || fs::write(path, bytes).is_ok());
    let (answer, out) = run(&fifo, "", json, false).unwrap();
    writer.join().unwrap();
    let dir = format!("{}/", dir.path().display());
    (answer, String::from_utf8(out).unwrap().replace(&dir, ""))
}

#[test]
fn a_pipe_gives_the_same_facts_as_a_file() {
    let (answer, out) = piped(&small(), true);
    assert_eq!(answer, Answer::Yes);
    let mut one: Value = serde_json::from_str(&out).unwrap();
    let (_, mut other) = Given::new(&small()).json("", true);
    one["input"] = Value::Null;
    other["input"] = Value::Null;
    assert_eq!(one, other);
}

#[test]
fn a_damaged_pipe_shows_what_came_before_the_damage() {
    let given = Given::new(&small());
    let at = part_of(&given, "vlapic");
    let (answer, out) = piped(&flipped(&small(), at + 1000), false);
    assert_eq!(answer, Answer::No);
    insta::assert_snapshot!("damaged_pipe", out);
}

#[test]
fn a_newer_version_in_a_pipe_says_who_wrote_it_too() {
    let mut bytes = small();
    bytes[56] = 9;
    let digest = snapfmt::Digest::of(&bytes[..4064]);
    bytes[4064..4096].copy_from_slice(digest.as_bytes());
    let (answer, out) = piped(&bytes, true);
    assert_eq!(answer, Answer::No);
    let facts: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(facts["damage"][0]["fault"], "version");
    assert_eq!(facts["claims"]["header"]["producer"], "test 1.0");
}

#[test]
fn a_path_shows_one_thing() {
    let given = Given::new(&small());
    let (_, all) = given.json("", false);
    for path in ["header", "vm", "memory", "layout", "damage", "findings"] {
        assert_eq!(given.json(path, false).1, all[path]);
        assert_eq!(given.text(path).0, Answer::Yes);
    }
    assert_eq!(given.json("devices", false).1, all["records"]);
    assert_eq!(given.json("kern_structs", false).1.as_array().unwrap().len(), 9);
    let plain = image::small().unwrap();
    assert_eq!(given.text("meta").1.as_bytes(), [&plain.meta[..], b"\n"].concat());
    assert_eq!(given.text("config").1.as_bytes(), plain.config.clone().unwrap().text);
    let (_, vrtc) = given.text("devices/vrtc");
    assert!(vrtc.contains(all["records"][8]["sha256"].as_str().unwrap()), "{vrtc}");
    let (_, raw) = given.json("kern_structs/vrtc/raw", false);
    assert_eq!(raw[0]["bytes"], hex::encode(&plain.kern[0x18df..][..140]));
    let (_, raw) = given.text("devices/vpmtmr/raw");
    let bytes: Vec<_> = plain.kern[0x18db..][..4].iter().map(|b| format!("{b:02x}")).collect();
    assert!(raw.starts_with(&format!("00000000  {} ", bytes.join(" "))), "{raw}");
    assert!(raw.ends_with("\n00000004\n"));
}

#[test]
fn a_path_that_names_nothing_says_what_there_is() {
    let given = Given::new(&small());
    let refuse = |path: &str| hints(&given.try_run(path, false, false).unwrap_err()).join(" ");
    assert!(refuse("nothing").contains("header, vm, memory"));
    assert!(refuse("devices/nothing").contains("kern_structs/vrtc, devices/pci.0.3.0 virtio-blk"));
    assert!(!refuse("devices/nothing").contains('\u{1b}'));
    assert!(refuse("structs/vm").contains("kern_structs/vm"));
}

#[test]
fn nothing_that_is_shown_moves_the_cursor() {
    let given = Given::new(&small());
    for path in ["", "devices", "layout", "findings", "meta", "config"] {
        let (_, out) = given.try_run(path, false, false).unwrap();
        let odd = |byte: &u8| *byte < 0x20 && *byte != b'\n' || *byte == 0x7f;
        assert!(!out.iter().any(odd), "{path}");
    }
}

/// What a set of three files holds, found out without any of our code.
fn expected_records(base: &Path) -> Vec<(String, String, u64, u64, String)> {
    let meta = fs::read(base.with_file_name("vm.ckp.meta")).unwrap();
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    let kern = fs::read(base.with_file_name("vm.ckp.kern")).unwrap();
    let mut records = Vec::new();
    for (section, name) in
        [("kern_structs", "device"), ("structs", "debug_name"), ("devices", "device")]
    {
        for entry in meta[section].as_array().into_iter().flatten() {
            let (size, at) = (entry["size"].as_u64(), entry["file_offset"].as_u64());
            let (size, at) = (size.unwrap(), at.unwrap());
            let from = usize::try_from(at).unwrap();
            let bytes = &kern[from..from + usize::try_from(size).unwrap()];
            let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes));
            let name = entry[name].as_str().or_else(|| entry["snapshot_req"].as_str()).unwrap();
            records.push((section.to_owned(), name.to_owned(), at, size, digest));
        }
    }
    records.sort();
    records
}

fn shown_records(facts: &Value) -> Vec<(String, String, u64, u64, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let records = facts["records"].as_array().unwrap();
    let mut records: Vec<_> = records
        .iter()
        .map(|r| {
            let (offset, size) = (r["offset"].as_u64().unwrap(), r["size"].as_u64().unwrap());
            (text(&r["section"]), text(&r["name"]), offset, size, text(&r["sha256"]))
        })
        .collect();
    records.sort();
    records
}

#[test]
fn fixtures_have_the_same_facts_as_three_files_and_as_one() {
    for name in fixtures::fixtures() {
        let dir = tempdir().unwrap();
        let bytes = image::pack_fixture(name, dir.path()).unwrap();
        let base = dir.path().join(fixtures::BASE);
        let json = |path: &Path, full| {
            let (answer, out) = run(path, "", true, full).unwrap();
            assert_eq!(answer, Answer::Yes, "{name}: {}", String::from_utf8_lossy(&out));
            serde_json::from_slice::<Value>(&out).unwrap()
        };
        let given = Given::new(&bytes);
        let one = json(&given.dir.path().join("a.snap"), false);
        let three = json(&base, false);
        let full = json(&base, true);
        let expected = expected_records(&base);
        for facts in [&one, &three, &full] {
            assert_eq!(shown_records(facts), expected, "{name}");
            assert_eq!(facts["vm"], one["vm"]);
        }
        assert_eq!((&one["kind"], &three["kind"]), (&"snapshot".into(), &"three-file".into()));
        assert!(three["memory_root"].is_null() && three["memory"]["data_pages"].is_null());
        assert_eq!(one["memory_root"], full["memory_root"], "{name}");
        assert_eq!(one["content"], full["content"]);
        for key in ["data_pages", "zero_pages"] {
            assert_eq!(one["memory"][key], full["memory"][key]);
            assert!(one["memory"][key].is_u64());
        }
        let gpa = |facts: &Value| {
            let segments = facts["memory"]["segments"].as_array().unwrap().clone();
            segments.into_iter().map(|s| (s["gpa"].clone(), s["len"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(gpa(&one), gpa(&three));
        assert_eq!(one["size"], bytes.len());
    }
}

#[test]
fn broken_sets_are_shown_with_what_is_wrong() {
    let name = fixtures::fixtures()[1];
    let dir = tempdir().unwrap();
    let mut found = 0;
    for variant in fixtures::variants(name).unwrap() {
        let base = fixtures::unpack_without_memory(name, dir.path()).unwrap();
        fixtures::apply_broken(&variant, dir.path()).unwrap();
        let (answer, out) = run(&base, "", true, false).unwrap();
        let facts: Value = serde_json::from_slice(&out).unwrap();
        let findings = facts["findings"].as_array().unwrap();
        found += findings.len();
        assert_eq!(answer == Answer::No, findings.iter().any(|f| f["severity"] == "refuse"));
        run(&base, "", false, false).unwrap();
    }
    assert!(found > 20, "{found}");
}

#[test]
fn three_files_for_people() {
    let dir = tempdir().unwrap();
    let base = fixtures::unpack(fixtures::fixtures()[4], dir.path()).unwrap();
    let (answer, out) = run(&base, "", false, true).unwrap();
    assert_eq!(answer, Answer::Yes);
    let text = String::from_utf8(out).unwrap();
    let dir = format!("{}/", dir.path().display());
    insta::assert_snapshot!("three_files", text.replace(&dir, ""));
}
