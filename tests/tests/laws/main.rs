//! The laws of the design, each with tests that bear its name.
// Helpers of tests fail as tests do; offsets and page numbers of small files fit every type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod checks;
mod file;
mod state;

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
