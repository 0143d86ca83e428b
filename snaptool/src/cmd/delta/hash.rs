//! The identity of a state that came as three files, which carry none.

use snapfmt::content::content;
use snapfmt::digest::Digest;
use snapfmt::memory::block::Block;
use snapfmt::memory::tree::RootBuilder;

use super::Args;
use crate::opened::{Opened, Ram, records};
use crate::pipeline;
use crate::progress::Progress;
use crate::ram::{Place, places};
use crate::signal::Stop;

/// `content` and memory root of the state; nothing is read of files that say them.
///
/// # Errors
/// Trouble with reading, and a signal.
pub(super) fn identify(
    end: &Opened<'_>,
    args: &Args,
    stop: &Stop,
) -> anyhow::Result<(Digest, Digest)> {
    match &end.ram {
        Ram::Stored { chain, .. } => {
            let index = chain.newest().seeker().index();
            Ok((index.content, index.memory_root))
        }
        Ram::File { set, meta, .. } => {
            let root = memory_root(end, args, stop)?;
            let records = records(set, meta, stop)?;
            Ok((content(&end.vm, &root, &records), root))
        }
    }
}

fn memory_root(end: &Opened<'_>, args: &Args, stop: &Stop) -> anyhow::Result<Digest> {
    let Ram::File { set, layout, holes, .. } = &end.ram else {
        anyhow::bail!("{} has its root in its index", end.name);
    };
    let mode = args.progress.of("delta", &end.name).quiet(args.quiet);
    let progress = Progress::new("hashing", Some(set.ram.len()), mode);
    let map = &end.vm.memory;
    let work = |bytes: &mut Vec<u8>, place: Place| -> anyhow::Result<_> {
        stop.check()?;
        bytes.resize(usize::try_from(place.size)?, 0);
        place.read(&set.ram, bytes)?;
        let root = Block::scan(place.gpa, bytes).map(|block| block.root(map));
        Ok((place.gpa, place.size, place.end(), root))
    };
    let (mut tree, mut done) = (RootBuilder::new(map.clone()), 0);
    let take = |hashed: anyhow::Result<_>| {
        let (gpa, size, end, root) = hashed?;
        if let Some(root) = root {
            tree.block(gpa, size, root);
        }
        progress.add(u64::saturating_sub(end, done));
        done = end;
        Ok(())
    };
    let places = places(&set.ram, *layout, args.form.extent_size(), *holes)?;
    pipeline::in_order(args.threads.count(), work, take, |give| {
        places.into_iter().try_for_each(&mut *give)
    })?;
    progress.add(set.ram.len().saturating_sub(done));
    Ok(tree.finish())
}
