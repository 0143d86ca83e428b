//! Copies, which have no way back: what arrives in part, or otherwise than it went, is never kept.

use migrate::core::Outcome;

use crate::disk::File;
use crate::process::{Host, Input};
use crate::rng::Rng;
use crate::variant::Variant;
use crate::world::World;
use crate::{source, target};

/// All bytes of the copy of this world's VM.
fn sent(seed: u64) -> Vec<u8> {
    let World { mut source, mut ctx, .. } = World::new(seed, Variant::Faithful, false);
    let mut process = source::copies(&source, &ctx);
    process.connect(&mut ctx);
    source.process = Some(process);
    let out = loop {
        let process = source.process.as_ref().unwrap();
        if process.over.is_some() {
            break process.out.iter().copied().collect();
        }
        source::work(&mut source, &mut ctx);
    };
    assert_eq!(source.process.unwrap().over, Some(Outcome::Done));
    out
}

/// A target that got these bytes, and then the end of the stream; how it ended.
fn received(seed: u64, mut bytes: &[u8]) -> (Host, Outcome, bool) {
    let World { mut target, mut ctx, .. } = World::new(seed, Variant::Faithful, false);
    let mut process = target::begin(&mut target, &mut ctx).unwrap();
    process.connect(&mut ctx);
    target.process = Some(process);
    let mut known = false;
    let outcome = loop {
        let process = target.process.as_mut().unwrap();
        if let Some(outcome) = &process.over {
            let silent = process.out.is_empty() || !known;
            assert!(silent, "a target of a copy says nothing");
            break outcome.clone();
        }
        // What cannot be read as a copy is not known to be one.
        known |= !(process.machine.is_greeting() || process.machine.is_apart());
        if !process.todo.is_empty() {
            target::work(&mut target, &mut ctx);
        } else if bytes.is_empty() {
            let closed = process.closed();
            process.feed(&mut ctx, Input::Closed(closed));
        } else {
            let (now, later) = bytes.split_at(bytes.len().min(1 + ctx.rng.index(20_000)));
            let left = process.receive(&mut ctx, now).len();
            bytes = if left == 0 { later } else { &bytes[now.len() - left..] };
        }
    };
    let disk = target.disk.borrow();
    let (ram, state) = (disk.durable(File::Ram), disk.durable(File::State));
    let same = target::contents(&ctx.image, ram, state) == Some(ctx.image.content);
    drop(disk);
    (target, outcome, same)
}

#[test]
fn a_whole_copy_is_kept_and_durable() {
    for seed in 0..60 {
        let (target, outcome, same) = received(seed, &sent(seed));
        assert_eq!((target.published, outcome, same), (true, Outcome::Done, true), "{seed}");
    }
}

#[test]
fn a_copy_that_was_cut_at_any_byte_is_never_kept() {
    let mut rng = Rng::new(1);
    for seed in 0..15 {
        let sent = sent(seed);
        // Anywhere; and at every byte of what only says that it was all.
        let anywhere: Vec<_> = (0..20).map(|_| rng.index(sent.len())).collect();
        for cut in anywhere.into_iter().chain(sent.len() - 60..sent.len()) {
            let (target, outcome, _) = received(seed, &sent[..cut]);
            assert!(!target.published, "seed {seed}, cut at {cut}");
            assert_eq!(outcome, Outcome::Cut, "seed {seed}, cut at {cut}");
        }
    }
}

#[test]
fn a_copy_with_any_bit_flipped_is_never_kept() {
    let mut rng = Rng::new(2);
    for seed in 0..30 {
        let sent = sent(seed);
        for _ in 0..15 {
            let (at, bit) = (rng.index(sent.len()), rng.below(8));
            let mut bytes = sent.clone();
            bytes[at] ^= 1 << bit;
            let (target, outcome, _) = received(seed, &bytes);
            assert!(!target.published, "seed {seed}, bit {bit} of byte {at}");
            assert!(matches!(outcome, Outcome::Stopped(_)), "{outcome:?}, byte {at}");
        }
    }
}
