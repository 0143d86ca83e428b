//! Every property of `tests::properties`, on all that its corpus holds and on some thousands of
//! changes of that, the same at each run. `fuzz/README.md` says where the corpora come from.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test may"
)]
#![allow(clippy::cast_possible_truncation, reason = "random numbers")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arbitrary::Unstructured;
use snapfmt::state::layouts;
use tests::fixtures::{fixtures, folder, variants};
use tests::forge;
use tests::forge::stream::lay;
use tests::images;
use tests::properties::{ALL, Property, RECORDS_AS_FIELDS};
use tests::records;
use tests::spec_rules::chain as chain_of;
use tests::stream_rules;
use tests::vector_files::slug;
use tests::vectors;

/// What fuzzing found worth keeping, all in one file: zstd of length and bytes of each.
const FOUND: &str = "found.zst";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name)
}

/// Where corpora lie as single files, for a fuzzer.
fn single(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/target/corpus").join(name)
}

/// The inputs of a corpus with their names, in the order of these.
fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpus(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(path).unwrap();
        if file != FOUND {
            inputs.push((file, bytes));
            continue;
        }
        let mut rest = &*zstd::decode_all(&*bytes).unwrap();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (input, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            inputs.push((format!("{FOUND}-{}", inputs.len()), input.to_vec()));
            rest = after;
        }
    }
    inputs.sort();
    inputs
}

