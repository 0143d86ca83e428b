//! A full file and the deltas over it (§13): the state of the last one, checked from the first one
//! up.
//!
//! All files are read by address side by side, each once. An area of the largest block that
//! overlaps, at most 4 MiB, is put together from the full file upwards: every difference is applied
//! to pages that were checked before. Of each file one MAP table is held, and one extent in all.

mod area;
mod check;
mod contents;
mod order;

use std::fmt;

pub use area::StoredArea;
pub use check::CheckError;
pub use order::{Candidate, Found, NoChain, order};

use crate::error::{Fault, Section};
use crate::limits;
use crate::part::map::MapEntry;
use crate::part::vm::Vm;
use crate::read::index::same;
use crate::read::listed::Part;
use crate::read::seek::{Quick, ReadAt, ReadError, Seeker};
use crate::read::tables::Tables;

/// A chain whose links fit: each but the first names the one before as its parent, and all are of
/// one machine. Header block, trailer, INDEX and all parts but memory of each file were checked;
/// [`check`](Self::check) checks the rest.
pub struct Chain<S> {
    /// The files below the newest one, the full one first.
    below: Vec<Link<S>>,
    newest: Link<S>,
}

/// A file of a chain.
pub struct Link<S> {
    seeker: Seeker<S>,
    quick: Quick,
}

/// What is wrong with a chain, and with which of its files.
#[derive(Debug)]
pub struct ChainError {
    /// Which file; the full one is number 0.
    pub link: usize,
    /// What is wrong with it.
    pub error: ReadError,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {} of the chain: {}", self.link.saturating_add(1), self.error)
    }
}

impl std::error::Error for ChainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<S> Link<S> {
    /// The file.
    #[must_use]
    pub fn seeker(&self) -> &Seeker<S> {
        &self.seeker
    }

    /// What a quick check found of it.
    #[must_use]
    pub fn quick(&self) -> &Quick {
        &self.quick
    }
}

impl<S: ReadAt> Chain<S> {
    /// Opens a full file and the deltas over it, in this order; a full file alone is a chain, too.
    /// `each` is given all parts but MAP and EXTENT, with the number of their file.
    ///
    /// # Errors
    /// What is wrong with a file, and a file that does not belong where it is (§13.1, §13.4): found
    /// before a page of it is read.
    pub fn open(
        sources: impl IntoIterator<Item = S>,
        mut each: impl FnMut(usize, Part),
    ) -> Result<Self, ChainError> {
        let mut links: Vec<Link<S>> = Vec::new();
        for (number, source) in sources.into_iter().enumerate() {
            let wrong = |error| ChainError { link: number, error };
            let seeker = Seeker::open(source).map_err(wrong)?;
            fits(&seeker, links.last()).map_err(|fault| wrong(in_header(fault)))?;
            let quick = seeker.quick(|part| each(number, part)).map_err(wrong)?;
            if let Some(before) = links.last() {
                same_machine(before.quick.vm(), quick.vm())
                    .map_err(|fault| wrong(fault.at(0).within(Section::Header).into()))?;
            }
            if number >= limits::CHAIN {
                let (found, limit) = (number as u64 + 1, limits::CHAIN as u64);
                let fault = Fault::OverLimit { what: "the number of files", found, limit };
                return Err(wrong(in_header(fault)));
            }
            if links.iter().any(|link| link.seeker.root() == seeker.root()) {
                let (what, found) = ("the file", "there twice".to_owned());
                let must = "a chain has each file once";
                return Err(wrong(in_header(Fault::Value { what, found, must, rule: "§13.6" })));
            }
            links.push(Link { seeker, quick });
        }
        let Some(newest) = links.pop() else {
            let fault = Fault::Truncated { wanted: 1, left: 0 };
            return Err(ChainError { link: 0, error: in_header(fault) });
        };
        Ok(Self { below: links, newest })
    }

    /// The extents that one file lists, ascending. What its maps say together is checked once the
    /// iterator has come to its end, as in [`Seeker::tables`].
    #[must_use]
    pub fn entries(&self, link: usize) -> Entries<'_, S> {
        let tables = self.link(link).map(|link| link.seeker.tables(&link.quick));
        Entries { link, tables, table: Vec::new().into_iter() }
    }
}

