//! `snaptool inspect` on device records: every field of the fixtures, and what it says of them.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "inspect_state/kit.rs"]
mod kit;
#[path = "inspect_state/odd.rs"]
mod odd;

use kit::{Ask, Set};
use serde_json::Value;
use snaptool::exit::Answer;
use tests::fixtures::fixtures;

#[test]
fn fields_are_those_of_every_fixture() {
    let mut count = 0;
    for name in fixtures() {
        let (set, expected) = (Set::new(name), kit::expected(name));
        for facts in [set.facts("", Ask::FIELDS), set.packed().facts("", Ask::FIELDS)] {
            let shown = facts["records"].as_array().unwrap();
            let expected = expected["records"].as_array().unwrap();
            assert_eq!(shown.len(), expected.len());
            for expected in expected {
                let same = |key: &str, shown: &&Value| shown[key] == expected[key];
                let found = shown.iter().find(|one| same("section", one) && same("name", one));
                let found = found.unwrap();
                assert_eq!(found["fields"], expected["fields"], "{name}: {}", found["name"]);
                count += found["fields"].as_array().unwrap().len();
            }
        }
    }
    assert_eq!(count, 2 * 9635);
}

#[test]
fn fields_lie_in_their_record_without_gap_or_overlap() {
    for name in fixtures() {
        let facts = Set::new(name).facts("devices", Ask::FIELDS);
        for record in facts.as_array().unwrap() {
            let mut free = 0;
            for field in record["fields"].as_array().unwrap() {
                assert_eq!(field["offset"], free, "{name}: {field}");
                free += field["len"].as_u64().unwrap();
            }
            assert_eq!(record["size"], free);
        }
    }
}

#[test]
fn fields_are_given_only_when_asked_for() {
    let set = Set::new("intel-1cpu-fbsd");
    let facts = set.facts("devices/vm", Ask::PLAIN);
    assert!(facts[0].get("fields").is_none());
    let facts = set.facts("devices/vm/raw", Ask::PLAIN);
    assert!(facts[0]["bytes"].is_string());
}

#[test]
fn a_path_may_name_one_virtual_cpu() {
    let set = Set::new("intel-4cpu-highmem");
    let all = set.facts("devices/vmcx", Ask::FIELDS);
    let one = set.facts("devices/vmcx/2", Ask::FIELDS);
    let of_two = |field: &&Value| field["vcpu"] == 2;
    let expected: Vec<_> = all[0]["fields"].as_array().unwrap().iter().filter(of_two).collect();
    let shown: Vec<_> = one[0]["fields"].as_array().unwrap().iter().collect();
    assert!(shown.len() > 70);
    assert_eq!(shown, expected);
    let text = set.text("kern_structs/vmcx/2", Ask::PLAIN);
    assert!(text.contains("\nvcpu 2\n") && !text.contains("\nvcpu 1\n"), "{text}");
    assert!(text.contains("  mode        64-bit, CPL 0, RIP 0xffffffff811f4663"), "{text}");
}

#[test]
fn a_virtual_cpu_that_is_not_there_is_said_not_to_be() {
    let set = Set::new("intel-4cpu-highmem");
    let why = set.trouble("devices/vmcx/4");
    assert!(why.contains("record vmcx has no virtual CPU 4: it has 4, from 0"), "{why}");
    let why = set.trouble("devices/vhpet/0");
    assert!(why.contains("record vhpet is not kept per virtual CPU"), "{why}");
    assert!(set.trouble("devices/vmcx/x").contains("no record vmcx/x"));
}

#[test]
fn a_device_is_found_without_its_place_on_the_bus() {
    let set = Set::new("amd-2cpu-linux");
    let facts = set.facts("devices/ahci", Ask::PLAIN);
    let names: Vec<_> = facts.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["ahci@pci.0.3.0", "ahci@pci.0.4.0"]);
}

