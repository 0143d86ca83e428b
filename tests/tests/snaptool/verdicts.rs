//! Yes, no, and trouble: exit codes, what goes to which stream, and what JSON says.

use std::fs::{self, File};

use serde_json::Value;
use snapfmt::bhyve::{self, Meta, Severity};
use snapfmt::read::Seeker;
use tests::fixtures::{apply_broken, fixtures, unpack_without_memory, variants};

use crate::kit::{Bench, FIXTURE, SET};

const WRONG: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

/// Checks the form of one JSON object and returns it.
#[track_caller]
pub(crate) fn object(line: &str) -> Value {
    let object: Value = serde_json::from_str(line).unwrap();
    assert!(object["input"].is_string() && object["kind"].is_string(), "{line}");
    assert_eq!(object["schema"], 2, "{line}");
    assert!(object["ok"].is_boolean() || object["trouble"].is_string(), "{line}");
    assert!(object["not_checked"].as_array().unwrap().iter().all(Value::is_string), "{line}");
    for finding in object["findings"].as_array().unwrap() {
        let about = finding["about"].as_str().unwrap();
        let named = match about {
            "file" => finding["fault"].is_string(),
            "structure" => finding["rule"].is_string() && finding["evidence"].is_string(),
            "state" => finding["rule"].is_string() && finding["field"].is_string(),
            "layout" => true,
            _ => false,
        };
        let verdict = ["fail", "warn"].contains(&finding["verdict"].as_str().unwrap());
        let place = finding["place"].is_string() && finding["message"].is_string();
        let offset = finding["offset"].is_u64() || finding["offset"].is_null();
        assert!(named && verdict && place && offset, "{line}");
    }
    object
}

#[test]
fn damage_anywhere_is_named_by_section_and_offset() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let good = bench.read("a.snap");
    let seeker = Seeker::open(good.as_slice()).unwrap();
    let mut places = vec![(100, "header block".to_owned())];
    for part in &seeker.index().parts {
        let name = part.record.as_ref().map_or_else(
            || format!("{} part", part.kind),
            |record| format!("device record {}/{}", record.section, record.name),
        );
        // The frame's payload digest, and a byte behind the frame.
        places.extend([(part.offset + 70, name.clone()), (part.offset + 130, name)]);
    }
    let map = &seeker.index().maps[0];
    places.push((map.offset + map.length - 90, "MAP part".to_owned()));
    places.push((map.offset - 70, "memory extent at GPA ".to_owned()));
    places.push((good.len() as u64 - 200, "INDEX part".to_owned()));
    places.push((good.len() as u64 - 10, "trailer".to_owned()));
    assert!(places.len() > 20);
    for (at, section) in places {
        let mut bad = good.clone();
        bad[usize::try_from(at).unwrap()] ^= 0x10;
        bench.write("bad.snap", &bad);
        let ended = bench.run("verify bad.snap");
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), ""), "{at}");
        let first = ended.stdout.lines().next().unwrap();
        assert!(first.starts_with("bad.snap: ") && first.contains(&section), "{at}: {first}");
        assert!(first.contains(", offset 0x"), "{at}: {first}");

        let ended = bench.run("verify --json bad.snap");
        assert_eq!((ended.code(), ended.stdout.lines().count()), (Some(1), 1));
        let object = object(&ended.stdout);
        let finding = &object["findings"][0];
        assert_eq!((&object["ok"], &finding["verdict"]), (&false.into(), &"fail".into()));
        assert!(finding["place"].as_str().unwrap().contains(&section));
        let offset = finding["offset"].as_u64().unwrap();
        assert!(offset <= at, "{offset} is after the damage at {at}");
        bench.run("unpack bad.snap -o b").refusal();
    }
    assert!(!bench.path("b.meta").exists());
}

#[test]
fn what_is_missing_or_too_much_at_the_end_is_no() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let good = bench.read("a.snap");
    let mut cut: Vec<Vec<u8>> =
        [1, 127, 128, 129, 4096, good.len() - 1].map(|n| good[..good.len() - n].to_vec()).into();
    cut.push([good.as_slice(), b"x"].concat());
    for bad in cut {
        bench.write("bad.snap", &bad);
        for check in ["", "--quick", "--map"] {
            let ended = bench.run(&format!("verify {check} bad.snap"));
            assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), ""), "{}", bad.len());
            assert!(ended.stdout.contains(", offset 0x"), "{}", ended.stdout);
        }
        assert_eq!(bench.feed("verify -", &bad).code(), Some(1));
    }
}

