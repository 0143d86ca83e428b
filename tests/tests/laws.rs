//! The laws of the design, each with tests that bear its name.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::block::Block;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::{Part, ReadAt, ReadError, Seeker};
use snapfmt::write::Writer;
use snapfmt::{Fault, Section};
use tests::drive::{
    Watched, appetite, map, quick, small_image, walk, walk_in_chunks, write, write_to,
};
use tests::forge::{List, Piece, Place, Plan, Record, Step, Value, forge_with, places, reseal};

const OTHER: u32 = 0x8000_1234;
const KINDS: [u32; 8] = [1, 2, 0x8000_0003, OTHER, 16, 32, 33, 48];

fn with_other() -> Plan {
    let other = (OTHER, List::new().text("of", "another"), b"and its payload".to_vec(), 1);
    Plan { optional: vec![other], ..Plan::small() }
}

fn broken(kind: u32, change: impl Fn(&mut Piece)) -> Vec<u8> {
    forge_with(&with_other(), &mut |step| match step {
        Step::Piece(piece) if piece.kind == kind => change(piece),
        _ => {}
    })
}

/// The rule by which the full check refuses a file for a digest.
fn digest_rule(file: &[u8]) -> &'static str {
    let error = walk(file).unwrap_err();
    match error.fault() {
        Fault::Digest { rule, .. } => rule,
        _ => panic!("a digest should be found wrong, not: {error}"),
    }
}

#[test]
fn law_1_digest_before_parse_of_nvlists() {
    for kind in KINDS {
        for garbage in [vec![0xff; 300], vec![0; 19], b"l\0\x80".repeat(20)] {
            let file = broken(kind, |piece| {
                piece.packed = Some(garbage.clone());
                piece.nvlist_digest = Some([1; 32]);
                // The nvlist's digest comes first, so that it can be used while a payload arrives.
                piece.payload_digest = Some([2; 32]);
            });
            assert_eq!(digest_rule(&file), "§4.7", "{kind:#x}");
        }
    }
}

#[test]
fn law_1_digest_before_parse_of_payloads() {
    for kind in KINDS.into_iter().filter(|&kind| ![1, 32].contains(&kind)) {
        let file = broken(kind, |piece| {
            piece.payload = vec![0xff; 77];
            piece.payload_digest = Some([1; 32]);
        });
        assert_eq!(digest_rule(&file), "§4.8", "{kind:#x}");
    }
    // Of a raw extent it is the subtree root that covers the payload.
    let file = broken(32, |piece| piece.payload.fill(0xff));
    assert_eq!(digest_rule(&file), "§6.2.8");
}

#[test]
fn law_1_digest_of_the_payload_before_parse_of_the_nvlist() {
    for kind in KINDS.into_iter().filter(|&kind| ![1, 32].contains(&kind)) {
        let file = broken(kind, |piece| {
            piece.packed = Some(vec![0xff; 300]);
            piece.payload.push(0);
            piece.payload_digest = Some([1; 32]);
        });
        assert_eq!(digest_rule(&file), "§4.8", "{kind:#x}");
    }
}

#[test]
fn law_1_digest_before_decompression() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let record = broken(16, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("size", Value::Number(64 << 20));
        piece.payload.clone_from(&bomb);
        piece.payload_digest = Some([1; 32]);
    });
    assert_eq!(digest_rule(&record), "§4.8");
    let garbage = broken(32, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(vec![3; 32]));
        (piece.flags, piece.align) = (0, 1);
        piece.payload = vec![0xff; 100];
        piece.payload_digest = Some([1; 32]);
    });
    assert_eq!(digest_rule(&garbage), "§4.8");
    // A flag that says "raw" does not carry a compressed payload around its digest.
    let smuggled = broken(32, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(vec![3; 32]));
        piece.payload = vec![0xff; 100];
    });
    let error = walk(&smuggled).unwrap_err();
    assert!(matches!(error.fault(), Fault::Value { rule: "§6.2.6", .. }), "{error}");
}