impl<S> Chain<S> {
    /// The files, the full one first.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = &Link<S>> {
        self.below.iter().chain(std::iter::once(&self.newest))
    }

    /// How many files there are: at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.below.len().saturating_add(1)
    }

    /// The file with this number; the full one is number 0.
    #[must_use]
    pub fn link(&self, number: usize) -> Option<&Link<S>> {
        if number == self.below.len() { Some(&self.newest) } else { self.below.get(number) }
    }

    /// The file whose state the chain is of: its header, machine and index are those of the state.
    #[must_use]
    pub fn newest(&self) -> &Link<S> {
        &self.newest
    }

    /// The machine; its memory map is that of all files.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        self.newest.quick.vm()
    }
}

fn in_header(fault: Fault) -> ReadError {
    fault.at(0).within(Section::Header).into()
}

/// Whether a file may follow the one before it, as the header blocks and indices say.
fn fits<S: ReadAt>(seeker: &Seeker<S>, before: Option<&Link<S>>) -> Result<(), Fault> {
    match (&seeker.header().parent, before) {
        (None, None) => Ok(()),
        (Some(parent), None) => {
            Err(Fault::Parent { content: parent.content, uuid: parent.uuid.clone() })
        }
        (None, Some(_)) => Err(Fault::Value {
            what: "the file",
            found: "a full one".to_owned(),
            must: "all files of a chain but the first are deltas",
            rule: "§13",
        }),
        (Some(parent), Some(before)) => {
            let (here, there) = (parent.content, before.seeker.index().content);
            if here == there {
                return Ok(());
            }
            Err(Fault::Disagree {
                what: "the content of the parent",
                here: here.to_string(),
                there: there.to_string(),
                place: "in the file before it",
                rule: "§13.1.1",
            })
        }
    }
}

/// Whether a delta may lie between states of these machines (§13.1.3).
///
/// # Errors
/// The first difference.
pub fn same_machine(parent: &Vm, vm: &Vm) -> Result<(), Fault> {
    let map = |vm: &Vm| {
        let segments = vm.memory.segments().iter();
        let shown = segments.map(|s| format!("{:#x} + {:#x}", s.gpa, s.len));
        shown.collect::<Vec<_>>().join(", ")
    };
    let differs = |what, here: String, there: String| {
        let place = "in the parent";
        Err(Fault::Disagree { what, here, there, place, rule: "§13.1.3" })
    };
    if parent.arch != vm.arch {
        return differs("the architecture", vm.arch.clone(), parent.arch.clone());
    }
    if parent.memory != vm.memory {
        return differs("the memory map", map(vm), map(parent));
    }
    Ok(())
}

/// The extents that one file of a chain lists. Made by [`Chain::entries`].
pub struct Entries<'a, S> {
    link: usize,
    tables: Option<Tables<'a, S>>,
    table: std::vec::IntoIter<MapEntry>,
}

impl<S: ReadAt> Iterator for Entries<'_, S> {
    type Item = Result<MapEntry, ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.table.next() {
                return Some(Ok(entry));
            }
            match self.tables.as_mut()?.next()? {
                Ok(table) => self.table = table.entries.into_iter(),
                Err(error) => return Some(Err(ChainError { link: self.link, error })),
            }
        }
    }
}

impl<S: ReadAt> Link<S> {
    /// Compares what only the whole chain shows with what the index says.
    fn same<T: PartialEq + ToString>(
        &self,
        what: &'static str,
        index: &T,
        seen: &T,
        rule: &'static str,
    ) -> Result<(), ReadError> {
        same(what, index, seen, rule).map_err(|fault| self.seeker.wrong(fault).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_chain_names_its_file_and_has_its_cause() {
        let error = Fault::Truncated { wanted: 1, left: 0 }.at(7).within(Section::Header).into();
        let error = ChainError { link: 2, error };
        assert!(error.to_string().starts_with("file 3 of the chain: "), "{error}");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause, Some(error.error.to_string()));
    }
}