#[test]
fn mistakes_on_the_command_line_are_trouble_told_on_stderr() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    let before = bench.names();
    for line in [
        "",
        "frobnicate",
        "pack",
        "pack vm.ckp vm.ckp",
        "pack vm.ckp --compress lzma",
        "pack vm.ckp --compress zstd:20",
        "pack vm.ckp --compress zstd:-8",
        "pack vm.ckp --compress zstd:",
        "pack vm.ckp.meta",
        "pack nope",
        "pack .",
        "pack -",
        "pack vm.ckp -o nowhere/a",
        "pack vm.ckp -o .",
        "pack vm.ckp --config nope",
        "unpack a.snap",
        "unpack nope -o b",
        "unpack . -o b",
        "unpack a.snap -o -",
        "unpack a.snap -o nowhere/b",
        "verify",
        "verify nope",
        "verify .",
        "verify --quick --map a.snap",
        "verify --expect-root abc a.snap",
        "verify --expect-root zz00 a.snap",
        "nvlist nope",
        "nvlist --json --pack nope",
    ] {
        let ended = bench.run(line);
        assert_eq!(ended.trouble().matches("snaptool: error: ").count(), 1, "{line}: {ended:?}");
        assert!(ended.stderr.starts_with("snaptool: error: "), "{line}: {ended:?}");
        assert_eq!(bench.names(), before, "{line}");
    }
    let ended = bench.run("");
    assert!(ended.stderr.starts_with("snaptool: error: no command given\n"), "{ended:?}");
    assert!(bench.run("verify nope").stderr.contains("\nsnaptool: hint: "));
}

#[test]
fn help_and_version_are_answers() {
    let bench = Bench::empty();
    for line in ["--help", "pack --help", "unpack -h", "verify --help", "nvlist --help"] {
        let ended = bench.run(line);
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("Usage: snaptool"));
        let long = line.ends_with("--help");
        assert_eq!(ended.stdout.contains("Exit status:"), long, "{line}");
        let example =
            ended.stdout.contains(&format!("\n  snaptool {}", line.replace(" --help", "")));
        assert!(example || !long || line == "--help", "{line}: {}", ended.stdout);
    }
    assert!(bench.run("--version").stdout.starts_with("snaptool 0."));
}

#[test]
fn nothing_of_an_existing_set_is_touched() {
    for ending in SET {
        let bench = Bench::fixture(FIXTURE);
        bench.pack("", "a.snap");
        let name = format!("b{ending}");
        bench.write(&name, "someone else's");
        let before = bench.names();
        assert!(bench.run("unpack a.snap -o b").trouble().contains("exists already"));
        assert_eq!(bench.names(), before);
        assert_eq!(bench.read(&name), b"someone else's");
    }
}

#[test]
fn what_an_interrupted_unpack_left_is_called_that() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    for (there, words, hint) in [
        (&["b"][..], "b exists already, and no b.meta: ", "remove b and try"),
        (&["b", "b.kern"], "b exists already, and no b.meta: ", "remove b and b.kern and try"),
        (&["b.kern"], "b.kern exists already, and no b.meta: ", "remove b.kern and try"),
    ] {
        there.iter().for_each(|name| bench.write(name, "left"));
        let ended = bench.run("unpack a.snap -o b");
        let said = ended.trouble();
        assert!(said.contains(words) && said.contains("interrupted unpack"), "{said}");
        assert!(said.contains(hint), "{said}");
        for name in there {
            assert_eq!(bench.read(name), b"left");
            fs::remove_file(bench.path(name)).unwrap();
        }
    }
}