#[test]
fn law_1_digest_before_the_fields_of_fixed_structures() {
    let file = with_other().forge();
    for place in places(&file) {
        let (covered, rule) = match place.kind {
            Place::HEADER => (64..4064, "§3.6"),
            Place::TRAILER => (16..96, "§7.3.6"),
            _ => (8..96, "§4.9"),
        };
        // All fields nonsense: sizes, types, versions; only the magic is left.
        let mut damaged = file.clone();
        damaged[place.at + covered.start..place.at + covered.end].fill(0xff);
        assert_eq!(digest_rule(&damaged), rule, "{place:x?}");
    }
}

#[test]
fn law_2_every_byte_is_covered_by_a_digest_or_is_zero_and_checked() {
    for file in [with_other().forge(), small_image(Compression::Zstd(1))] {
        let table = places(&file);
        let mut free = 0;
        for place in &table {
            assert_eq!((place.at, place.at % 64, place.end % 64), (free, 0, 0));
            free = place.end;
            let paddings = [place.nvlist_end..place.payload, place.payload_end..place.end];
            for offset in paddings.into_iter().flatten() {
                assert_eq!(file[offset], 0);
                let mut damaged = file.clone();
                damaged[offset] = 0x80;
                let error = walk(&damaged).unwrap_err();
                assert_eq!((error.fault(), error.at()), (&Fault::Padding, offset as u64));
            }
        }
        assert_eq!(free, file.len());
    }
}

#[test]
fn law_2_reserved_bytes_are_zero_even_where_their_digest_matches() {
    let file = small_image(Compression::None);
    let table = places(&file);
    let (header, trailer) = (&table[0], &table[table.len() - 1]);
    let list = 68 + u32::from_le_bytes(file[64..68].try_into().unwrap()) as usize;
    let reserved = (22..56).chain(60..64).chain(list..4064).map(|offset| (header, offset));
    let reserved = reserved.chain((40..64).map(|offset| (trailer, trailer.at + offset)));
    for (place, offset) in reserved {
        let mut damaged = file.clone();
        damaged[offset] = 1;
        reseal(&mut damaged, place);
        let error = walk(&damaged).unwrap_err();
        assert_eq!((error.fault(), error.at()), (&Fault::Padding, offset as u64), "{error}");
    }
}

#[test]
fn law_3_bound_before_allocate_of_parts() {
    let largest = appetite(&with_other().forge()).0;
    for kind in KINDS {
        for size in [1_u64 << 27, 1 << 32, 1 << 63, u64::MAX] {
            let file = broken(kind, |piece| piece.over.push((24, size.to_le_bytes().to_vec())));
            let (most, end) = appetite(&file);
            assert_eq!(end.unwrap_err().fault().id(), "limit", "{kind:#x}");
            assert!(most <= largest, "{most} bytes wanted for {kind:#x}");
        }
        let file = broken(kind, |piece| piece.over.push((16, vec![0xff; 4])));
        let (most, end) = appetite(&file);
        assert_eq!(end.unwrap_err().fault().id(), "limit", "{kind:#x}");
        assert!(most <= largest, "{most} bytes wanted for {kind:#x}");
    }
}

#[test]
fn law_3_bound_before_allocate_of_lists() {
    const HUGE: u64 = 1 << 40;
    let values = [
        Value::Raw(9, 8 * HUGE, HUGE, vec![0; 8]),
        Value::Raw(9, 8, HUGE, vec![0; 8]),
        Value::Raw(7, HUGE, 0, vec![0; 8]),
        Value::Raw(4, u64::MAX, 0, vec![0; 8]),
        Value::Raw(10, HUGE, HUGE, vec![0; 8]),
        Value::Raw(11, 0, HUGE, vec![0; 8]),
        Value::Raw(11, 0, u64::MAX, vec![0; 8]),
        Value::Raw(8, HUGE, HUGE, vec![0; 8]),
    ];
    for value in values {
        for (kind, name) in [(1, "gpa"), (48, "parts"), (16, "sha256"), (32, "data")] {
            let file = broken(kind, |piece| piece.list.set(name, value.clone()));
            assert_eq!(walk(&file).unwrap_err().fault().id(), "nvlist", "{kind} {value:?}");
        }
    }
}

