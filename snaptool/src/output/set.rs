//! Publishing several files that belong together, the one that makes them a set last.
//!
//! bhyve's snapshot is RAM, `.kern` and `.meta`; only with the last does it exist. So at no moment
//! may a `.meta` stand beside files that it does not describe, also while an older set is replaced:
//!
//! 1. every new file is made durable under its temporary name;
//! 2. the old set is moved aside, the last file first: from here the old set does not exist;
//! 3. the new files get their names in order, each name durable before the next;
//! 4. the old set is removed.
//!
//! A failure takes the new names back and the old ones are restored, the last file last. A kill
//! between 2 and 4 leaves the old files as `.NAME.snaptool-PID-RANDOM.old`; nothing ever removes
//! those by itself, since they may be the only good copy.

use std::ffi::OsString;

use super::staged::{Named, Staged, hidden_name};
use super::{Existing, cannot, exchanged, taken};
use crate::exit::Trouble;
use crate::text;

/// Makes all files durable and gives them their names, in this order: all of them, or none.
///
/// # Errors
/// As [`Staged::publish`]. Whatever was there before is there again; hints name what could not be
/// cleaned up.
pub fn publish_set(mut files: Vec<Staged>) -> anyhow::Result<()> {
    for file in &files {
        file.sync()?;
    }
    for file in &files {
        let found = file.place.identify(&file.place.name);
        let found = found.map_err(|error| cannot("look at", file.name(), error))?;
        match file.place.stood {
            _ if found.is_none() || found == file.place.stood => {}
            Some(_) => return Err(exchanged(file.name())),
            None => return Err(taken(file.name())),
        }
    }
    let mut undo = Undo::default();
    match undo.publish(&mut files) {
        Ok(()) => {
            undo.remove_old(&files);
            Ok(())
        }
        Err(error) => Err(undo.roll_back(&files, error)),
    }
}

/// What was done so far, by the files' numbers.
#[derive(Debug, Default)]
struct Undo {
    aside: Vec<(usize, OsString)>,
    named: Vec<(usize, Named)>,
}

impl Undo {
    fn publish(&mut self, files: &mut [Staged]) -> anyhow::Result<()> {
        for (i, file) in files.iter().enumerate().rev() {
            self.move_aside(i, file)?;
        }
        for (i, file) in files.iter_mut().enumerate() {
            self.named.push((i, file.take_name()?));
            file.place.sync()?;
        }
        Ok(())
    }

    fn move_aside(&mut self, i: usize, file: &Staged) -> anyhow::Result<()> {
        let place = &file.place;
        let cannot_move = |error| cannot("move aside the old", file.name(), error);
        if file.existing == Existing::Refuse
            || place.identify(&place.name).map_err(cannot_move)?.is_none()
        {
            return Ok(());
        }
        let aside = hidden_name(&place.name, "old");
        place.rename(&place.name, &aside).map_err(cannot_move)?;
        self.aside.push((i, aside));
        // Before any other name changes.
        Ok(place.sync()?)
    }

    fn remove_old(&self, files: &[Staged]) {
        for (i, aside) in &self.aside {
            if let Some(file) = files.get(*i) {
                // The new set is complete; an old file too many does no harm.
                let _ = file.place.remove(aside);
            }
        }
    }

    /// Undoes in the opposite order, so that the last file goes first and comes back last.
    fn roll_back(&self, files: &[Staged], error: anyhow::Error) -> anyhow::Error {
        let mut hints = Vec::new();
        for (i, named) in self.named.iter().rev() {
            if let Some(file) = files.get(*i)
                && named.retract(&file.place).is_err()
            {
                hints.push(format!("remove {}: it is not part of a whole set", file.name()));
            }
        }
        sync_all(files);
        // If one cannot come back, those after it must not: the last would make a set of the rest.
        let mut whole = hints.is_empty();
        for (i, aside) in self.aside.iter().rev() {
            let Some(file) = files.get(*i) else { continue };
            whole = whole && file.place.name_new(aside).is_ok() && file.place.sync().is_ok();
            if !whole {
                let aside = text::path(&file.place.dir_path.join(aside));
                hints.push(format!("the old {} is now {aside}: move it back", file.name()));
            }
        }
        if hints.is_empty() {
            return error;
        }
        let trouble = Trouble::new(error.to_string()).because(error);
        hints.into_iter().fold(trouble, Trouble::hint).into()
    }
}

/// Makes names durable while something else has failed already.
fn sync_all(files: &[Staged]) {
    for file in files {
        let _ = file.place.sync();
    }
}
