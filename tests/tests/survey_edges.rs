//! The survey where one thing after another is gone: what it still knows, and what it calls it.
// Helpers of tests fail as tests do; offsets of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use snapfmt::error::Section;
use snapfmt::read::survey::{Run, Survey, What, survey};
use snapfmt::read::{Part, ReadAt};
use snapfmt::{Digest, Error};
use tests::forge::{Place, Plan, places, reseal};

/// The survey of a file, whose ranges have to tile it.
fn look(bytes: &[u8]) -> Survey {
    let account = survey(bytes, |_, _, _| ()).unwrap();
    let mut free = 0;
    for span in &account.spans {
        assert_eq!(span.at, free, "{:#?}", account.spans);
        free = span.end();
    }
    assert_eq!(free, bytes.size(), "{:#?}", account.spans);
    account
}

fn errors(account: &Survey) -> Vec<Error> {
    account.errors().cloned().collect()
}

/// Begins, lengths and a word for each range.
fn words(account: &Survey) -> Vec<(u64, u64, &'static str)> {
    let word = |what: &What| match what {
        What::Header => "header",
        What::Part { scanned: false, .. } => "part",
        What::Part { scanned: true, .. } => "found",
        What::Memory(Run { checked: true, scanned: false, .. }) => "memory",
        What::Memory(Run { checked: false, scanned: false, .. }) => "memory, not checked",
        What::Memory(_) => "memory, found",
        What::Damaged { .. } => "damaged",
        What::Unread => "unread",
        What::Trailer => "trailer",
        What::Rest { .. } => "rest",
    };
    account.spans.iter().map(|span| (span.at, span.len, word(&span.what))).collect()
}

fn small() -> (Vec<u8>, Vec<Place>) {
    let file = Plan::small().forge();
    let places = places(&file);
    (file, places)
}

fn of(places: &[Place], kind: u32) -> Vec<Place> {
    places.iter().copied().filter(|place| place.kind == kind).collect()
}

const DEVICE: u32 = 16;
const EXTENT: u32 = 32;
const MAP: u32 = 33;
const INDEX: u32 = 48;

/// Nobody can take these bytes for anything.
fn wipe(file: &mut [u8], from: usize, to: usize) {
    file[from..to].fill(0x55);
}

#[test]
fn what_is_no_snapshot_is_left_unread() {
    assert_eq!(words(&look(&[7; 100])), [(0, 100, "damaged")]);
    assert_eq!(words(&look(&[7; 4096])), [(0, 4096, "damaged")]);
    assert_eq!(words(&look(&[7; 9000])), [(0, 4096, "damaged"), (4096, 9000 - 4096, "unread")]);
}

#[test]
fn a_file_with_other_first_bytes_is_known_by_its_first_part_or_its_trailer() {
    let (file, places) = small();
    let (vm, end) = (places[1], places.last().unwrap());
    let mut first = file.clone();
    wipe(&mut first, 0, 4096);
    let whole = words(&look(&first));
    assert_eq!(whole[0], (0, 4096, "damaged"));
    assert!(whole[1..].iter().all(|(_, _, word)| *word != "damaged" && *word != "unread"));
    assert_eq!(errors(&look(&first))[0].fault().id(), "not-a-snapshot");

    let mut trailer = first.clone();
    wipe(&mut trailer, vm.at, vm.at + 128);
    assert!(words(&look(&trailer)).contains(&(end.at as u64, 128, "trailer")));

    let mut neither = trailer;
    wipe(&mut neither, end.at, end.end);
    let size = neither.len() as u64;
    assert_eq!(words(&look(&neither)), [(0, 4096, "damaged"), (4096, size - 4096, "unread")]);
    // With its own first bytes it is searched, whatever else is damaged.
    neither[..22].copy_from_slice(b"BHYVE CHECKPOINT IMAGE");
    assert!(words(&look(&neither)).iter().all(|(_, _, word)| *word != "unread"));
}

#[test]
fn a_part_with_a_damaged_body_is_passed_over_without_a_search() {
    let (file, places) = small();
    let record = of(&places, DEVICE)[0];
    let mut cut = file[..file.len() - 128].to_vec();
    cut[record.payload] ^= 1;
    let account = look(&cut);
    let size = (record.end - record.at) as u64;
    assert!(words(&account).contains(&(record.at as u64, size, "damaged")));
    assert!(words(&account).iter().all(|(_, _, word)| !word.contains("found")));
}

#[test]
fn what_was_searched_for_is_called_found() {
    let (file, places) = small();
    let records = of(&places, DEVICE);
    let mut cut = file[..file.len() - 128].to_vec();
    wipe(&mut cut, records[0].at, records[0].at + 128);
    let account = words(&look(&cut));
    let second = records[1];
    assert!(account.contains(&(second.at as u64, (second.end - second.at) as u64, "found")));
    let index = of(&places, INDEX)[0];
    assert!(account.contains(&(index.at as u64, (index.end - index.at) as u64, "found")));
}