#[test]
fn law_3_bound_before_allocate_of_what_zstd_claims() {
    // A frame of one segment that states 2^60 bytes, and an empty last block.
    let mut liar = 0xFD2F_B528_u32.to_le_bytes().to_vec();
    liar.push(0b1110_0000);
    liar.extend((1_u64 << 60).to_le_bytes());
    liar.extend([1, 0, 0]);
    let extent = broken(32, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.list.set("root", Value::Bytes(vec![3; 32]));
        (piece.flags, piece.align, piece.payload_digest) = (0, 1, None);
        piece.payload.clone_from(&liar);
    });
    let record = broken(16, |piece| {
        piece.list.set("encoding", Value::Text(b"zstd".to_vec()));
        piece.payload.clone_from(&liar);
    });
    for file in [extent, record] {
        let error = walk(&file).unwrap_err();
        assert_eq!(error.fault(), &Fault::Zstd("the frame states another size"));
    }
}

#[test]
fn law_3_bound_before_allocate_of_a_file_that_claims_to_be_huge() {
    const HUGE: u64 = 1 << 55;
    // Header and parts lie at the bottom, INDEX and trailer at the top; nothing is between.
    let mut long = Vec::new();
    for length in [64, 1 << 40, (1 << 54) - 64, 1 << 54] {
        long.push((0, length));
        long.push((4, length));
    }
    for (part, length) in long {
        let file = forge_with(&Plan::small(), &mut |step| match step {
            Step::Piece(piece) if piece.kind == 48 => {
                piece.list.nth("parts", part).set("length", Value::Number(length));
            }
            Step::Tail(tail) => {
                tail.index_at += HUGE - tail.size;
                tail.size = HUGE;
            }
            _ => {}
        });
        let source = Watched::claiming(&file, HUGE);
        let error = Seeker::open(&source).unwrap().quick(|_| ()).unwrap_err();
        let ReadError::Format(error) = error else { panic!("{error}") };
        assert!(matches!(error.fault(), Fault::Disagree { rule: "§4.11", .. }), "{error}");
        let read: usize = source.reads().iter().map(|&(_, len)| len).sum();
        assert!(read <= file.len(), "{read} bytes read");
    }
}

/// Every record of a forged file, and the file, verified.
fn records(plan: &Plan) -> (Vec<snapfmt::part::device::Record>, snapfmt::read::Verified) {
    let (parts, verified) = walk_in_chunks(&plan.forge()[..]);
    let record = |part| if let Part::Record(record) = part { Some(record) } else { None };
    (parts.into_iter().filter_map(record).collect(), verified.unwrap())
}

#[test]
fn law_4_device_state_comes_only_out_of_a_verified_file() {
    let plan = Plan::complete();
    let (records, verified) = records(&plan);
    assert_eq!(records.len(), 9);
    for (record, of) in records.into_iter().zip(plan.records) {
        let state = verified.admit(record).unwrap();
        assert_eq!((&state.id().section, &state.id().name), (&of.section, &of.name));
        assert_eq!(state.bytes(), of.bytes);
    }
}

#[test]
fn law_4_a_record_of_another_file_is_not_admitted() {
    let (_, verified) = records(&Plan::complete());
    let mut others = [Plan::complete(), Plan::complete()];
    others[0].records[0].bytes[9] ^= 1;
    others[1].records[0].name = "vhpet2".to_owned();
    for other in others {
        let stranger = records(&other).0.remove(0);
        assert_eq!(verified.admit(stranger.clone()), Err(Box::new(stranger)));
    }
}

#[test]
fn law_4_a_file_that_breaks_a_structure_rule_gives_no_device_state() {
    let (records, verified) = records(&Plan::small());
    let rules: Vec<_> = verified.findings().iter().map(|finding| finding.rule.id).collect();
    assert!(rules.contains(&"kern-record-missing"), "{rules:?}");
    for record in records {
        assert_eq!(verified.admit(record.clone()), Err(Box::new(record)));
    }
}

