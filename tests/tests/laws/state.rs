//! Laws 4 and 5: device state is a type, what was checked is what is used.

use snapfmt::bhyve::{Meta, Record};
use snapfmt::read::{Kept, Verified};
use snapfmt::state::gate::{Acceptance, AcceptanceError, DeviceState, Judged, Policy};
use snapfmt::state::rules::Severity;
use tests::fixtures::fixtures;
use tests::sets::{kern, packed, packed_delta};

use super::*;

/// Every record of a file, and the file, verified.
fn records(file: &[u8]) -> (Vec<snapfmt::part::device::Record>, Verified) {
    let (parts, verified) = walk_in_chunks(file);
    let record = |part| if let Part::Record(record) = part { Some(record) } else { None };
    (parts.into_iter().filter_map(record).collect(), verified.unwrap())
}

/// A fixture as a snapshot file with memory of zeros; `.kern` with `change`.
fn fixture(name: &str, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let (text, mut kern) = kern(name);
    change(&mut kern);
    packed(&text, &kern)
}

/// The only way there is, with nothing accepted.
fn cleared(file: &[u8]) -> Result<DeviceState, Box<Judged>> {
    let (records, verified) = records(file);
    verified.judge(records, None, None).unwrap().clear(&Policy::default())
}

#[test]
fn law_4_device_state_comes_only_out_of_a_verified_file_that_no_rule_fails() {
    for name in fixtures() {
        let (text, kern) = kern(name);
        let file = fixture(name, |_| ());
        assert_eq!(records(&file).1.meta_text(), text);
        let state = cleared(&file).unwrap();
        assert_eq!(state.meta_text(), text);
        let bytes: Vec<_> = state.records().iter().flat_map(|record| record.bytes()).collect();
        assert!(bytes.into_iter().eq(&kern), "{name}");
        assert_eq!(state.accepted(), []);
    }
}

#[test]
fn law_4_a_file_whose_digests_match_and_whose_values_kill_a_host_gives_no_device_state() {
    for name in fixtures() {
        let judged = cleared(&fixture(name, |kern| kern[..1024].fill(0))).unwrap_err();
        let first = judged.judgement().state.failing().next().unwrap();
        assert_eq!((first.rule.id, first.rule.severity), ("xcr0-loadable", Severity::Panic));
        // Nothing that a person says changes that.
        let error = "xcr0-loadable@vm".parse::<Acceptance>().unwrap_err();
        assert!(matches!(error, AcceptanceError::Never(_)), "{error}");
    }
}

#[test]
fn law_4_three_files_pass_the_same_gate() {
    for name in fixtures() {
        let (text, kern) = kern(name);
        let ram = Meta::parse(&text).unwrap().vm.memsize;
        let judge = |kern: &[u8]| {
            let bytes = |entry: &Record| {
                Some(kern[entry.offset as usize..][..entry.size as usize].to_vec())
            };
            Judged::of_files(&text, (kern.len() as u64, ram), bytes, None, None).unwrap()
        };
        assert!(judge(&kern).clear(&Policy::default()).is_ok(), "{name}");
        let mut zeroed = kern.clone();
        zeroed[..1024].fill(0);
        assert!(judge(&zeroed).clear(&Policy::default()).is_err(), "{name}");
        let mut longer = kern.clone();
        longer.push(0);
        assert!(judge(&longer).clear(&Policy::default()).is_err(), "{name}: bytes at the end");
        // A record that whoever reads the files does not bring is not taken for good.
        let none = Judged::of_files(&text, (kern.len() as u64, ram), |_| None, None, None).unwrap();
        assert!(none.clear(&Policy::default()).is_err(), "{name}");
    }
}

#[test]
fn law_4_records_of_another_file_are_not_judged_as_those_of_this_one() {
    let (own, verified) = records(&Plan::complete().forge());
    let mut others = [Plan::complete(), Plan::complete()];
    others[0].records[0].bytes[9] ^= 1;
    others[1].records[0].name = "vhpet2".to_owned();
    for other in others {
        let stranger = records(&other.forge()).0.remove(0);
        let mut mixed = own.clone();
        mixed[0] = stranger;
        assert_eq!(verified.judge(mixed.clone(), None, None).unwrap_err(), mixed);
    }
    let mut fewer = own.clone();
    fewer.pop();
    assert_eq!(verified.judge(fewer.clone(), None, None).unwrap_err(), fewer);
    assert!(verified.judge(own, None, None).is_ok());
}

#[test]
fn law_4_a_file_that_breaks_a_structure_rule_gives_no_device_state() {
    let (records, verified) = records(&Plan::small().forge());
    let rules: Vec<_> = verified.findings().iter().map(|finding| finding.rule.id).collect();
    assert!(rules.contains(&"kern-record-missing"), "{rules:?}");
    let file = Plan::small().forge();
    let quick = Seeker::open(&file[..]).unwrap().quick(|_| ()).unwrap();
    assert_eq!(quick.findings(), verified.findings());
    let judged = verified.judge(records, None, None).unwrap();
    assert!(judged.clear(&Policy::default()).is_err());
}

#[test]
fn law_4_a_delta_without_its_parents_gives_no_device_state() {
    let (text, kern) = kern("intel-1cpu-fbsd");
    let (records, verified) = records(&packed_delta(&text, &kern));
    assert!(verified.unsettled().is_some());
    let judged = verified.judge(records, None, None).unwrap();
    assert!(judged.judgement().passes(&Policy::default()));
    assert!(judged.clear(&Policy::default()).is_err());
}

#[test]
fn law_4_memory_is_not_judged_by_a_delta_alone_even_if_no_page_of_it_changed() {
    let (text, kern) = kern("intel-1cpu-fbsd");
    let judged = |file: &[u8]| {
        let mut kept = Kept::new(None);
        walk_in_chunks(file).0.into_iter().for_each(|part| drop(kept.take(part)));
        let (records, verified) = records(file);
        let without = verified.judge(records, None, None).unwrap();
        let judged = kept.judge(&verified).unwrap();
        [judged, without].map(|judged| format!("{:?}", judged.judgement().state))
    };
    let [alone, without] = judged(&packed_delta(&text, &kern));
    assert_eq!(alone, without);
    // With all of memory, there is more to say.
    let [full, without] = judged(&packed(&text, &kern));
    assert_ne!(full, without);
}

#[test]
fn law_4_what_never_was_three_files_gives_no_device_state() {
    let plan = Plan { described: false, records: Vec::new(), ..Plan::small() };
    let (records, verified) = records(&plan.forge());
    let judged = verified.judge(records, None, None).unwrap();
    assert!(judged.judgement().passes(&Policy::default()));
    assert!(judged.clear(&Policy::default()).is_err());
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
