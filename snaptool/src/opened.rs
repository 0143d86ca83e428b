//! A state, opened: all is known of it but its RAM, whichever files it is in.

use snapfmt::bhyve::Meta;
use snapfmt::bhyve::set::RamLayout;
use snapfmt::part::device::RecordId;
use snapfmt::part::vm::Vm;
use snapfmt::read::Chain;

use crate::exit::Trouble;
use crate::links::{Damaged, Links};
use crate::progress::Progress;
use crate::ram::Holes;
use crate::signal::Stop;
use crate::text;
use crate::three::{self, ThreeFiles};
use crate::watch::Watched;
use crate::whole::Whole;

/// A state, opened.
pub struct Opened<'a> {
    /// What to call it, safe for a terminal.
    pub name: String,
    /// The machine.
    pub vm: Vm,
    /// Where its RAM is.
    pub ram: Ram<'a>,
}

/// Where the RAM of a state is.
pub enum Ram<'a> {
    /// In a file of its own.
    File {
        /// The three files.
        set: &'a ThreeFiles,
        /// What `.meta` says.
        meta: &'a Meta,
        /// Where RAM lies in the file.
        layout: RamLayout,
        /// Whether holes are read.
        holes: Holes,
    },
    /// In snapshot files.
    Stored {
        /// Which files.
        links: &'a Links,
        /// The chain of them, checked but for RAM.
        chain: Box<Chain<Watched<'a>>>,
    },
}

impl<'a> Opened<'a> {
    /// Opens a state.
    ///
    /// # Errors
    /// Damage, and trouble with reading.
    pub fn open(
        files: &'a Whole,
        holes: Holes,
        stop: &'a Stop,
        untold: &'a Progress,
    ) -> anyhow::Result<Self> {
        match files {
            Whole::Three(set) => {
                let name = text::path(&set.base);
                let damaged = || {
                    let words = format!("{name} breaks the structure rules");
                    Damaged(Trouble::new(words).hint("`snaptool verify` says which"))
                };
                if !set.is_sound() {
                    return Err(damaged().into());
                }
                let meta = set.meta.as_ref().ok_or_else(damaged)?;
                let layout = RamLayout::new(meta.vm.memsize);
                let ram = Ram::File { set, meta, layout, holes };
                Ok(Self { vm: three::vm(meta)?, name, ram })
            }
            Whole::Chain(links) => {
                let chain = links.open(stop, untold, |_, _| ())?;
                let (name, vm) = (links.name().to_owned(), chain.vm().clone());
                Ok(Self { name, vm, ram: Ram::Stored { links, chain: Box::new(chain) } })
            }
        }
    }
}

/// The identities of the records of three files.
///
/// # Errors
/// Trouble with reading.
pub fn records(set: &ThreeFiles, meta: &Meta, stop: &Stop) -> anyhow::Result<Vec<RecordId>> {
    let mut ids = Vec::new();
    for record in set.records() {
        stop.check()?;
        ids.push(RecordId::of(meta.key(record.section), &record.name, &set.bytes(record)?));
    }
    Ok(ids)
}