/// Numbers that do not repeat soon: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// One to four changes of an input.
fn changed(input: &[u8], others: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    const NUMBERS: [u64; 8] = [0, 1, 19, 0x7f, 0x80, 0xffff, i64::MAX as u64, u64::MAX];
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let width = 1 << random.below(4);
        let value = NUMBERS[random.below(8)].to_le_bytes();
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            2 if at + width <= bytes.len() => {
                bytes[at..at + width].copy_from_slice(&value[..width]);
            }
            3 => drop(bytes.splice(at..at, value[..width].iter().copied())),
            4 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            5 => {
                let piece = bytes[at..(at + random.below(64)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            _ => {
                let other = &others[random.below(others.len())].1;
                let (from, cut) = (random.below(other.len()), bytes.len().min(at));
                bytes.truncate(cut);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

/// Runs the property called `name` on its corpus and on so many changes of it.
fn replay(name: &str, changes: usize) {
    let (_, property): &Property = ALL.iter().find(|property| property.0 == name).unwrap();
    let run = |what: &str, input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| property(input))) {
            let shown = hex::encode(&input[..input.len().min(4096)]);
            println!("{name}: {what} breaks the property; {} bytes: {shown}", input.len());
            std::panic::resume_unwind(panic);
        }
    };
    let inputs = inputs(name);
    assert!(!inputs.is_empty(), "{name} has no corpus");
    for (what, input) in &inputs {
        run(what, input);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for change in 0..changes {
        let (what, input) = &inputs[change % inputs.len()];
        run(&format!("change {change}, of {what}"), &changed(input, &inputs, &mut random));
    }
}

#[test]
fn chain() {
    replay("chain", 3_000);
}

#[test]
fn nvlist_decode() {
    replay("nvlist_decode", 40_000);
}

#[test]
fn nvlist_round_trip() {
    replay("nvlist_round_trip", 10_000);
}

#[test]
fn open() {
    replay("open", 4_000);
}

#[test]
fn split() {
    replay("split", 1_500);
}

#[test]
fn state() {
    replay("state", 3_000);
}

#[test]
fn hostile_source() {
    replay("hostile_source", 3_000);
}

#[test]
fn hostile_target() {
    replay("hostile_target", 3_000);
}

#[test]
fn stream() {
    replay("stream", 3_000);
}

#[test]
fn three_files() {
    replay("three_files", 9_000);
}

#[test]
fn round_trip() {
    replay("round_trip", 3_000);
}

#[test]
fn the_corpora_are_small() {
    let size = |name: &str| {
        let files = fs::read_dir(corpus(name)).unwrap();
        files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    assert!(ALL.iter().map(|property| size(property.0)).sum::<u64>() < 1 << 20);
}

/// Vectors of packed lists that differ in kind.
const LISTS: [&str; 24] = [
    "be_descriptors",
    "be_nested",
    "be_nvlist_array",
    "be_strings",
    "binary_nul",
    "bool_array_8",
    "descriptor_nested",
    "dup_names_across_lists",
    "flag_both",
    "name_not_utf8",
    "nested_03",
    "no_unique_array",
    "number_array_bounds",
    "nvlist_array_deep",
    "nvlist_array_flags",
    "nvlist_in_array",
    "order",
    "string_array_utf8",
    "dup_nested_ignore_case",
    "nvlist_array_nitems_4",
    "string_array_merge",
    "nvlist_datasize_older_versions",
    "descriptor_twice",
    "null_nitems",
];

#[test]
#[ignore = "writes fuzz/corpus: what is there before any fuzzing"]
fn write_seeds() {
    let put = |property: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus(property)).unwrap();
        fs::write(corpus(property).join(name), bytes).unwrap();
    };
    for file in ["valid.jsonl", "invalid.jsonl", "lenient.jsonl"] {
        for vector in vectors::load(file).iter().filter(|v| LISTS.contains(&v.name.as_str())) {
            put("nvlist_decode", &format!("{}.blob", vector.name), &vector.bytes);
        }
    }
    for plan in images::plans() {
        let (file, _) = plan.write().unwrap();
        let name = format!("{}{}.snap", plan.vm.name, plan.records.len());
        put("open", &name, &file);
        put("split", &name, &file);
    }
    let (list, payload) = (forge::List::new().text("vendor", "v"), vec![1]);
    let part = |kind| (kind, list.clone(), payload.clone(), 1);
    let undescribed = forge::Plan {
        described: false,
        optional: vec![part(0xa000_0077), part(0xc000_0077)],
        ..forge::Plan::small_zstd()
    };
    let forged = [
        ("undescribed", undescribed),
        ("forged", forge::Plan::small()),
        ("delta", forge::Plan::small_delta()),
        ("differences", forge::Plan::small_xor()),
    ];
    for (name, plan) in forged {
        put("open", &format!("{name}.snap"), &plan.forge());
        put("split", &format!("{name}.snap"), &plan.forge());
    }
    for (name, what) in ["known", "bulk", "unknown-bulk", "unknown"].iter().zip(RECORDS_AS_FIELDS) {
        let file = chain_of(what).pop().unwrap();
        put("open", &format!("fields-{name}.snap"), &file);
    }
    for (what, items) in stream_rules::sound().into_iter().filter(|(what, _)| what.len() < 40) {
        let (bytes, name) = (lay(&items).0, format!("{}.blob", slug(what)));
        if (1..6 << 10).contains(&bytes.len()) {
            put("stream", &name, &bytes);
        }
    }
    for (number, layout) in layouts::all().enumerate() {
        // Choices for a record, and a small one as it is.
        let seed: Vec<_> = (0..60_u8).map(|byte| byte.wrapping_mul(37) ^ number as u8).collect();
        put("state", &format!("{}.blob", layout.id), &[&[number as u8, 3], &seed[..]].concat());
        let made = records::make(layout, 1, &mut Unstructured::new(&seed)).unwrap();
        if made.bytes.len() < 500 {
            let name = format!("{}-raw.blob", layout.id);
            put("state", &name, &[&[number as u8, 2], &made.bytes[..]].concat());
        }
    }
    let mut random = Random(7);
    let names = ["nvlist_round_trip", "round_trip", "open", "split", "chain", "stream"];
    for name in names.into_iter().chain(["hostile_source", "hostile_target"]) {
        // Choices, most of them small.
        for length in [0, 40, 400, 1500] {
            let byte = |_| if random.below(2) == 0 { random.below(8) } else { random.below(256) };
            let bytes: Vec<_> = (0..length).map(byte).map(|byte| byte as u8).collect();
            put(name, &format!("choices-{length}.blob"), &bytes);
        }
    }
    for name in fixtures() {
        let text = fs::read(folder(name).join("vm.ckp.meta")).unwrap();
        put("three_files", &format!("{name}.meta"), &[&[0; 16], &text[..]].concat());
        for variant in variants(name).unwrap().iter().filter(|v| v.file.ends_with(".meta")) {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("vm.ckp.meta"), &text).unwrap();
            tests::fixtures::apply_broken(variant, dir.path()).unwrap();
            let broken = fs::read(dir.path().join("vm.ckp.meta")).unwrap();
            let file = format!("{name}-{}.meta", variant.name);
            put("three_files", &file, &[&[0; 16], &broken[..]].concat());
        }
    }
    let command: &[u8] = b"/usr/sbin/bhyve -c 2 -m 64M -H -s 0,hostbridge -s 4:0,virtio-blk,/vm/d \
        -l bootrom,/rom,/vars -U 01234567-89ab-4cde-8f01-23456789abcd vm0 # end\n";
    let file: &[u8] = b"name=vm0\ncpus=2\nmemory.size=64M\npci.0.4.0.device=ahci\n\
        pci.0.4.0.port.0.path=/vm/%(name)\nlpc.bootrom=/rom\nuuid=0\n# end\n";
    let meta = fs::read(folder(fixtures()[0]).join("vm.ckp.meta")).unwrap();
    let topology: &[u8] = b"sockets=2\ncores=2\nmemory.size=1g\npci.0.5.0.device=nvme\n";
    for (name, config) in [("command", command), ("file", file), ("topology", topology)] {
        put("three_files", &format!("{name}.blob"), &[&[0; 16], config].concat());
        let both = [&[0; 16], &meta[..], &[255], config].concat();
        put("three_files", &format!("meta-and-{name}.blob"), &both);
    }
}

#[test]
#[ignore = "writes fuzz/target/corpus: every input as a file of its own"]
fn unpack() {
    for (name, _) in ALL {
        fs::create_dir_all(single(name)).unwrap();
        for (input, bytes) in inputs(name) {
            fs::write(single(name).join(input), bytes).unwrap();
        }
    }
}

#[test]
#[ignore = "writes fuzz/corpus: what fuzz/target/corpus has and the seeds do not"]
fn pack() {
    for (name, _) in ALL {
        let seeds: Vec<_> = inputs(name).into_iter().filter(|i| !i.0.starts_with(FOUND)).collect();
        let Ok(files) = fs::read_dir(single(name)) else { continue };
        let mut found: Vec<_> = files.map(|f| fs::read(f.unwrap().path()).unwrap()).collect();
        found.retain(|bytes| seeds.iter().all(|seed| seed.1 != *bytes));
        found.sort_by_key(|bytes| (bytes.len(), bytes.clone()));
        found.dedup();
        let framed = found.iter().flat_map(|bytes| {
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            length.into_iter().chain(bytes.iter().copied())
        });
        let framed: Vec<_> = framed.collect();
        let packed = zstd::bulk::compress(&framed, 19).unwrap();
        fs::write(corpus(name).join(FOUND), packed).unwrap();
        println!("{name}: {} inputs besides {} seeds", found.len(), seeds.len());
    }
}
