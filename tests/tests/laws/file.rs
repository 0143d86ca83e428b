//! Laws 6 to 8: the head is readable, one pass and random access, lossless.

use super::*;

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
    let version = Fault::Version { found: 7, known: 1 };
    let names = vec!["turbo".to_owned()];
    let features = Fault::MissingFeatures { names };
    for (file, fault) in [
        (newer(7, &[]), &version),
        (newer(7, &["turbo"]), &version),
        (newer(1, &["turbo"]), &features),
    ] {
        for error in [walk(&file).unwrap_err(), quick(&file).unwrap_err()] {
            assert_eq!((error.fault(), error.section()), (fault, &Section::Header));
        }
        // The header block alone is enough to say so.
        assert_eq!(walk(&file[..4096]).unwrap_err().fault(), fault);
    }
    walk(&newer(1, &[])).unwrap();
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
    let vm = Vm {
        arch: snapfmt::part::vm::AMD64.to_owned(),
        name: plan.name.clone(),
        ncpus: 2,
        memflags: 0,
        memory,
    };
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
    let mut writer = writer.memory().unwrap();
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
        (0x9fff_ffff, list, vec![3; 64], 4096),
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
    writer.memory().unwrap().finish(&mut copy).unwrap();
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
    let empty = |name: &str| Record::new("devices", name, Vec::new());
    let mut plan = Plan::small_a();
    plan.records.extend([empty("ahci-hd"), empty("xhci")]);
    let file = write(&plan, Compression::Zstd(3));
    assert_eq!(walk(&file).unwrap().index().parts.len(), 3 + 4);
    map(&file).unwrap();
}
