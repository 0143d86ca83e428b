//! Laws 4 and 5: device state is a type, what was checked is what is used.

use super::*;

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
    let file = Plan::small().forge();
    let quick = Seeker::open(&file[..]).unwrap().quick(|_| ()).unwrap();
    assert_eq!(quick.findings(), verified.findings());
    for record in records {
        assert_eq!(verified.admit(record.clone()), Err(Box::new(record.clone())));
        assert_eq!(quick.admit(record.clone()), Err(Box::new(record)));
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
