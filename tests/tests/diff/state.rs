//! Records whose layout is known are compared field by field.

use serde_json::Value;
use snaptool::cmd::diff::ignore::{Ignore, TIME};
use snaptool::exit::Answer;
use tests::fixtures;

use super::kit::Given;

/// Two sets of a fixture, the second with changes in `.kern`.
struct Pair {
    given: Given,
    kern: Vec<u8>,
    meta: Value,
}

impl Pair {
    fn new(fixture: &str) -> Self {
        let given = Given::bytes(&[], &[]);
        let dir = tempfile::tempdir().unwrap();
        fixtures::unpack_without_memory(fixture, dir.path()).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let (kern, meta) = (read("vm.ckp.kern"), read("vm.ckp.meta"));
        let len = std::fs::metadata(dir.path().join("vm.ckp")).unwrap().len();
        for name in ["a", "b"] {
            let ram = std::fs::File::create(given.path(name)).unwrap();
            ram.set_len(len).unwrap();
            std::fs::write(given.path(&format!("{name}.kern")), &kern).unwrap();
            std::fs::write(given.path(&format!("{name}.meta")), &meta).unwrap();
        }
        Self { given, kern, meta: serde_json::from_slice(&meta).unwrap() }
    }

    /// Where a record is in `.kern`.
    fn record(&self, name: &str) -> usize {
        let lists = ["kern_structs", "structs", "devices"].map(|key| self.meta[key].as_array());
        let mut all = lists.into_iter().flatten().flatten();
        let keys = ["device", "debug_name", "snapshot_req"];
        let entry = all.find(|entry| keys.iter().any(|key| entry[key] == name)).unwrap();
        usize::try_from(entry["file_offset"].as_u64().unwrap()).unwrap()
    }

    fn put(&mut self, record: &str, offset: usize, bytes: &[u8]) {
        let at = self.record(record) + offset;
        self.kern[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(self.given.path("b.kern"), &self.kern).unwrap();
    }
}

fn changed(facts: &Value) -> &Vec<Value> {
    facts["records"]["changed"].as_array().unwrap()
}

#[test]
fn a_register_is_named_with_both_values_and_what_changed() {
    let mut pair = Pair::new("intel-4cpu-highmem");
    // CR0 of the third virtual CPU.
    let at = 2 * 920;
    let from = pair.record("vmcx") + at;
    let old = u64::from_le_bytes(pair.kern[from..from + 8].try_into().unwrap());
    pair.put("vmcx", at, &(old ^ (1 << 16 | 1 << 3)).to_le_bytes());
    let (answer, facts) = pair.given.json();
    assert_eq!(answer, Answer::No);
    let [record] = changed(&facts).as_slice() else { panic!("{facts:#}") };
    assert_eq!((&record["layout"], &record["ignored"]), (&"vmcx-intel-920".into(), &0.into()));
    let field = &record["fields"][0];
    assert_eq!(record["fields"].as_array().unwrap().len(), 1);
    assert_eq!((&field["name"], &field["label"]), (&"val".into(), &"CR0".into()));
    assert_eq!((&field["vcpu"], &field["offset_a"]), (&2.into(), &at.into()));
    assert_eq!(field["a"]["u"], old.to_string());
    assert_eq!(field["b"]["u"], (old ^ (1 << 16 | 1 << 3)).to_string());
    let (_, text) = pair.given.text(false);
    let line = format!("     2  CR0    {old:#x} -> {:#x}  -WP", old ^ (1 << 16 | 1 << 3));
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("kern_structs/vmcx, by layout vmcx-intel-920"), "{text}");
}

#[test]
fn registers_within_a_page_are_told_apart() {
    let mut pair = Pair::new("intel-1cpu-fbsd");
    pair.put("vlapic", 0x210, &[1, 2, 0, 0]);
    let (_, facts) = pair.given.json();
    let field = &changed(&facts)[0]["fields"][0];
    assert_eq!((&field["field"], &field["part"]), (&"lapic".into(), &"irr1".into()));
    assert_eq!((&field["a"]["u"], &field["b"]["u"]), (&"0".into(), &"513".into()));
    // A word of the page that has no name.
    pair.put("vlapic", 0x10, &[9]);
    let (_, facts) = pair.given.json();
    let fields = changed(&facts)[0]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 2);
    assert_eq!((&fields[1]["part"], &fields[1]["bytes"]), (&Value::Null, &1.into()));
}