#[test]
fn law_4_a_seeker_gives_only_records_that_its_index_lists() {
    let mut file = small_image(Compression::None);
    let table = places(&file);
    let seeker = Seeker::open(&file[..]).unwrap();
    let state = seeker.record("kern_structs", "vrtc").unwrap().unwrap();
    assert_eq!(state.bytes(), Plan::small().records[0].bytes);
    assert!(seeker.record("devices", "vrtc").unwrap().is_none());
    assert!(seeker.record("kern_structs", "").unwrap().is_none());
    // Another record under the same name, with digests of its own, is not what the index lists.
    let mut other = Plan::small();
    other.records[0].bytes[9] ^= 1;
    let other = other.forge();
    let at = table.iter().find(|place| place.kind == 16).unwrap();
    assert_eq!(places(&other).iter().find(|place| place.kind == 16), Some(at));
    file[at.at..at.end].copy_from_slice(&other[at.at..at.end]);
    let error = Seeker::open(&file[..]).unwrap().record("kern_structs", "vrtc").unwrap_err();
    let ReadError::Format(error) = error else { panic!("{error}") };
    assert!(matches!(error.fault(), Fault::Disagree { rule: "§7.1.6", .. }), "{error}");
}

#[test]
fn law_4_an_index_names_each_record_once() {
    let file = broken(48, |piece| {
        let mut again = piece.list.nth("parts", 4).clone();
        again.set("name", Value::Text(b"vrtc".to_vec()));
        again.set("section", Value::Text(b"kern_structs".to_vec()));
        *piece.list.nth("parts", 5) = again;
    });
    // The first would be given out, and which one is first is not for a reader to decide.
    let error = Seeker::open(&file[..]).err().unwrap();
    let ReadError::Format(error) = error else { panic!("{error}") };
    assert!(matches!(error.fault(), Fault::Value { rule: "§5.4.2", .. }), "{error}");
}

#[test]
fn law_5_no_byte_is_read_twice() {
    for plan in [Plan { per_map: 1, ..with_other() }, Plan::small_zstd()] {
        let file = plan.forge();
        let source = Watched::new(&file);
        let seeker = Seeker::open(&source).unwrap();
        let checked = seeker.quick(|_| ()).unwrap();
        seeker.maps(&checked, |_| ()).unwrap();
        let mut times = vec![0; file.len()];
        for (offset, len) in source.reads() {
            times[offset as usize..offset as usize + len].iter_mut().for_each(|n| *n += 1);
        }
        for place in places(&file) {
            let expected = usize::from(place.kind != 32);
            assert!(times[place.at..place.end].iter().all(|&n| n == expected), "{place:x?}");
        }
    }
}

/// A source that gives each byte once as it is, and afterwards otherwise.
struct Fickle<'a> {
    bytes: &'a [u8],
    given: RefCell<BTreeSet<u64>>,
}

impl ReadAt for Fickle<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buf, offset)?;
        for (byte, offset) in buf.iter_mut().zip(offset..) {
            if !self.given.borrow_mut().insert(offset) {
                *byte ^= 0xff;
            }
        }
        Ok(())
    }
}

#[test]
fn law_5_what_was_checked_is_what_is_given_out() {
    let file = small_image(Compression::None);
    let source = Fickle { bytes: &file, given: RefCell::default() };
    let seeker = Seeker::open(&source).unwrap();
    let mut seen = Vec::new();
    let checked = seeker.quick(|part| seen.push(part)).unwrap();
    seeker.maps(&checked, |table| seen.push(Part::Map(table))).unwrap();
    let (parts, _) = walk_in_chunks(&file[..]);
    let expected: Vec<_> = parts
        .into_iter()
        .filter(|part| !matches!(part, Part::Header(_) | Part::Extent(_) | Part::Index(_)))
        .collect();
    assert_eq!(seen, expected);
    // Whoever asks again gets an answer about the bytes that are there now.
    assert!(matches!(seeker.record("kern_structs", "vrtc"), Err(ReadError::Format(_))));
}

#[test]
fn law_5_a_file_that_shrinks_is_an_error() {
    let file = small_image(Compression::None);
    for len in [0, 100, 4096, 5000, file.len() - 128, file.len() - 1] {
        struct Shrunk<'a>(&'a [u8], u64);
        impl ReadAt for Shrunk<'_> {
            fn size(&self) -> u64 {
                self.1
            }

            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
                self.0.read_exact_at(buf, offset)
            }
        }
        let error = Seeker::open(Shrunk(&file[..len], file.len() as u64)).err().unwrap();
        let ReadError::Format(error) = error else { panic!("{error}") };
        assert_eq!(error.fault().id(), "truncated");
    }
}