#[test]
fn a_part_that_runs_into_what_is_listed_next_is_not_read() {
    let (mut file, places) = small();
    let (map, index) = (of(&places, MAP)[0], of(&places, INDEX)[0]);
    // INDEX is known by the trailer alone.
    file[index.nvlist] ^= 1;
    let longer = (map.payload_end - map.payload) as u64 + 64;
    file[map.at + 24..map.at + 32].copy_from_slice(&longer.to_le_bytes());
    reseal(&mut file, &map);
    let errors = errors(&look(&file));
    assert_eq!((errors[0].fault().id(), errors[0].at()), ("order", map.at as u64));
    assert!(errors[0].to_string().contains("what the index lists next begins within it"));
    assert_eq!((errors[1].fault().id(), errors.len()), ("digest", 2));
}

#[test]
fn a_trailer_that_points_to_another_part_lists_nothing() {
    let (mut file, places) = small();
    let (index, trailer) = (of(&places, INDEX)[0], *places.last().unwrap());
    let record = of(&places, DEVICE)[0];
    file[index.at + 8..index.at + 12].copy_from_slice(&MAP.to_le_bytes());
    reseal(&mut file, &index);
    let root = Digest::of(&file[index.at..index.at + 96]);
    file[trailer.at + 64..trailer.at + 96].copy_from_slice(root.as_bytes());
    reseal(&mut file, &trailer);
    wipe(&mut file, record.at, record.at + 128);
    // An index would say which record this was.
    assert_eq!(errors(&look(&file))[0].section(), &Section::Frame);
}

#[test]
fn a_part_in_the_place_of_another_is_called_what_it_is() {
    let mut plan = Plan::small();
    for (record, (name, byte)) in plan.records.iter_mut().zip([("one", 1), ("two", 2)]) {
        record.section = "devices".to_owned();
        record.name = name.to_owned();
        record.bytes = vec![byte; 100];
    }
    let mut file = plan.forge();
    let places = places(&file);
    let [one, two] = of(&places, DEVICE)[..] else { panic!() };
    let (first, second) = (file[one.at..one.end].to_vec(), file[two.at..two.end].to_vec());
    file[one.at..one.end].copy_from_slice(&second);
    file[two.at..two.end].copy_from_slice(&first);
    let errors = errors(&look(&file));
    let names: Vec<_> = errors.iter().map(|error| error.section().to_string()).collect();
    assert_eq!(names, ["device record devices/two", "device record devices/one"]);
    assert!(errors.iter().all(|error| error.fault().id() == "disagree"));
}

#[test]
fn a_damaged_frame_of_an_extent_claims_its_address() {
    let (file, places) = small();
    let extent = of(&places, EXTENT)[1];
    let mut cut = file[..file.len() - 128].to_vec();
    cut[extent.at + 96] ^= 1;
    let account = look(&cut);
    let claim = account.spans.iter().find_map(|span| match &span.what {
        What::Damaged { claim: Some(claim), .. } => Some(claim.show()),
        _ => None,
    });
    let claim = claim.unwrap();
    assert_eq!(claim.kind, "EXTENT");
    assert_eq!(claim.label, Some(Section::Extent { gpa: 1 << 32 }.to_string()));
    assert_eq!(claim.length, (extent.end - extent.at) as u64);
}

#[test]
fn without_the_machine_extents_are_counted_but_not_checked_nor_given() {
    let (mut file, places) = small();
    let (vm, extents, map) = (places[1], of(&places, EXTENT), of(&places, MAP)[0]);
    file[vm.nvlist] ^= 1;
    let mut kinds = Vec::new();
    let account = survey(&file[..], |_, _, part| {
        kinds.push(match part {
            Part::Extent(_) => "extent",
            Part::Map(_) => "map",
            _ => "other",
        });
    });
    let account = account.unwrap();
    let len = (map.end - extents[0].at) as u64;
    assert!(words(&account).contains(&(extents[0].at as u64, len, "memory, not checked")));
    assert!(kinds.contains(&"map") && !kinds.contains(&"extent"));
}

#[test]
fn what_looks_like_parts_in_guest_memory_is_one_damage_with_what_it_lies_in() {
    let other = Plan { name: "other".to_owned(), created: 1, ..Plan::small() }.forge();
    let theirs = places(&other);
    let (vm, index) = (theirs[1], of(&theirs, INDEX)[0]);
    // Out of order the one, of another header block the other.
    let mut page = [&other[vm.at..vm.end], &other[index.at..index.end]].concat();
    page.resize(4096, 0x55);
    let mut plan = Plan::small();
    plan.extents[1].pages.insert(2, page);
    let file = plan.forge();
    let places = places(&file);
    let extent = of(&places, EXTENT)[1];
    let mut cut = file[..file.len() - 128].to_vec();
    wipe(&mut cut, extent.at, extent.at + 128);
    let account = look(&cut);
    let (at, len) = (extent.at as u64, (extent.end - extent.at) as u64);
    assert!(words(&account).contains(&(at, len, "damaged")), "{:?}", words(&account));
    let ids: Vec<_> = errors(&account).iter().map(|error| error.fault().id()).collect();
    assert_eq!(ids, ["magic", "truncated"]);
}

