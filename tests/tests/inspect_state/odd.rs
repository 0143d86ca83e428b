//! Damaged records, hostile ones, and random ones.

use std::fs;

use snaptool::exit::Answer;
use tests::fixtures::{self, fixtures};

use super::kit::{self, Ask, Set};

const ASKS: [Ask; 3] = [Ask::PLAIN, Ask::FIELDS, Ask::SUMMARY];

#[test]
fn a_record_that_does_not_fit_is_shown_as_claims() {
    let mut set = Set::new("intel-1cpu-fbsd");
    let net = set.record("virtio-net@pci.0.4.0");
    // The file ends within the rings of its second queue.
    set.kern.truncate(net.start + 50_000);
    set.write();
    let text = set.text("devices/virtio-net", Ask::PLAIN);
    let marked = text.lines().skip_while(|line| !line.starts_with("what that makes")).skip(2);
    let marked: Vec<_> = marked.filter(|line| !line.is_empty()).collect();
    assert!(marked.len() > 20, "{text}");
    assert!(marked.iter().all(|line| line.starts_with("claimed: ")), "{text}");
    assert!(text.contains("claimed:   device      1af4:1000 virtio network"), "{text}");
    let facts = set.facts("devices/virtio-net", Ask::FIELDS);
    assert!(facts[0]["fields"].is_null());
    let claims = &facts[0]["claims"];
    assert_eq!(claims["layout"], "virtio-net-pci452-41");
    assert!(claims["why"].as_str().unwrap().contains("takes 32768 bytes"), "{claims}");
    assert!(claims["fields"].as_array().unwrap().len() > 60);
    let summary = set.text("", Ask::SUMMARY);
    assert!(summary.contains("virtio-net@pci.0.4.0 DOES NOT FIT its layout"), "{summary}");
}

#[test]
fn nothing_is_claimed_of_what_is_not_there() {
    // A field behind the misfit must not be shown as zero.
    let mut set = Set::new("older-2020-amd-2cpu");
    let disk = set.record("ahci-hd");
    set.kern.truncate(disk.start + 700);
    set.write();
    let text = set.text("devices/ahci-hd", Ask::PLAIN);
    assert!(text.contains("claimed:   port->clb"), "{text}");
    assert!(!text.contains("backing") && !text.contains("bc->bc_size"), "{text}");
}

#[test]
fn records_are_shown_where_meta_is_lost() {
    for name in fixtures() {
        let whole = Set::new(name).packed();
        let facts = whole.facts("", Ask::PLAIN);
        let layout = facts["layout"].as_array().unwrap();
        let meta = layout.iter().find(|range| range["what"] == "META").unwrap();
        let at = usize::try_from(meta["offset"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(meta["length"].as_u64().unwrap()).unwrap();
        let mut bytes = fs::read(whole.input()).unwrap();
        bytes[at + length - 9] ^= 1;
        fs::write(whole.input(), bytes).unwrap();
        let (answer, _) = whole.run("devices/vmcx/0", Ask::PLAIN, false).unwrap();
        assert_eq!(answer, Answer::No);
        let text = whole.text("devices/vmcx/0", Ask::PLAIN);
        assert!(text.contains("told without .meta") && text.contains("64-bit, CPL 0"), "{text}");
        let shown = whole.facts("", Ask::FIELDS);
        assert!(shown["meta"].is_null(), "{name}");
        let expected = kit::expected(name);
        for (shown, expected) in
            shown["records"].as_array().unwrap().iter().zip(expected["records"].as_array().unwrap())
        {
            assert_eq!(shown["fields"], expected["fields"], "{name}: {}", shown["name"]);
        }
    }
}

#[test]
fn strings_of_a_file_are_made_harmless() {
    let mut set = Set::new("intel-1cpu-fbsd");
    let identity = kit::field(&set, "devices/virtio-blk", "sc->vbsc_ident", 0);
    let at = set.record("virtio-blk@pci.0.3.0").start + usize::try_from(identity).unwrap();
    set.kern[at..at + 12].copy_from_slice(b"\x1b[2J\"\x07\xff\x9b\ng\\\0");
    set.write();
    for ask in ASKS {
        let path = if ask_is_summary(ask) { "" } else { "devices/virtio-blk" };
        let (_, out) = set.run(path, ask, false).unwrap();
        let odd = |byte: &u8| *byte < 0x20 && *byte != b'\n' || *byte == 0x7f;
        assert!(!out.iter().any(odd));
    }
    let text = set.text("devices/virtio-blk", Ask::PLAIN);
    assert!(text.contains(r#""\u{1b}[2J\"\u{7}\xff\x9b\ng\\""#), "{text}");
}

fn ask_is_summary(ask: Ask) -> bool {
    format!("{ask:?}") == format!("{:?}", Ask::SUMMARY)
}

/// Shows everything in every way.
fn show_all(set: &Set, lists: &[&str]) {
    for list in lists {
        let entries = set.meta[*list].as_array().unwrap();
        for entry in entries {
            let names = ["device", "debug_name", "snapshot_req"];
            let name = names.iter().find_map(|key| entry[key].as_str()).unwrap();
            set.run(&format!("{list}/{name}"), Ask::FIELDS, false).unwrap();
        }
    }
    let summary = set.text("", Ask::SUMMARY);
    assert!(summary.lines().count() < 25, "{summary}");
    assert!(summary.lines().all(|line| line.chars().count() <= 80), "{summary}");
    set.run("", Ask::FIELDS, true).unwrap();
}

#[test]
fn whatever_the_values_are_they_can_be_shown() {
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for (name, lists) in [
        ("intel-1cpu-fbsd", ["kern_structs", "devices"]),
        ("amd-2cpu-linux", ["kern_structs", "devices"]),
        ("older-2020-amd-2cpu", ["structs", "devices"]),
        ("older-2020-intel-1cpu", ["structs", "devices"]),
    ] {
        let mut set = Set::new(name);
        let good = set.kern.clone();
        for round in 0..12 {
            set.kern.copy_from_slice(&good);
            for _ in 0..good.len() / 20 {
                let at = random(good.len());
                set.kern[at] = match round % 3 {
                    0 => 0xff,
                    1 => 0,
                    _ => u8::try_from(random(256)).unwrap(),
                };
            }
            set.write();
            show_all(&set, &lists);
        }
        for fill in [0, 0x7f, 0x80, 0xff] {
            set.kern.fill(fill);
            set.write();
            show_all(&set, &lists);
        }
    }
}

#[test]
fn broken_sets_can_be_shown() {
    for name in ["intel-1cpu-fbsd", "older-2020-amd-2cpu"] {
        let dir = tempfile::tempdir().unwrap();
        for variant in fixtures::variants(name).unwrap() {
            fixtures::unpack_without_memory(name, dir.path()).unwrap();
            fixtures::apply_broken(&variant, dir.path()).unwrap();
            let set = Set::at(dir.path());
            for ask in [Ask::FIELDS, Ask::SUMMARY] {
                set.run("", ask, false).unwrap();
            }
            set.run("", Ask::FIELDS, true).unwrap();
        }
    }
}