#[test]
fn a_part_of_three_files_is_called_that() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    for part in ["vm.ckp.kern", "vm.ckp.meta"] {
        for (command, code) in [
            (format!("verify {part}"), 1),
            (format!("verify --quick {part}"), 1),
            (format!("inspect {part}"), 1),
            (format!("unpack {part} -o b"), 1),
            (format!("pack {part}"), 2),
        ] {
            let ended = bench.run(&command);
            assert_eq!(ended.code(), Some(code), "{command}: {ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("name vm.ckp, as in `verify vm.ckp`\n"), "{command}: {said}");
        }
    }
    // One that is alone is not.
    fs::remove_file(bench.path("vm.ckp.kern")).unwrap();
    assert!(!bench.run("verify vm.ckp.meta").stdout.contains("three"));
}

#[test]
fn trouble_with_one_input_does_not_keep_others_from_being_checked() {
    let bench = Bench::fixture(FIXTURE);
    bench.pack("", "a.snap");
    bench.write("bad.snap", &bench.read("a.snap")[..5000]);
    let ended = bench.run("verify nope bad.snap nope2 a.snap vm.ckp");
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stdout.starts_with("bad.snap: "), "{ended:?}");
    assert!(!ended.stdout.contains("a.snap: VM") && ended.stderr.contains("cannot open nope: "));
    assert!(ended.stderr.contains("cannot open nope2: "), "{ended:?}");
    assert_eq!(bench.run("verify a.snap bad.snap a.snap").code(), Some(1));

    let ended = bench.run("verify --json nope bad.snap a.snap vm.ckp");
    assert_eq!(ended.code(), Some(2));
    let objects: Vec<_> = ended.stdout.lines().map(object).collect();
    let ok = |value: &Value| value["ok"].clone();
    let expected = [Value::Null, false.into(), true.into(), true.into()];
    assert_eq!(objects.iter().map(ok).collect::<Vec<_>>(), expected);
    let kinds = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(kinds, ["unknown", "snapshot", "snapshot", "three-file"]);
}

#[test]
fn every_check_says_what_it_did_not_check() {
    let bench = Bench::fixture(FIXTURE);
    let (root, _) = bench.pack("", "a.snap");
    let unchecked = |line: &str| object(&bench.run(line).stdout)["not_checked"].to_string();
    let full = unchecked("verify --json a.snap");
    assert!(full.contains("authenticity") && !full.contains("RAM"), "{full}");
    let map = unchecked("verify --json --map a.snap");
    assert!(map.contains("RAM: the pages") && !map.contains("RAM: the maps"), "{map}");
    let quick = unchecked("verify --json --quick a.snap");
    assert!(quick.contains("RAM: the pages") && quick.contains("RAM: the maps"), "{quick}");
    let expected = unchecked(&format!("verify --json --expect-root {root} a.snap"));
    assert!(!expected.contains("authenticity"), "{expected}");
    assert!(unchecked("verify --json vm.ckp").contains("no checksums"));
}

#[test]
fn another_root_than_the_expected_one_is_no() {
    let bench = Bench::fixture(FIXTURE);
    let (root, _) = bench.pack("", "a.snap");
    for check in ["", "--quick", "--map"] {
        bench.run(&format!("verify {check} --expect-root {root} a.snap")).silent(0);
        let ended = bench.run(&format!("verify {check} --expect-root {WRONG} a.snap"));
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(1), ""));
        assert!(ended.stdout.contains(&root) && ended.stdout.contains(WRONG), "{ended:?}");
    }
    let ended = bench.feed(&format!("verify --expect-root {WRONG} -"), &bench.read("a.snap"));
    assert_eq!(ended.code(), Some(1));
    assert!(bench.run(&format!("verify --expect-root {WRONG} vm.ckp")).trouble().contains("root"));
}

/// Whether the structure rules refuse the set, found out without the program.
fn is_refused(bench: &Bench) -> bool {
    let length = |name| fs::metadata(bench.path(name)).unwrap().len();
    Meta::parse(&bench.read("vm.ckp.meta")).map_or(true, |meta| {
        let findings = bhyve::check(&meta, length("vm.ckp.kern"), length("vm.ckp"));
        findings.iter().any(|finding| finding.severity() == Severity::Refuse)
    })
}

