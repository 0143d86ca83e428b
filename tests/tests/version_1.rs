//! Version 1 is frozen: files that were written when it was are read for ever, as the same states.
//!
//! The files in `fixtures/version-1` are never written anew. Whoever has to change this test breaks
//! the promise of §9.1.

#![allow(clippy::unwrap_used)]

use snapfmt::Digest;
use snapfmt::read::{Chain, Part, Seeker, Verified, read_all};
use snapfmt::state::gate::Policy;

const FULL: &[u8] = include_bytes!("../fixtures/version-1/full.snap");
const DELTA: &[u8] = include_bytes!("../fixtures/version-1/delta.snap");
/// `root` and `content`, as they were printed when the files were written.
const FULL_IS: [&str; 2] = [
    "1013f4347da72ac1224eb5484fd7f3f1728f9b3396fca91e0b77f77d9021e9eb",
    "af9da833dd66553bbf444d63c46bd55f562eaf036ec4052ec21af28dafd31a08",
];
const DELTA_IS: [&str; 2] = [
    "c06bef73f3da92bdeedc65bb4d146fb2a839990854d28cbee8369ebe21e06354",
    "d5ae84a4b82356154f709f2913a937a3c9f029bec3c8b69b1565bd749cc53c86",
];
/// SHA-256 of all records, one after another: `.kern` as bhyve wrote it.
const KERN: &str = "9c5398901c984cdc1d407cae3310023b5eb854ed35c70e395cfb0b9256a880cd";

fn identities(verified: &Verified) -> [String; 2] {
    [verified.root().to_string(), verified.index().content.to_string()]
}

#[test]
fn a_full_file_of_version_1_is_read_as_the_state_that_it_was() {
    let (mut records, mut kern) = (Vec::new(), Vec::new());
    let verified = read_all(FULL, |part, _| -> Result<(), std::convert::Infallible> {
        if let Part::Record(record) = part {
            kern.extend_from_slice(record.bytes());
            assert!(record.fields().is_some_and(|fields| fields.is_known()), "{}", record.id());
            records.push(record);
        }
        Ok(())
    });
    let verified = verified.unwrap();
    assert_eq!(identities(&verified), FULL_IS);
    assert_eq!(Digest::of(&kern).to_string(), KERN);
    let judged = verified.judge(records, None, None).unwrap();
    assert!(judged.clear(&Policy::default()).is_ok());
}

#[test]
fn a_delta_of_version_1_is_read_over_its_parent() {
    let mut records = Vec::new();
    let chain = Chain::open([FULL, DELTA], |link, part| {
        if let (1, Part::Record(record)) = (link, part) {
            records.push(record);
        }
    });
    let mut pages = 0_usize;
    let checked = chain.unwrap().check(64 << 10, |block| -> Result<(), std::convert::Infallible> {
        pages += block.data.count();
        Ok(())
    });
    let verified = checked.unwrap();
    assert!(pages > 0);
    assert_eq!(identities(&verified[0]), FULL_IS);
    assert_eq!(identities(&verified[1]), DELTA_IS);
    assert!(verified[1].judge(records, None, None).unwrap().clear(&Policy::default()).is_ok());
}

#[test]
fn what_a_file_of_version_1_is_can_be_told_from_its_head_alone() {
    let seeker = Seeker::open(DELTA).unwrap();
    let header = seeker.header();
    assert_eq!(header.incompatible, ["delta"]);
    let parent = header.parent.as_ref().unwrap();
    assert_eq!(parent.content.to_string(), FULL_IS[1]);
    assert!(header.producer.starts_with("snaptool "));
}