#[test]
fn processors_are_shown_as_their_manuals_have_them() {
    for (fixture, path, snapshot) in [
        ("intel-1cpu-fbsd", "devices/vmcx/0", "vmcx_intel"),
        ("amd-2cpu-linux", "devices/vmcx/1", "vmcx_amd"),
        ("older-2020-intel-1cpu", "devices/vmcx/0", "vmcx_intel_older"),
        ("older-2020-amd-2cpu", "devices/vmcx/1", "vmcx_amd_older"),
        ("older-2020-amd-2cpu", "devices/vm", "vm_older"),
    ] {
        insta::assert_snapshot!(snapshot, Set::new(fixture).text(path, Ask::PLAIN));
    }
}

#[test]
fn interrupts_and_clocks_are_sentences() {
    let set = Set::new("intel-1cpu-fbsd");
    for record in ["vlapic", "vioapic", "vhpet", "vatpit", "vatpic", "vrtc"] {
        insta::assert_snapshot!(record, set.text(&format!("devices/{record}"), Ask::PLAIN));
    }
}

#[test]
fn devices_are_shown_with_what_they_are_doing() {
    for (fixture, record, snapshot) in [
        ("intel-1cpu-fbsd", "virtio-net", "virtio_net"),
        ("intel-1cpu-fbsd", "lpc", "lpc"),
        ("amd-2cpu-linux", "xhci", "xhci"),
        ("intel-4cpu-highmem", "e1000", "e1000"),
        ("intel-4cpu-highmem", "fbuf", "fbuf"),
        ("older-2020-amd-2cpu", "ahci-hd", "ahci_older"),
        ("older-2020-amd-2cpu", "atkbdc", "atkbdc"),
    ] {
        let text = Set::new(fixture).text(&format!("devices/{record}"), Ask::PLAIN);
        insta::assert_snapshot!(snapshot, text);
    }
}

#[test]
fn a_summary_says_what_a_machine_is_doing() {
    for name in fixtures() {
        let text = Set::new(name).text("", Ask::SUMMARY);
        insta::assert_snapshot!(format!("summary_{name}"), text);
    }
    let text = Set::new("intel-1cpu-fbsd").packed().text("", Ask::SUMMARY);
    insta::assert_snapshot!("summary_of_a_file", text);
}

#[test]
fn a_summary_fits_one_screen_however_large_the_machine_is() {
    let mut sets: Vec<_> = fixtures().iter().map(|name| Set::new(name)).collect();
    sets.push(Set::large());
    for set in sets {
        let text = set.text("", Ask::SUMMARY);
        assert!(text.lines().count() < 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    let text = Set::large().text("", Ask::SUMMARY);
    assert!(text.contains("\n     and 11 more\n"), "{text}");
}

#[test]
fn what_waits_in_a_queue_is_counted() {
    let mut set = Set::new("intel-1cpu-fbsd");
    let blocks = set.record("virtio-blk@pci.0.3.0");
    // Of a queue of 128, the index of the available ring is behind 128 descriptors and its flags.
    let rings = usize::try_from(kit::field(&set, "devices/virtio-blk", "vq->vq_desc", 1)).unwrap();
    let at = blocks.start + rings + 128 * 16 + 2;
    let index = u16::from_le_bytes([set.kern[at], set.kern[at + 1]]);
    set.kern[at..at + 2].copy_from_slice(&index.wrapping_add(3).to_le_bytes());
    set.write();
    let text = set.text("devices/virtio-blk", Ask::PLAIN);
    assert!(text.contains("in flight   3 requests not yet taken (descriptors "), "{text}");
    let text = set.text("", Ask::SUMMARY);
    assert!(text.contains("virtio-blk@pci.0.3.0 3 in flight"), "{text}");
}

#[test]
fn every_field_has_a_line_with_its_place_and_value() {
    let set = Set::new("older-2020-intel-1cpu");
    insta::assert_snapshot!("fields_of_vhpet", set.text("devices/vhpet", Ask::FIELDS));
    let text = set.text("structs/vlapic/0", Ask::FIELDS);
    for words in ["  .irr7 ", "  .ccr_timer ", "vlapic->isrvec_stk_top", "vlapic->boot_state"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (answer, _) = set.run("", Ask::FIELDS, false).unwrap();
    assert_eq!(answer, Answer::Yes);
}
