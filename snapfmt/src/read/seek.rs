//! Reading by seeking (§7.4): header block, trailer and INDEX first, then only what is asked for.
//!
//! How much is read depends on the number of records and, for the maps, of extents; never on the
//! amount of RAM. Nothing is read twice.

use std::convert::Infallible;
use std::io;

use crate::bhyve::Finding;
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{self, Frame};
use crate::layout::header::{self, Header};
use crate::layout::kind::Kind;
use crate::layout::trailer::{self, Trailer};
use crate::ledger::Ledger;
use crate::limits;
use crate::memory::tree;
use crate::part::Intact;
use crate::part::device::Record;
use crate::part::extent::{DeltaExtent, Extent, Head, SettleError};
use crate::part::index::{Index, MapRef, PartRef};
use crate::part::map::{MapEntry, MapTable};
use crate::part::vm::Vm;
use crate::read::index::{record_listed, same};
use crate::read::listed::{Part, open_listed};
use crate::read::tables::Tables;
use crate::read::verified::{Verified, origin};
use crate::state::gate::Judgement;
use crate::state::rules::{GuestRam, HostFacts};

/// Something that can be read at an offset.
pub trait ReadAt {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` where it is shorter than [`size`](Self::size) said, and any other trouble.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let range =
            usize::try_from(offset).ok().and_then(|at| Some(at..at.checked_add(buf.len())?));
        let bytes = range.and_then(|range| self.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset)
    }
}

/// Why a file could not be read: what is wrong with it, or trouble below it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is wrong.
    #[error(transparent)]
    Format(#[from] Error),
    /// It could not be read.
    #[error("cannot read at offset {at:#x}: {source}")]
    Io {
        /// Where.
        at: u64,
        /// What the system says.
        source: io::Error,
    },
}

impl From<SettleError<Infallible>> for ReadError {
    fn from(error: SettleError<Infallible>) -> Self {
        match error {
            SettleError::Format(error) => error.into(),
            SettleError::Parent(never) => match never {},
        }
    }
}

/// A file whose header block, trailer and INDEX have been checked.
pub struct Seeker<S> {
    source: S,
    header: Header,
    header_digest: Digest,
    index: Index,
    trailer: Trailer,
}

/// A file that passed a quick check: all but MAP and EXTENT parts (§7.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quick {
    vm: Vm,
    index: Index,
    meta_text: Vec<u8>,
    findings: Vec<Finding>,
    /// Where memory parts begin, and where they end.
    pub(super) memory_at: u64,
    pub(super) memory_end: u64,
}

impl Quick {
    /// The machine.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.vm
    }

    /// What the structure rules say of `.meta` and its records ([`crate::bhyve::check`]).
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the rules of device state say of the records of this file, in its order. Nothing can be
    /// restored on this alone: RAM has not been checked, and a restore needs both. See
    /// [`Verified::judge`].
    ///
    /// # Errors
    /// The records, if they are not all of those that the index of this file lists.
    pub fn judge(
        &self,
        records: Vec<Record>,
        ram: Option<&dyn GuestRam>,
        host: Option<&HostFacts>,
    ) -> Result<Judgement, Vec<Record>> {
        let origin = origin(&self.vm, &self.index, &self.meta_text, records)?;
        Ok(Judgement::of(&origin.machine(), self.findings.clone(), ram, host))
    }
}

/// Pages with their numbers in a block, ascending.
pub(super) type Numbered = Vec<(usize, Vec<u8>)>;

/// Bytes read at once, so that a long part costs memory as it is read, and not before.
const STEP: usize = 1 << 20;

impl<S: ReadAt> Seeker<S> {
    /// Checks header block, trailer and INDEX.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(source: S) -> Result<Self, ReadError> {
        let size = source.size();
        let read = |at, len, section| read(&source, size, at, len, section);
        let len = header::LEN.min(usize::try_from(size).unwrap_or(usize::MAX));
        let block = read(0, len, Section::Header)?;
        // A file that is no snapshot at all should be told so, however short it is.
        let magic = block.get(..header::MAGIC.len()).unwrap_or(&block);
        if !header::MAGIC.starts_with(magic) || magic.is_empty() {
            return Err(Fault::NotASnapshot.at(0).within(Section::Header).into());
        }
        if len < header::LEN {
            let fault = Fault::Truncated { wanted: header::LEN as u64, left: size };
            return Err(fault.at(size).within(Section::Header).into());
        }
        let (header, header_digest) = Header::check(&block)?;
        let least = (header::LEN + trailer::LEN) as u64;
        if size < least {
            let fault = Fault::Truncated { wanted: least - size, left: 0 };
            return Err(fault.at(size).within(Section::Trailer).into());
        }
        let at = size - trailer::LEN as u64;
        let trailer = Trailer::check(&read(at, trailer::LEN, Section::Trailer)?, at)?;
        let part = Self::part(&source, size, trailer.index_at, trailer.index_len)?;
        if part.kind() != Kind::Index {
            let why = "the trailer points to it as INDEX";
            return Err(part.wrong(Fault::Order { found: part.kind(), why }).into());
        }
        let matches = same("the root", &part.digest(), &trailer.root, "§7.3.5");
        matches.map_err(|fault| part.wrong(fault))?;
        let index = Index::open(&part)?;
        let matches = same("the header's digest", &index.header, &header_digest, "§7.1.1");
        matches.map_err(|fault| part.wrong(fault))?;
        if index.delta.is_some() != header.parent.is_some() {
            let found = if index.delta.is_some() { "there" } else { "absent" }.to_owned();
            let must = "it is there exactly in a delta";
            let fault = Fault::Value { what: "`delta_root`", found, must, rule: "§7.1.8" };
            return Err(part.wrong(fault).into());
        }
        Ok(Self { source, header, header_digest, index, trailer })
    }

    /// Who wrote the file, when, of which VM.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The index: `content`, `memory_root`, totals and parts.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The identity of the file's bytes (§8.1).
    #[must_use]
    pub fn root(&self) -> Digest {
        self.trailer.root
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.trailer.size
    }

    /// Checks all parts but MAP and EXTENT, giving each to `each` in file order. `content` is
    /// recomputed from the memory root that INDEX claims.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn quick(&self, mut each: impl FnMut(Part)) -> Result<Quick, ReadError> {
        let mut ledger = Ledger::new(self.header_digest, self.header.rest());
        let mut free = header::LEN as u64;
        let maps_end = self.index.maps.last().map(|map| map.offset.saturating_add(map.length));
        let mut memory = None;
        for listed in &self.index.parts {
            if let Some(end) = maps_end.filter(|&end| memory.is_none() && listed.offset >= end) {
                memory = Some((free, end));
                free = end;
                ledger.skip_memory();
            }
            let part = self.listed(listed, free)?;
            ledger.admit(part.kind()).map_err(|fault| part.wrong(fault))?;
            if maps_end.is_some() && memory.is_none() && ledger.would_be_late(part.kind()) {
                let (found, why) =
                    (part.kind(), "what is unknown comes before DEVICE or after memory");
                return Err(part.wrong(Fault::Order { found, why }).into());
            }
            let seen = open_listed(&mut ledger, &self.header.vm_name, part)?;
            if let Part::Record(record) = &seen {
                same_record(listed, record)
                    .map_err(|fault| fault.at(listed.offset).within(record.id().place()))?;
            }
            free = listed.offset.saturating_add(listed.length);
            each(seen);
        }
        let wrong = |fault: Fault| self.wrong(fault);
        ledger.check_records().map_err(wrong)?;
        let missing = || wrong(Fault::Order { found: Kind::Index, why: "the first part is VM" });
        let vm = ledger.vm().ok_or_else(missing)?.clone();
        let content = ledger.content(&self.index.memory_root).unwrap_or(self.index.content);
        same("content", &self.index.content, &content, "§7.1.2").map_err(wrong)?;
        let totals = &self.index.totals;
        let inherited = self.index.delta.map_or(0, |delta| delta.pages_inherited);
        let pages = totals.pages_data.saturating_add(totals.pages_zero).saturating_add(inherited);
        let size = vm.memory.size() / limits::PAGE as u64;
        same("the number of pages", &pages, &size, "§7.1.4").map_err(wrong)?;
        if self.index.maps.is_empty() || memory.is_some() {
            same("the offset of INDEX", &self.trailer.index_at, &free, "§2.1").map_err(wrong)?;
        }
        let (findings, meta_text) = (ledger.findings(), ledger.meta_text().to_owned());
        let (memory_at, memory_end) = memory.unwrap_or((free, self.trailer.index_at));
        let index = self.index.clone();
        Ok(Quick { vm, index, meta_text, findings, memory_at, memory_end })
    }

    /// Checks all MAP parts, giving each to `each`; `memory_root` is recomputed from them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn maps(&self, quick: &Quick, mut each: impl FnMut(MapTable)) -> Result<(), ReadError> {
        self.tables(quick).try_for_each(|table| table.map(&mut each))
    }

    /// The MAP parts one by one, for who reads two files side by side. What [`maps`](Self::maps)
    /// checks is checked once the iterator has come to its end, and not before; after an error, it
    /// has.
    pub fn tables(&self, quick: &Quick) -> Tables<'_, S> {
        Tables::new(self, quick)
    }

    /// Reads and checks one extent of a full file that a MAP part lists (§6.5.1): its part has the
    /// listed digest, and its pages have the listed subtree root.
    ///
    /// # Errors
    /// What is wrong with its part. That the file is a delta: see [`Chain`](crate::read::Chain).
    pub fn extent(&self, quick: &Quick, entry: &MapEntry) -> Result<Extent, ReadError> {
        if self.header.parent.is_some() {
            let (what, found) = ("the file", "a delta".to_owned());
            let must = "pages of its state take its parents, too";
            let fault = Fault::Value { what, found, must, rule: "§13.4" };
            return Err(fault.at(0).within(Section::Header).into());
        }
        let part = self.extent_part(entry)?;
        let extent = Extent::open(&part, &quick.vm.memory)?;
        as_listed(entry, &extent.entry(&part)).map_err(|fault| part.wrong(fault))?;
        Ok(extent)
    }

    /// As [`extent`](Self::extent), of a delta: what takes no parent is checked.
    ///
    /// # Errors
    /// What is wrong with its part.
    pub fn delta_extent(&self, quick: &Quick, entry: &MapEntry) -> Result<DeltaExtent, ReadError> {
        let part = self.extent_part(entry)?;
        let extent = DeltaExtent::open(&part, &quick.vm.memory)?;
        as_listed(entry, &extent.entry(&part)).map_err(|fault| part.wrong(fault))?;
        Ok(extent)
    }

    /// Reads and checks frame and nvlist of an extent that a MAP part lists: which pages it holds
    /// and which leaves these must have. No page is read.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn head(&self, quick: &Quick, entry: &MapEntry) -> Result<Head, ReadError> {
        self.placed_head(quick, entry).map(|(head, _)| head)
    }

    /// The head of an extent, and where its payload begins.
    fn placed_head(&self, quick: &Quick, entry: &MapEntry) -> Result<(Head, u64), ReadError> {
        let place = Section::Extent { gpa: entry.gpa };
        let size = self.trailer.size;
        let bytes = read(&self.source, size, entry.offset, frame::LEN, place.clone())?;
        let checked = Frame::check(&bytes, entry.offset);
        let (frame, digest) = checked.map_err(|error| error.in_section(place.clone()))?;
        let spans = frame.spans(entry.offset);
        let at = spans.nvlist_at;
        let wrong = |fault: Fault| fault.at(at).within(place.clone());
        let rule = "§6.5.1";
        same("the type of a part", &Kind::Extent, &frame.kind, rule).map_err(wrong)?;
        same("the digest of an extent", &entry.digest, &digest, rule).map_err(wrong)?;
        let len = usize::try_from(frame.nvlist_size).unwrap_or(usize::MAX);
        let list = read(&self.source, size, at, len, place.clone())?;
        if Digest::of(&list) != frame.nvlist_digest {
            return Err(wrong(Fault::Digest { what: "nvlist", rule: "§4.7" }).into());
        }
        let head = Head::parse(&list, &frame, &quick.vm.memory, self.header.rest());
        let head = head.map_err(wrong)?;
        let seen = head.entry((entry.offset, entry.length, digest));
        as_listed(entry, &seen).map_err(wrong)?;
        Ok((head, spans.payload_at))
    }

    /// Reads some pages of an extent by themselves, by their numbers in the block, ascending, and
    /// compares each with its leaf. Those that are no data are left out. Where pages are
    /// compressed, all of the extent is read.
    pub(super) fn pages(
        &self,
        quick: &Quick,
        entry: &MapEntry,
        wanted: &[usize],
    ) -> Result<Numbered, ReadError> {
        let (head, payload_at) = self.placed_head(quick, entry)?;
        if head.is_compressed() {
            return Ok(Extent::some(&self.extent_part(entry)?, &quick.vm.memory, wanted)?);
        }
        let place = Section::Extent { gpa: entry.gpa };
        let stored = head.data().pages().zip(head.leaves()).enumerate();
        let mut pages = Vec::new();
        for (rank, (index, leaf)) in stored.filter(|(_, (i, _))| wanted.binary_search(i).is_ok()) {
            let at = payload_at.saturating_add((rank * limits::PAGE) as u64);
            let page = read(&self.source, self.trailer.size, at, limits::PAGE, place.clone())?;
            if tree::leaf(&page) != *leaf {
                let fault = Fault::Digest { what: "memory block", rule: "§6.2.8" };
                return Err(fault.at(at).within(place).into());
            }
            pages.push((index, page));
        }
        Ok(pages)
    }

    fn extent_part(&self, entry: &MapEntry) -> Result<Intact, ReadError> {
        let part = self.placed(entry.offset, entry.length, &Section::Extent { gpa: entry.gpa })?;
        let wrong = |fault: Fault| part.wrong(fault);
        let rule = "§6.5.1";
        same("the type of a part", &Kind::Extent, &part.kind(), rule).map_err(wrong)?;
        same("the digest of an extent", &entry.digest, &part.digest(), rule).map_err(wrong)?;
        Ok(part)
    }

    /// That all of the file was checked, which is for the caller to know.
    pub(super) fn verified(&self, quick: &Quick) -> Verified {
        let (header, vm) = (self.header.clone(), quick.vm.clone());
        let (index, findings) = (quick.index.clone(), quick.findings.clone());
        let meta = (quick.meta_text.clone(), findings);
        Verified::new(header, vm, index, meta, &self.trailer, None)
    }

    /// Reads and checks one record alone; nothing if the index does not list it.
    ///
    /// # Errors
    /// What is wrong with its part.
    pub fn record(&self, section: &str, name: &str) -> Result<Option<Record>, ReadError> {
        let named = |part: &&PartRef| {
            part.record.as_ref().is_some_and(|id| id.section == section && id.name == name)
        };
        let Some(listed) = self.index.parts.iter().find(named) else { return Ok(None) };
        let part = self.listed(listed, listed.offset)?;
        let at = part.spans().nvlist_at;
        let record = Record::open(part)?;
        same_record(listed, &record).map_err(|fault| fault.at(at).within(record.id().place()))?;
        Ok(Some(record))
    }

    pub(super) fn wrong(&self, fault: Fault) -> Error {
        fault.at(self.trailer.index_at).within(Section::Part(Kind::Index))
    }

    /// Reads a part that the index lists by itself and that has to begin at `free`.
    fn listed(&self, listed: &PartRef, free: u64) -> Result<Intact, ReadError> {
        let place = listed.record.as_ref().map_or(Section::Part(listed.kind), |id| id.place());
        let gap = same("the offset of a part", &listed.offset, &free, "§2.1");
        gap.map_err(|fault| self.wrong(fault))?;
        let part = self.placed(listed.offset, listed.length, &place)?;
        let kind = same("the type of a part", &listed.kind, &part.kind(), "§7.1.6");
        kind.map_err(|fault| part.wrong(fault))?;
        let digest = same("the digest of a part", &listed.digest, &part.digest(), "§7.1.6");
        digest.map_err(|fault| part.wrong(fault))?;
        Ok(part)
    }

    pub(super) fn map(&self, listed: &MapRef) -> Result<Intact, ReadError> {
        let part = self.placed(listed.offset, listed.length, &Section::Part(Kind::Map))?;
        let kind = same("the type of a part", &Kind::Map, &part.kind(), "§7.1.7");
        kind.map_err(|fault| part.wrong(fault))?;
        let digest = same("the digest of a part", &listed.digest, &part.digest(), "§7.1.7");
        digest.map_err(|fault| part.wrong(fault))?;
        Ok(part)
    }

    /// Reads a part whose place is listed; a damaged frame is named as what it was listed for.
    fn placed(&self, at: u64, length: u64, place: &Section) -> Result<Intact, ReadError> {
        // Or the file would seem to end early, which it does not: its trailer is where it belongs.
        if at.saturating_add(length) > self.trailer.index_at {
            let found = format!("{at:#x} and {length} bytes");
            let (what, must) = ("the place of a part", "all other parts come before INDEX");
            return Err(self.wrong(Fault::Value { what, found, must, rule: "§2.2" }).into());
        }
        Self::part(&self.source, self.trailer.size, at, length).map_err(|error| match error {
            ReadError::Format(error) => error.in_section(place.clone()).into(),
            io @ ReadError::Io { .. } => io,
        })
    }

    fn part(source: &S, size: u64, at: u64, length: u64) -> Result<Intact, ReadError> {
        let bytes = read(source, size, at, frame::LEN, Section::Frame)?;
        let (frame, digest) = Frame::check(&bytes, at)?;
        let spans = frame.spans(at);
        let section = Section::Part(frame.kind);
        same("the length of the part", &length, &spans.end.saturating_sub(at), "§4.11")
            .map_err(|fault| fault.at(at).within(section.clone()))?;
        let len = usize::try_from(spans.end - spans.nvlist_at).unwrap_or(usize::MAX);
        let body = read(source, size, spans.nvlist_at, len, section)?;
        Ok(Intact::check(frame, digest, at, body)?)
    }
}

/// Compares an extent with what the MAP part says of it.
fn as_listed(listed: &MapEntry, seen: &MapEntry) -> Result<(), Fault> {
    let rule = "§6.5.1";
    same("the block's address", &listed.gpa, &seen.gpa, rule)?;
    same("the size of the block", &listed.size, &seen.size, rule)?;
    same("the number of data pages", &listed.data_pages, &seen.data_pages, rule)?;
    same("the number of zero pages", &listed.zero_pages, &seen.zero_pages, rule)?;
    same("the subtree root", &listed.root, &seen.root, rule)
}

fn same_record(listed: &PartRef, record: &Record) -> Result<(), Fault> {
    record_listed(listed.record.as_ref(), Some(record.id()))
}

/// Reads `len` bytes at `at` of a source of `size` bytes. `len` was compared with its limit.
pub(super) fn read(
    source: &(impl ReadAt + ?Sized),
    size: u64,
    at: u64,
    len: usize,
    section: Section,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let left = size.saturating_sub(at);
    if left < len as u64 {
        let fault = Fault::Truncated { wanted: len as u64, left };
        return Err(fault.at(at).within(section).into());
    }
    while bytes.len() < len {
        let from = bytes.len();
        bytes.resize(len.min(from.saturating_add(STEP)), 0);
        let Some(rest) = bytes.get_mut(from..) else { break };
        let at = at.saturating_add(from as u64);
        source.read_exact_at(rest, at).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                let fault = Fault::Truncated { wanted: (len - from) as u64, left: 0 };
                fault.at(at).within(section.clone()).into()
            }
            _ => ReadError::Io { at, source },
        })?;
    }
    Ok(bytes)
}
