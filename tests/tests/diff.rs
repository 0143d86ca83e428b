//! `snaptool diff`: what it finds, held against a comparison byte by byte, and what it reads.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "diff/fixtures.rs"]
mod fixtures;
#[path = "diff/kit.rs"]
mod kit;
#[path = "diff/pages.rs"]
mod pages;
#[path = "diff/state.rs"]
mod state;

use kit::{Given, ranges};
use snapfmt::part::codec::Compression;
use snapfmt::read::Seeker;
use snaptool::exit::Answer;
use tests::{image, images};

fn plan() -> images::Plan {
    images::plans().swap_remove(2)
}

#[test]
fn the_same_state_is_the_same_however_it_was_written() {
    let mut other = plan();
    other.compression = Compression::None;
    other.header.created += 5;
    other.header.uuid = "11111111-2222-4333-8444-555555555555".to_owned();
    other.blocks = vec![
        // The page of zeros that the first one stores is not stored here.
        images::block(0, 1 << 20, &[(0, 1), (15, 9), (65, 2), (66, 3), (127, 3)]),
    ];
    let given = Given::files(&plan(), &other);
    let (answer, facts) = given.json();
    assert_eq!((answer, &facts["same"]), (Answer::Yes, &true.into()), "{facts:#}");
    assert_eq!(facts["a"]["content"], facts["b"]["content"]);
    assert_ne!(facts["a"]["root"], facts["b"]["root"]);
    let what: Vec<_> = facts["header"].as_array().unwrap().iter().map(|d| &d["what"]).collect();
    assert_eq!(what, ["uuid", "created"]);
    assert_eq!(facts["memory"]["pages"], 0);
    // The roots over differently sized extents are equal: none was opened.
    assert_eq!((&facts["memory"]["read_a"], &facts["memory"]["read_b"]), (&0.into(), &0.into()));
    let (answer, text) = given.text(false);
    assert_eq!(answer, Answer::Yes);
    assert!(text.contains("\nsame content\nnot checked: RAM with equal digests"), "{text}");
}

#[test]
fn one_byte_in_a_record() {
    let mut other = plan();
    other.records[1].2[3] ^= 1;
    let (answer, facts) = Given::files(&plan(), &other).json();
    assert_eq!(answer, Answer::No);
    assert_eq!(facts["records"]["same"], 2);
    let changed = facts["records"]["changed"].as_array().unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0]["name"], &changed[0]["change"]), (&"vm".into(), &"changed".into()));
    assert_eq!((&changed[0]["bytes"], &changed[0]["range_count"]), (&1.into(), &1.into()));
    assert_eq!(changed[0]["ranges"], serde_json::json!([{ "offset": 3, "length": 1 }]));
    assert_eq!(facts["memory"]["pages"], 0);
}

#[test]
fn a_record_of_another_size_and_one_on_one_side_only() {
    let mut other = plan();
    other.records[0].2.push(7);
    other.records[2].1 = "virtio-rnd".to_owned();
    other.meta = images::meta(&other.vm, 'B', &other.records);
    let (answer, facts) = Given::files(&plan(), &other).json();
    assert_eq!(answer, Answer::No);
    let changed = facts["records"]["changed"].as_array().unwrap();
    let kinds: Vec<_> = changed.iter().map(|one| one["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["changed", "only-a", "only-b"]);
    let sizes = (&changed[0]["a"]["size"], &changed[0]["b"]["size"], &changed[0]["bytes"]);
    assert_eq!(sizes, (&60.into(), &61.into(), &0.into()));
    assert!(!facts["meta"].as_array().unwrap().is_empty());
}

#[test]
fn pages_change_appear_and_vanish() {
    let mut other = plan();
    other.blocks = vec![
        images::block(0, 1 << 16, &[(0, 5), (4, 8), (5, 8), (7, 0)]),
        images::block(1 << 18, 1 << 18, &[(1, 2), (2, 3), (63, 3)]),
    ];
    let given = Given::files(&plan(), &other);
    let (answer, facts) = given.json();
    assert_eq!(answer, Answer::No);
    let expected =
        [(0, 1, "data-to-data"), (0x4000, 2, "zero-to-data"), (0xf000, 1, "data-to-zero")];
    assert_eq!(ranges(&facts), expected.map(|(gpa, n, kind)| (gpa, n, kind.to_owned())));
    let memory = &facts["memory"];
    let counts = ["pages", "zero_to_data", "data_to_zero", "data_to_data", "bytes", "range_count"];
    assert_eq!(counts.map(|name| memory[name].as_u64().unwrap()), [4, 2, 1, 1, 4 * 4096, 3]);
    // The second extent is the same, and was not read.
    assert_eq!((memory["read_a"].as_u64(), memory["read_b"].as_u64()), (Some(3), Some(4)));
    let (_, text) = given.text(false);
    assert!(text.contains("  0x000004000-0x000005fff         2  zero -> data\n"), "{text}");
    assert!(text.contains("the contents differ: 0 records, 4 pages"), "{text}");
}

#[test]
fn machines_of_other_sizes() {
    let (small, large) = (kit::memory(&[(0, 1 << 20)]), kit::memory(&[(0, 3 << 20)]));
    let mut a = plan();
    let mut b = plan();
    a.vm.memory = small;
    b.vm.memory = large;
    b.vm.ncpus = 2;
    for plan in [&mut a, &mut b] {
        plan.meta = images::meta(&plan.vm, 'B', &plan.records);
    }
    b.blocks.push(images::block(2 << 20, 1 << 20, &[(5, 1)]));
    let given = Given::files(&a, &b);
    let (answer, facts) = given.json();
    assert_eq!(answer, Answer::No);
    let decided = |one: &&serde_json::Value| one["decides"] == true;
    let machine = facts["machine"].as_array().unwrap().iter().filter(decided);
    let what: Vec<_> = machine.map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["ncpus", "memsize", "map"]);
    let memory = &facts["memory"];
    let counts = ["pages", "only_a", "only_b"].map(|name| memory[name].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 512]);
}