#[test]
fn law_6_the_head_of_a_newer_file_says_what_is_missing() {
    let newer = |version: u8, features: &[&str]| {
        forge_with(&Plan::small(), &mut |step| {
            if let Step::Head(head) = step {
                head.ident[56] = version;
                head.list.set("of-the-future", Value::List(List::new().number("n", 1)));
                if !features.is_empty() {
                    let names = features.iter().map(|&name| name.to_owned()).collect();
                    head.list.set("incompatible", Value::Texts(names));
                }
            }
        })
    };
    let version = Fault::Version { found: 7, known: 0 };
    let names = vec!["delta".to_owned(), "turbo".to_owned()];
    let features = Fault::MissingFeatures { names };
    for (file, fault) in [
        (newer(7, &[]), &version),
        (newer(7, &["turbo"]), &version),
        (newer(0, &["delta", "turbo"]), &features),
    ] {
        for error in [walk(&file).unwrap_err(), quick(&file).unwrap_err()] {
            assert_eq!((error.fault(), error.section()), (fault, &Section::Header));
        }
        // The header block alone is enough to say so.
        assert_eq!(walk(&file[..4096]).unwrap_err().fault(), fault);
    }
    walk(&newer(0, &[])).unwrap();
}

#[test]
fn law_7_a_writer_only_appends_and_a_walk_only_goes_forward() {
    let plan = Plan::small();
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let sealed = write_to(&plan, Compression::None, |bytes| pieces.push(bytes.to_vec())).unwrap();
    let file = pieces.concat();
    assert_eq!(file, plan.forge());
    assert_eq!(sealed.size, file.len() as u64);
    let (_, end) = walk_in_chunks(&file[..]);
    let verified = end.unwrap();
    assert_eq!((verified.root(), verified.index()), (sealed.root, &sealed.index));
}

#[test]
fn law_7_walking_and_seeking_find_the_same() {
    for plan in [Plan { per_map: 1, ..with_other() }, Plan::small_zstd(), Plan::small_a()] {
        let file = plan.forge();
        let (parts, end) = walk_in_chunks(&file[..]);
        let verified = end.unwrap();
        let seeker = Seeker::open(&file[..]).unwrap();
        let mut seen = vec![Part::Header(seeker.header().clone())];
        let checked = seeker.quick(|part| seen.push(part)).unwrap();
        seeker.maps(&checked, |table| seen.push(Part::Map(table))).unwrap();
        seen.push(Part::Index(seeker.index().clone()));
        let but_extents = parts.iter().filter(|part| !matches!(part, Part::Extent(_)));
        assert_eq!(seen.iter().collect::<Vec<_>>(), but_extents.collect::<Vec<_>>());
        assert_eq!(verified.header(), seeker.header());
        assert_eq!(verified.index(), seeker.index());
        assert_eq!(verified.vm(), checked.vm());
        assert_eq!((verified.root(), verified.size()), (seeker.root(), seeker.size()));
    }
}

#[test]
fn law_7_one_record_of_a_large_file_takes_kilobytes() {
    let plan = Plan::small();
    let segments = vec![Segment { gpa: 0, len: 1 << 40 }];
    let memory = MemoryMap::new(segments).unwrap();
    let vm = Vm { name: plan.name.clone(), ncpus: 2, memflags: 0, memory };
    let text = Plan { segments: vec![(0, 1 << 40)], ..plan.clone() }.meta_text();
    let header = match walk_in_chunks(&plan.forge()[..]).0.remove(0) {
        Part::Header(header) => header,
        other => panic!("{other:?}"),
    };
    let mut file = Vec::new();
    let meta = MetaText { generation: 'B', text };
    let mut writer = Writer::begin(&header, vm, &meta, Compression::None, &mut file).unwrap();
    for record in &plan.records {
        writer.record(&record.section, &record.name, &record.bytes, &mut file).unwrap();
    }
    let mut writer = writer.memory();
    for number in 0..8_u64 {
        let size = 4 << 20;
        let mut data = Bitmap::new(size / 4096);
        (0..size / 4096).for_each(|page| data.set(page));
        let pages = vec![number as u8 + 1; size];
        let block = Block { gpa: number << 36, size: size as u64, data, pages };
        writer.block(&block, &mut file).unwrap();
    }
    writer.finish(&mut file).unwrap();
    assert!(file.len() > 32 << 20);
    let source = Watched::new(&file);
    let state = Seeker::open(&source).unwrap().record("devices", "uart@pci.0.31.0").unwrap();
    assert_eq!(state.unwrap().bytes(), plan.records[1].bytes);
    let read: usize = source.reads().iter().map(|&(_, len)| len).sum();
    assert!(read < 16 << 10, "{read} bytes read");
    assert_eq!(walk(&file).unwrap().vm().memory.size(), 1 << 40);
}

