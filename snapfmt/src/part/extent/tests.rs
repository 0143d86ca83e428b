//! Extents out of streams (§2.5), which may lack leaves.

use super::*;
use crate::memory::map::Segment;

const SIZE: u64 = 64 << 10;

fn map() -> MemoryMap {
    MemoryMap::new(vec![Segment { gpa: 0, len: 12 * limits::PAGE as u64 }]).unwrap()
}

fn block() -> Block {
    let mut data = Bitmap::new(16);
    data.set(3);
    data.set(7);
    Block { gpa: 0, size: SIZE, data, pages: [vec![7; 4096], vec![8; 4096]].concat() }
}

fn change(old: Option<&[u8]>) -> Change {
    let mut change = Change::new(0, SIZE);
    change.data(3, &[7; 4096], old).unwrap();
    change.zero(5).unwrap();
    change
}

/// The part as a receiver has it.
fn received(part: &Encoded<'_>, payload: Option<&[u8]>) -> Intact {
    let frame = part.frame();
    let (_, digest) = frame.encode();
    let spans = frame.spans(0);
    let mut body = part.nvlist().to_vec();
    let before = usize::try_from(spans.payload_at - spans.nvlist_at).unwrap();
    body.resize(before, 0);
    body.extend_from_slice(payload.unwrap_or(part.payload()));
    body.resize(usize::try_from(spans.end - spans.nvlist_at).unwrap(), 0);
    Intact::check(frame, digest, 0, body).unwrap()
}

fn stream(compression: Compression, leaves: bool) -> StreamForm {
    StreamForm { compression, leaves }
}

#[test]
fn a_stream_needs_no_leaves_and_a_file_does() {
    let (map, block) = (map(), block());
    for compression in [Compression::None, Compression::Zstd(1)] {
        for leaves in [true, false] {
            let (part, root) = Extent::encode(&block, &map, stream(compression, leaves)).unwrap();
            assert_eq!(part.frame().alignment, 1);
            let part = received(&part, None);
            let extent = Extent::open_streamed(&part, &map).unwrap();
            assert_eq!((&extent.block, extent.root, extent.leaves.len()), (&block, root, 2));
            assert_eq!(Extent::open(&part, &map).is_ok(), leaves);
            let change = change(None);
            let form = stream(compression, leaves);
            let (part, _) = Extent::encode_change(&change, &map, form).unwrap();
            let part = received(&part, None);
            let extent = DeltaExtent::open_streamed(&part, &map).unwrap();
            assert!(extent.is_settled() && extent.head().leaves() == change.leaves);
            assert_eq!(DeltaExtent::open(&part, &map).is_ok(), leaves);
        }
    }
}

#[test]
fn differences_have_leaves_in_a_stream_too() {
    let (map, mut old) = (map(), [7; 4096]);
    old[9] = 1;
    let form = stream(Compression::Zstd(1), false);
    let change = change(Some(&old));
    let (part, _) = Extent::encode_change(&change, &map, form).unwrap();
    let part = received(&part, None);
    for open in [DeltaExtent::open, DeltaExtent::open_streamed] {
        let extent = open(&part, &map).unwrap();
        assert!(!extent.is_settled() && extent.head().leaves().len() == 1);
    }
}

#[test]
fn an_empty_bitmap_of_differences_is_told_from_one_of_pages_without_data() {
    let (map, mut old) = (map(), [7; 4096]);
    old[9] = 1;
    let change = change(Some(&old));
    let (part, _) =
        Extent::encode_change(&change, &map, stream(Compression::Zstd(1), true)).unwrap();
    let part = received(&part, None);
    let head = DeltaExtent::open(&part, &map).unwrap().head().clone();
    assert_eq!((head.gpa(), head.size()), (0, SIZE));
    assert_eq!(head.bitmaps(&map, Rest::Inherited), Ok(()));
    let mut beside = Bitmap::new(16);
    beside.set(4);
    for (xor, found) in [(Bitmap::new(16), "empty"), (beside, "set for a page that is no data")] {
        let fault = Head { xor: Some(xor), ..head.clone() }.bitmaps(&map, Rest::Inherited);
        assert!(fault.unwrap_err().to_string().contains(found), "{found}");
    }
}

#[test]
fn pages_of_a_stream_without_leaves_are_checked_by_the_root() {
    let (map, block) = (map(), block());
    let (part, _) = Extent::encode(&block, &map, stream(Compression::None, false)).unwrap();
    let mut pages = block.pages.clone();
    pages[4097] ^= 1;
    let part = received(&part, Some(&pages));
    let error = Extent::open_streamed(&part, &map).unwrap_err();
    assert_eq!(error.fault(), &Fault::Digest { what: "memory block", rule: "§6.2.8" });
}