#[test]
fn a_configuration_is_compared_by_what_it_says_and_does_not_count() {
    let a = image::small().unwrap();
    let mut b = a.clone();
    let config = b.config.as_mut().unwrap();
    let text = String::from_utf8(config.text.clone()).unwrap();
    config.text = text.replace("/disk.img", "/other.img").into_bytes();
    config.files.clear();
    let given = Given::bytes(&image::pack(&a).unwrap(), &image::pack(&b).unwrap());
    let (answer, facts) = given.json();
    assert_eq!(answer, Answer::Yes);
    let config = facts["config"].as_array().unwrap();
    let what: Vec<_> = config.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["disk 0.3.0", "file /disk.img", "sha256", "size"]);
    assert!(config.iter().all(|one| one["decides"] == false));
}

#[test]
fn three_files_against_the_file_that_was_packed_of_them() {
    let mut plain = image::small().unwrap();
    let given = Given::bytes(&image::pack(&plain).unwrap(), b"");
    given.set("b", &plain);
    let (answer, facts) = given.json();
    assert_eq!((answer, &facts["b"]["kind"]), (Answer::Yes, &"three-file".into()), "{facts:#}");
    assert_eq!(facts["memory"]["read_b"], 0);
    plain.ram[300 * 4096 + 17] ^= 1;
    plain.ram[512 * 4096 - 1] = 1;
    plain.ram[4096..8192].fill(0);
    given.set("b", &plain);
    let (answer, facts) = given.json();
    assert_eq!(answer, Answer::No);
    let kinds = ["data-to-zero", "data-to-data", "zero-to-data"].map(str::to_owned);
    let found: Vec<_> = ranges(&facts);
    assert_eq!(found.iter().map(|range| range.2.clone()).collect::<Vec<_>>(), kinds);
    assert_eq!(found.iter().map(|range| range.0 / 4096).collect::<Vec<_>>(), [1, 300, 511]);
    // And two sets.
    given.set("a", &image::small().unwrap());
    let (answer, both) = given.json();
    assert_eq!((answer, ranges(&both)), (Answer::No, found));
    assert_eq!(both["memory"]["bytes"], facts["memory"]["bytes"]);
}

#[test]
fn damage_is_trouble_and_no_answer() {
    let (good, _) = plan().write().unwrap();
    let mut other = plan();
    other.blocks[0] = images::block(0, 1 << 16, &[(0, 1), (15, 8)]);
    let (changed, _) = other.write().unwrap();
    let extent = kit::entries(&changed)[0];
    let maps = Seeker::open(changed.as_slice()).unwrap().index().maps.clone();
    for at in [70, 4200, extent.offset + 200, maps[0].offset + 200] {
        let mut bytes = changed.clone();
        bytes[usize::try_from(at).unwrap()] ^= 1;
        for given in [Given::bytes(&good, &bytes), Given::bytes(&bytes, &good)] {
            let (error, out) = given.trouble();
            assert!(out.is_empty());
            assert!(error.contains("cannot be compared"), "{error}");
            assert!(error.contains("hint: `snaptool verify`"), "{error}");
        }
    }
    // An extent that is the same by its digest is not read.
    let mut bytes = good.clone();
    bytes[usize::try_from(kit::entries(&good)[1].offset).unwrap() + 200] ^= 1;
    assert_eq!(Given::bytes(&good, &bytes).json().0, Answer::Yes);
    let (error, _) = Given::bytes(&good, b"something else").trouble();
    assert!(error.contains("hint: name a snapshot file"), "{error}");
}

#[test]
fn a_set_that_breaks_the_rules_is_trouble() {
    let mut plain = image::small().unwrap();
    let given = Given::bytes(&image::pack(&plain).unwrap(), b"");
    plain.kern.truncate(100);
    given.set("b", &plain);
    let (error, _) = given.trouble();
    assert!(error.contains("cannot be compared"), "{error}");
    assert!(error.contains("hint: `snaptool verify`"), "{error}");
}

#[test]
fn a_pipe_is_trouble_with_a_hint() {
    let given = Given::files(&plan(), &plan());
    std::fs::remove_file(given.path("b")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, given.path("b"), 0o600.into()).unwrap();
    let (error, _) = given.trouble();
    assert!(error.contains("hint: save the snapshot to a file first"), "{error}");
}

#[test]
fn text_lists_a_hundred_ranges_unless_asked_for_all() {
    let (mut a, mut b) = (plan(), plan());
    a.blocks.clear();
    let pages: Vec<_> = (0..121).map(|n| (n * 2, 1)).collect();
    b.blocks = vec![images::block(0, 1 << 20, &pages)];
    let given = Given::files(&a, &b);
    let count = |text: &str| text.lines().filter(|line| line.starts_with("  0x")).count();
    let (_, text) = given.text(false);
    assert_eq!(count(&text), 100);
    assert!(text.contains("\n  and 21 more ranges; --all shows them\n"), "{text}");
    assert_eq!(count(&given.text(true).1), 121);
    assert_eq!(ranges(&given.json().1).len(), 121);
}

#[test]
fn names_from_a_file_are_harmless_on_a_terminal() {
    let (a, mut b) = (image::small().unwrap(), image::small().unwrap());
    for byte in &mut b.kern {
        *byte ^= 1;
    }
    let (_, text) = Given::bytes(&image::pack(&a).unwrap(), &image::pack(&b).unwrap()).text(true);
    assert!(text.contains("odd\\u{1b}[31m") && !text.contains('\u{1b}'), "{text}");
}