#[test]
fn structurally_broken_sets_are_refused_and_nothing_is_written() {
    for name in fixtures() {
        let whole = Bench::empty();
        unpack_without_memory(name, &whole.path("")).unwrap();
        let mut refused = 0;
        for variant in variants(name).unwrap() {
            let bench = Bench::empty();
            for ending in [".kern", ".meta"] {
                let file = format!("vm.ckp{ending}");
                fs::copy(whole.path(&file), bench.path(&file)).unwrap();
            }
            let memory = fs::metadata(whole.path("vm.ckp")).unwrap().len();
            File::create(bench.path("vm.ckp")).unwrap().set_len(memory).unwrap();
            apply_broken(&variant, &bench.path("")).unwrap();
            if !is_refused(&bench) {
                continue;
            }
            refused += 1;
            let words = bench.run("pack vm.ckp -o a.snap").refusal().to_owned();
            assert!(words.contains("snaptool: hint: "), "{name} {}: {words}", variant.name);
            assert_eq!(bench.names(), ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]);
            let ended = bench.run("verify vm.ckp");
            assert_eq!((ended.code(), ended.stdout.is_empty()), (Some(1), false));
            let object = object(&bench.run("verify --json vm.ckp").stdout);
            assert!(object["ok"] == false && object["findings"][0]["rule"].is_string());
        }
        assert!(refused >= 15, "{name}: only {refused} variants");
    }
}

#[test]
fn a_set_with_a_warning_is_packed_and_checked_with_the_warning_on_stderr() {
    let bench = Bench::fixture(FIXTURE);
    bench.edit("vm.ckp.meta", "lpc@pci.0.31.0", "xyz@pci.0.31.0");
    let ended = bench.run("pack vm.ckp -o a.snap");
    assert_eq!(ended.code(), Some(0));
    assert!(ended.stderr.starts_with("snaptool: note: vm.ckp: device"), "{ended:?}");
    for line in ["verify vm.ckp", "verify a.snap", "verify --quick a.snap", "unpack a.snap -o b"] {
        let ended = bench.run(line);
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), ""), "{line}");
        assert!(ended.stderr.starts_with("snaptool: note: "), "{line}: {ended:?}");
    }
    let object = object(&bench.run("verify --json a.snap").stdout);
    let finding = &object["findings"][0];
    assert_eq!((&object["ok"], &finding["verdict"]), (&true.into(), &"warn".into()));
    assert_eq!(finding["rule"], "device-unknown");
    bench.assert_same_set("vm.ckp", "b");
}

#[test]
fn numbers_that_no_machine_has_are_an_answer_and_write_nothing() {
    let bench = Bench::fixture(FIXTURE);
    let good = String::from_utf8(bench.read("vm.ckp.meta")).unwrap();
    for (from, to) in [
        ("\"memsize\": 67108864", "\"memsize\": 99999999999999999999999999"),
        ("\"memsize\": 67108864", "\"memsize\": 18446744073709551615"),
        ("\"memsize\": 67108864", "\"memsize\": 9223372036854775807"),
        ("\"memsize\": 67108864", "\"memsize\": 4503599627370496"),
        ("\"memsize\": 67108864", "\"memsize\": 6.7108864e7"),
        ("\"memsize\": 67108864", "\"memsize\": 0"),
        ("\"ncpus\": 1", "\"ncpus\": 4294967297"),
        ("\"ncpus\": 1", "\"ncpus\": 0"),
        ("\"memflags\": 0", "\"memflags\": 4294967296"),
        ("\"memflags\": 0", "\"memflags\": 9223372036854775807"),
        ("\"size\": 284", "\"size\": 18446744073709551615"),
        ("\"size\": 284", "\"size\": 9223372036854775807"),
        ("\"size\": 284", "\"size\": 4294967296"),
        ("\"file_offset\": 284", "\"file_offset\": 9223372036854775807"),
    ] {
        assert!(good.contains(from));
        bench.write("vm.ckp.meta", good.replacen(from, to, 1));
        let words = bench.run("pack vm.ckp").refusal().to_owned();
        assert!(words.contains("snaptool: error: vm.ckp: "), "{to}: {words}");
        assert_eq!(bench.names(), ["vm.ckp", "vm.ckp.kern", "vm.ckp.meta"]);
    }
    for ending in SET {
        let bench = Bench::fixture(FIXTURE);
        bench.write(&format!("vm.ckp{ending}"), "");
        bench.run("pack vm.ckp").refusal();
        assert_eq!(bench.run("verify vm.ckp").code(), Some(1));
    }
}
