//! Where a survey goes on behind what is damaged: what it believes of an index, of a frame's own
//! claim, and what it searches for.
// Helpers of tests fail as tests do; offsets of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use snapfmt::read::survey::{What, survey};
use tests::forge::{Fact, Place, Plan, Step, Value, forge_with, places};

/// Where something begins and ends.
type Range = (u64, u64);

/// The ranges that are damaged, and those that were found by searching.
fn look(bytes: &[u8]) -> (Vec<Range>, Vec<Range>) {
    let account = survey(bytes, |_, _, _| ()).unwrap();
    let mut free = 0;
    let (mut damaged, mut found) = (Vec::new(), Vec::new());
    for span in &account.spans {
        assert_eq!(span.at, free, "{:#?}", account.spans);
        free = span.end();
        match &span.what {
            What::Damaged { .. } => damaged.push((span.at, span.end())),
            What::Part { scanned: true, .. } => found.push((span.at, span.end())),
            What::Memory(run) if run.scanned => found.push((span.at, span.end())),
            _ => {}
        }
    }
    assert_eq!(free, bytes.len() as u64, "{:#?}", account.spans);
    (damaged, found)
}

fn range(place: &Place) -> Range {
    (place.at as u64, place.end as u64)
}

fn of(places: &[Place], kind: u32) -> Vec<Place> {
    places.iter().copied().filter(|place| place.kind == kind).collect()
}

const DEVICE: u32 = 16;
const EXTENT: u32 = 32;
const MAP: u32 = 33;
const INDEX: u32 = 48;

fn small() -> (Vec<u8>, Vec<Place>) {
    let file = Plan::small().forge();
    let places = places(&file);
    (file, places)
}

/// Without its trailer a file lists nothing beforehand.
fn cut(file: &[u8]) -> Vec<u8> {
    file[..file.len() - 128].to_vec()
}

fn wipe(file: &mut [u8], place: &Place) {
    file[place.at..place.at + 128].fill(0x55);
}

/// Changes the size of the payload that a frame states, and not its digest.
fn claim(file: &mut [u8], place: &Place, payload: usize) {
    file[place.at + 24..place.at + 32].copy_from_slice(&(payload as u64).to_le_bytes());
}

#[test]
fn an_index_is_not_believed_that_leads_nowhere_or_beyond_the_end() {
    // The last record: what comes after it is not compared with where it ends.
    for length in [0, 1 << 40, u64::MAX] {
        let mut file = forge_with(&Plan::small(), &mut |step| {
            if let Step::Piece(piece) = step
                && piece.fact == Fact::Index
            {
                piece.list.nth("parts", 4).set("length", Value::Number(length));
            }
        });
        let record = of(&places(&file), DEVICE)[1];
        wipe(&mut file, &record);
        let (damaged, _) = look(&file);
        assert_eq!(damaged[0], range(&record), "{length}");
    }
}

#[test]
fn the_claim_of_a_damaged_frame_is_followed_where_a_part_begins() {
    let (file, places) = small();
    let [first, second] = of(&places, DEVICE)[..] else { panic!() };
    let mut file = cut(&file);
    // Its digest alone: the claim is right, and what follows is found by it.
    file[first.at + 96] ^= 1;
    let (damaged, found) = look(&file);
    assert_eq!((damaged[0], found[0]), (range(&first), range(&second)));
    // The claim leads into the middle of the part; the next one is searched for.
    claim(&mut file, &first, first.payload_end - first.payload - 64);
    let (damaged, found) = look(&file);
    assert_eq!((damaged[0], found[0]), (range(&first), range(&second)));
}

#[test]
fn no_claim_leads_past_what_is_listed() {
    let (mut file, places) = small();
    let (map, index) = (of(&places, MAP)[0], of(&places, INDEX)[0]);
    // Only the trailer knows of INDEX, and MAP claims to go on up to the trailer.
    file[index.nvlist] ^= 1;
    claim(&mut file, &map, map.payload_end - map.payload + index.end - index.at);
    assert_eq!(look(&file).0, [range(&map), range(&index)]);
    wipe(&mut file, &map);
    wipe(&mut file, &index);
    assert_eq!(look(&file).0, [range(&map), range(&index)]);
}

#[test]
fn a_search_stops_only_at_what_is_intact() {
    let (file, places) = small();
    let [first, second] = of(&places, DEVICE)[..] else { panic!() };
    let extent = of(&places, EXTENT)[0];
    let mut file = cut(&file);
    wipe(&mut file, &first);
    file[second.at + 96] ^= 1;
    let (damaged, found) = look(&file);
    assert_eq!(damaged[0], (first.at as u64, second.end as u64));
    assert_eq!(found[0].0, extent.at as u64);
}

#[test]
fn a_damaged_part_at_the_end_of_a_cut_file_is_not_searched() {
    // In its pages lies another file's MAP part, which a search would find.
    let other = Plan { created: 1, ..Plan::small() }.forge();
    let theirs = of(&places(&other), MAP)[0];
    let mut page = other[theirs.at..theirs.end].to_vec();
    page.resize(4096, 0x55);
    let mut plan = Plan::small();
    plan.extents[1].pages.insert(2, page);
    let file = plan.forge();
    let extent = of(&places(&file), EXTENT)[1];
    let mut file = file[..extent.end].to_vec();
    file[extent.end - 1] ^= 1;
    let end = extent.end as u64;
    assert_eq!(look(&file), (vec![range(&extent), (end, end)], vec![]));
    // Wiped, it says nothing, and is searched.
    wipe(&mut file, &extent);
    assert_eq!(look(&file).1.len(), 1);
}
