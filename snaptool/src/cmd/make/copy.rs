//! Takes over what a snapshot file has beside RAM: for a file that is written from it.

use snapfmt::layout::header::Header;
use snapfmt::part::Intact;
use snapfmt::part::codec::Compression;
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::Vm;
use snapfmt::read::{Chain, ChainError, Part};
use snapfmt::write::Writer;

use super::drain;
use crate::exit::note;
use crate::links::Links;
use crate::output::Output;
use crate::watch::Watched;

/// Begins a file of the state of a chain: machine, `.meta`, configuration, records, and what other
/// tools put beside them.
///
/// # Errors
/// Damage that was not there when the chain was opened, and trouble with reading and writing.
pub(crate) fn begin(
    (links, chain): (&Links, &Chain<Watched<'_>>),
    header: &Header,
    compression: Compression,
    output: &mut Output,
) -> anyhow::Result<Writer> {
    let (vm, meta, out) = (chain.vm(), None, Vec::new());
    let mut copy = Copy { header, vm, compression, meta, writer: None, out, output };
    let mut copied = Ok(());
    let newest = chain.newest();
    let index = newest.seeker().index();
    let read = newest.seeker().quick(|part| {
        let late = matches!(&part, Part::Other(part) if index.is_behind_memory(part.offset()));
        if copied.is_ok() && !late {
            copied = copy.part(part);
        }
    });
    read.map_err(|error| links.wrong(ChainError { link: links.last(), error }))?;
    copied?;
    copy.finish()
}

/// What other tools put behind memory.
///
/// # Errors
/// As [`begin`].
pub(crate) fn late(links: &Links, chain: &Chain<Watched<'_>>) -> anyhow::Result<Vec<Intact>> {
    let mut late = Vec::new();
    let newest = chain.newest();
    let index = newest.seeker().index();
    if index.parts.iter().all(|part| part.record.is_some() || !is_late(chain, part.offset)) {
        return Ok(late);
    }
    let read = newest.seeker().quick(|part| {
        if let Part::Other(part) = part
            && is_late(chain, part.offset())
            && !left_out(&part)
        {
            late.push(part);
        }
    });
    read.map_err(|error| links.wrong(ChainError { link: links.last(), error }))?;
    Ok(late)
}

fn is_late(chain: &Chain<Watched<'_>>, at: u64) -> bool {
    chain.newest().seeker().index().is_behind_memory(at)
}

/// Whether a part may not be taken over, which is said.
fn left_out(part: &Intact) -> bool {
    let bound = part.kind().is_bound();
    if bound {
        note(&format!("left out: {} part, which speaks of its own file alone", part.kind()));
    }
    bound
}

/// A file in the making. It is begun once it is known whether there is META.
struct Copy<'a> {
    header: &'a Header,
    vm: &'a Vm,
    compression: Compression,
    meta: Option<MetaText>,
    writer: Option<Writer>,
    out: Vec<u8>,
    output: &'a mut Output,
}

impl Copy<'_> {
    fn part(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            Part::Meta(text) => self.meta = Some(text),
            Part::Config(text) => self.write(|writer, out| writer.config(&text, out))?,
            Part::Other(part) if !left_out(&part) => {
                self.write(|writer, out| writer.carry(&part, out))?;
            }
            Part::Record(record) => self.write(|writer, out| writer.record_again(&record, out))?,
            _ => {}
        }
        Ok(())
    }

    fn write(
        &mut self,
        what: impl FnOnce(&mut Writer, &mut Vec<u8>) -> Result<(), snapfmt::Error>,
    ) -> anyhow::Result<()> {
        let mut writer = self.writer()?;
        what(&mut writer, &mut self.out)?;
        self.writer = Some(writer);
        drain(&mut self.out, self.output)
    }

    fn writer(&mut self) -> anyhow::Result<Writer> {
        if let Some(writer) = self.writer.take() {
            return Ok(writer);
        }
        let (vm, meta) = (self.vm.clone(), self.meta.as_ref());
        Ok(Writer::begin(self.header, vm, meta, self.compression, &mut self.out)?)
    }

    fn finish(mut self) -> anyhow::Result<Writer> {
        let writer = self.writer()?;
        drain(&mut self.out, self.output)?;
        Ok(writer)
    }
}