#[test]
fn what_follows_index_is_a_trailer_whatever_it_holds() {
    let (mut file, places) = small();
    let trailer = places.last().unwrap();
    wipe(&mut file, trailer.at, trailer.end);
    let errors = errors(&look(&file));
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].fault().id(), errors[0].section()), ("magic", &Section::Trailer));
    assert_eq!(errors[0].at(), trailer.at as u64);
}

#[test]
fn a_trailer_ends_the_file_even_without_index_and_with_bytes_behind_it() {
    let (mut file, places) = small();
    let (index, trailer) = (of(&places, INDEX)[0], places.last().unwrap());
    file[index.nvlist] ^= 1;
    file.extend([7; 64]);
    let account = look(&file);
    let (at, end) = (trailer.at as u64, trailer.end as u64);
    let words = words(&account);
    assert_eq!(words[words.len() - 2..], [(at, 128, "trailer"), (end, 64, "damaged")]);
    let ids: Vec<_> = errors(&account).iter().map(|error| error.fault().id()).collect();
    assert_eq!(ids, ["digest", "trailing"]);
}

#[test]
fn a_trailer_in_guest_memory_ends_nothing() {
    let other = Plan { name: "other".to_owned(), created: 1, ..Plan::small() }.forge();
    let theirs = places(&other);
    let (map, trailer) = (of(&theirs, MAP)[0], *theirs.last().unwrap());
    let mut page = [&other[map.at..map.end], &other[trailer.at..trailer.end]].concat();
    page.resize(4096, 0x55);
    let mut plan = Plan::small();
    plan.extents[1].pages.insert(2, page);
    let file = plan.forge();
    let places = places(&file);
    let (extent, map) = (of(&places, EXTENT)[1], of(&places, MAP)[0]);
    let mut cut = file[..file.len() - 128].to_vec();
    wipe(&mut cut, extent.at, extent.at + 128);
    let account = look(&cut);
    let ids: Vec<_> = errors(&account).iter().map(|error| error.fault().id()).collect();
    assert_eq!(ids, ["magic", "magic", "truncated"]);
    let found = (map.at as u64, (map.end - map.at) as u64, "memory, found");
    assert!(words(&account).contains(&found), "{:?}", words(&account));
}

#[test]
fn an_index_that_was_searched_for_is_followed_by_the_trailer() {
    let (mut file, places) = small();
    let (record, trailer) = (of(&places, DEVICE)[1], places.last().unwrap());
    wipe(&mut file, record.at, record.at + 128);
    wipe(&mut file, trailer.at, trailer.end);
    let errors = errors(&look(&file));
    let at: Vec<_> = errors.iter().map(|error| error.at()).collect();
    assert_eq!(at, [record.at as u64, trailer.at as u64]);
    assert_eq!(errors[1].section(), &Section::Trailer);
}

#[test]
fn extents_out_of_order_are_refused_though_nothing_lists_them() {
    // Compressed, a part is as long wherever it lies.
    let mut plan = Plan::small_zstd();
    for extent in &mut plan.extents {
        extent.pages = [(1, vec![1; 4096])].into_iter().collect();
    }
    let mut file = plan.forge();
    let places = places(&file);
    let [low, high] = of(&places, EXTENT)[..] else { panic!() };
    assert_eq!(low.end - low.at, high.end - high.at);
    let (first, second) = (file[low.at..low.end].to_vec(), file[high.at..high.end].to_vec());
    file[low.at..low.end].copy_from_slice(&second);
    file[high.at..high.end].copy_from_slice(&first);
    file.truncate(file.len() - 128);
    let errors = errors(&look(&file));
    assert_eq!(errors[0].section(), &Section::Extent { gpa: 0 });
    assert_eq!(errors[0].at(), high.nvlist as u64, "{:?}", errors[0]);
    assert!(errors[0].to_string().contains("§6.2.7"), "{}", errors[0]);
}

#[test]
fn raw_extents_in_guest_memory_are_all_given_however_many() {
    let (file, places) = small();
    let [first, extent] = of(&places, EXTENT)[..] else { panic!() };
    // Raw pages decode to no more than their own bytes, so there is nothing to bound.
    let mut bytes = [&file[..first.at], &[0x55; 4096][..]].concat();
    bytes.resize(bytes.len().next_multiple_of(4096) + extent.at % 4096, 0x55);
    let count = 40;
    for _ in 0..count {
        bytes.extend(&file[extent.at..extent.end]);
    }
    let mut given = 0;
    let each = |_, _, part| given += usize::from(matches!(part, Part::Extent(_)));
    survey(&bytes[..], each).unwrap();
    assert_eq!(given, count);
}