/// The optional parts of other producers that came out of a walk.
fn others(file: &[u8]) -> Vec<snapfmt::part::Intact> {
    let (parts, end) = walk_in_chunks(file);
    end.unwrap();
    let other = |part| if let Part::Other(part) = part { Some(part) } else { None };
    parts.into_iter().filter_map(other).collect()
}

#[test]
fn law_8_unknown_optional_parts_are_carried_byte_for_byte() {
    let list = List::new().number("n", 7).with("more", Value::Lists(vec![List::new()]));
    let optional = vec![
        (OTHER, list.clone(), vec![1; 100], 1),
        (0x8000_0004, List::new(), Vec::new(), 1),
        (OTHER, list.clone(), vec![2; 5000], 4096),
        (u32::MAX, list, vec![3; 64], 4096),
    ];
    let from = Plan { optional, config: None, ..Plan::small() };
    let original = from.forge();
    let (header, vm, meta) = match &mut walk_in_chunks(&original[..]).0[..] {
        [Part::Header(header), Part::Vm(vm), Part::Meta(meta), ..] => {
            (header.clone(), vm.clone(), meta.clone())
        }
        other => panic!("{other:?}"),
    };
    let mut copy = Vec::new();
    let mut writer = Writer::begin(&header, vm, &meta, Compression::None, &mut copy).unwrap();
    for part in others(&original) {
        writer.carry(&part, &mut copy).unwrap();
    }
    for record in &from.records {
        writer.record(&record.section, &record.name, &record.bytes, &mut copy).unwrap();
    }
    // Without its memory: what comes after is another file, the parts are the same.
    writer.memory().finish(&mut copy).unwrap();
    let (before, after) = (others(&original), others(&copy));
    assert!(before == after);
    assert_eq!(before.len(), 4);
    let end = places(&original)[7].at;
    assert!(copy[..end] == original[..end]);
}

#[test]
fn law_8_meta_is_kept_verbatim() {
    let odd = String::from_utf8(Plan::small().meta_text()).unwrap();
    let odd = format!("  {}\n\n\t", odd.replace(": ", "\t:\r\n").replacen('{', "{\"x\":[],", 1));
    let plan = Plan { meta: Some(odd.clone().into_bytes()), ..Plan::small() };
    let file = write(&plan, Compression::Zstd(3));
    let (parts, end) = walk_in_chunks(&file[..]);
    end.unwrap();
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| if let Part::Meta(meta) = part { Some(&meta.text) } else { None })
        .collect();
    assert_eq!(texts, [odd.as_bytes()]);
}

#[test]
fn law_8_no_damaged_part_comes_out_of_a_reader() {
    let file = with_other().forge();
    let (whole, _) = walk_in_chunks(&file[..]);
    let table = places(&file);
    for (number, place) in table.iter().enumerate() {
        for offset in [place.at + 9, place.nvlist.min(place.end - 1), place.end - 1] {
            let mut damaged = file.clone();
            damaged[offset] ^= 4;
            let (parts, end) = walk_in_chunks(&damaged[..]);
            end.unwrap_err();
            assert_eq!(parts, whole[..number.min(whole.len())], "{place:x?}");
        }
    }
}

#[test]
fn law_8_a_record_without_bytes_survives() {
    let empty = |name: &str| Record {
        section: "devices".to_owned(),
        name: name.to_owned(),
        bytes: Vec::new(),
    };
    let mut plan = Plan::small_a();
    plan.records.extend([empty("ahci-hd"), empty("xhci")]);
    let file = write(&plan, Compression::Zstd(3));
    assert_eq!(walk(&file).unwrap().index().parts.len(), 3 + 4);
    map(&file).unwrap();
}