#[test]
fn what_always_changes_can_be_left_out() {
    let mut pair = Pair::new("intel-1cpu-fbsd");
    pair.put("vm", 176, &[1, 2, 3]);
    pair.put("vhpet", 24, &[0x77]);
    pair.put("vrtc", 4, &[0, 1, 2, 3]);
    pair.put("vlapic", 4165, &[1]);
    pair.put("vlapic", 0x390, &[1]);
    pair.put("vatpit", 22, &[9; 16]);
    assert_eq!(pair.given.json().0, Answer::No);
    pair.given.ignore = vec![Ignore::Time];
    let (answer, facts) = pair.given.json();
    assert_eq!((answer, &facts["same"]), (Answer::Yes, &true.into()), "{facts:#}");
    assert_eq!(facts["ignore"], serde_json::json!(["time"]));
    let ignored = facts["records"]["ignored"].as_array().unwrap();
    let names: Vec<_> = ignored.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vhpet", "vm", "vlapic", "vatpit", "vrtc"]);
    let (_, text) = pair.given.text(false);
    assert!(text.contains("records: 0 differ, 9 do not, 5 only in what is left out"), "{text}");
    assert!(text.contains("differ in nothing but what is left out"), "{text}");
    // Anything else still counts, and what is left out is said to be.
    pair.put("vm", 24, &[1]);
    let (answer, facts) = pair.given.json();
    assert_eq!(answer, Answer::No);
    let [record] = changed(&facts).as_slice() else { panic!("{facts:#}") };
    assert_eq!((&record["name"], &record["ignored"]), (&"vm".into(), &1.into()));
    assert_eq!(record["fields"].as_array().unwrap().len(), 1);
    assert_eq!(record["fields"][0]["field"], "vcpu->guest_xcr0");
}

#[test]
fn two_files_may_differ_in_what_is_left_out() {
    let mut pair = Pair::new("intel-1cpu-fbsd");
    pair.put("vm", 176, &[1, 2, 3]);
    for name in ["a", "b"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snaptool-tested"));
        command.arg("pack").arg(pair.given.path(name)).arg("-q").arg("-o");
        let output = command.arg(pair.given.path(&format!("{name}.snap"))).output().unwrap();
        assert!(output.status.success());
    }
    for name in ["a", "b"] {
        for ending in ["", ".kern", ".meta"] {
            std::fs::remove_file(pair.given.path(&format!("{name}{ending}"))).unwrap();
        }
        let packed = pair.given.path(&format!("{name}.snap"));
        std::fs::rename(packed, pair.given.path(name)).unwrap();
    }
    assert_eq!(pair.given.json().0, Answer::No);
    pair.given.ignore = vec![Ignore::Time];
    let (answer, facts) = pair.given.json();
    assert_eq!((answer, &facts["same"]), (Answer::Yes, &true.into()), "{facts:#}");
    assert_ne!(facts["a"]["content"], facts["b"]["content"]);
}

#[test]
fn a_record_without_a_known_layout_is_compared_by_its_bytes() {
    let mut pair = Pair::new("intel-1cpu-fbsd");
    // A table of MSI-X of another size: what follows is somewhere else.
    pair.put("virtio-blk@pci.0.3.0", 40, &[3]);
    let (answer, facts) = pair.given.json();
    assert_eq!(answer, Answer::No);
    let [record] = changed(&facts).as_slice() else { panic!("{facts:#}") };
    assert!(record["layout"].is_null() && record["fields"].is_null(), "{record:#}");
    assert_eq!(record["ranges"], serde_json::json!([{ "offset": 40, "length": 1 }]));
}

#[test]
fn the_specification_lists_what_can_be_left_out() {
    let spec = include_str!("../../../spec/diff.md");
    for (record, key, part) in TIME {
        let part = part.map(|part| format!(".{part}")).unwrap_or_default();
        let row = format!("| `{record}` | `{key}{part}` |");
        assert!(spec.contains(&row), "{row}");
    }
    let (_, list) = spec.split_once("\n## What is left out\n").unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, TIME.len());
}
