//! A survey of a file that may be damaged: what of it is intact, what is not, byte by byte.
//!
//! It goes from front to back once, from part to part. Where a part's frame is damaged, the next
//! part is where INDEX and MAP parts say, if those are intact; else it is searched for at multiples
//! of 64. Nothing is shown as intact whose digests did not match, and memory stays bounded: one
//! part is held at a time, and the account has a limited number of entries. So does the work: how
//! many bytes are read again grows with the size of the file, whatever it holds.

mod effort;
mod find;
mod order;
mod plan;
mod spans;

use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{self, Frame};
use crate::layout::header::{self, Header};
use crate::layout::kind::Kind;
use crate::layout::trailer::{self, Trailer};
use crate::memory::map::MemoryMap;
use crate::memory::tree::Rest;
use crate::part::Intact;
use crate::part::config::ConfigText;
use crate::part::device::Record;
use crate::part::extent::{DeltaExtent, Extent, looks_like_a_delta};
use crate::part::index::Index;
use crate::part::map::MapTable;
use crate::part::meta::MetaText;
use crate::part::other;
use crate::part::vm::Vm;
use crate::read::claim::{Claim, HeaderFacts, IndexFacts, PartFacts};
use crate::read::index::same;
use crate::read::listed::Part;
use crate::read::seek::{ReadAt, ReadError, read};

use effort::Effort;
use order::Order;
use plan::Plan;
use spans::Spans;
pub use spans::{Run, SPANS, Span, What};

/// The account of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Ranges that tile the whole file, ascending.
    pub spans: Vec<Span>,
    /// What a header block says that is damaged, or that this library does not know.
    pub header: Option<Claim<HeaderFacts>>,
    /// What an intact INDEX says.
    pub index: Option<Claim<IndexFacts>>,
}

impl Survey {
    /// What is damaged, in file order.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        self.spans.iter().filter_map(|span| match &span.what {
            What::Damaged { error, .. } => Some(error),
            _ => None,
        })
    }
}

/// Surveys a file. Every intact structure is given to `each` with its offset and its length; that
/// it belongs to this file is certain only if the whole file is intact.
///
/// # Errors
/// Only trouble with reading.
pub fn survey<S: ReadAt>(source: S, each: impl FnMut(u64, u64, Part)) -> Result<Survey, ReadError> {
    let size = source.size();
    let mut surveyor = Surveyor {
        source,
        size,
        each,
        plan: Plan::default(),
        spans: Spans::default(),
        order: Order::default(),
        effort: Effort::new(size),
        spared: false,
        memory: None,
        rest: None,
        scanned: false,
        digest: None,
        header: None,
        index: None,
    };
    if surveyor.header()? {
        surveyor.ending()?;
        let mut at = header::LEN as u64;
        if at == size {
            surveyor.missing_end();
        }
        while at < size {
            at = surveyor.step(at)?;
        }
    }
    Ok(Survey { spans: surveyor.spans.finish(), header: surveyor.header, index: surveyor.index })
}

struct Surveyor<S, F> {
    source: S,
    size: u64,
    each: F,
    plan: Plan,
    spans: Spans,
    order: Order,
    effort: Effort,
    /// Whether the last damage is a part that was left alone.
    spared: bool,
    memory: Option<MemoryMap>,
    /// What kind of file it is, where the header block is intact.
    rest: Option<Rest>,
    /// Whether the last part was found by searching.
    scanned: bool,
    /// That of the header block, if it is intact.
    digest: Option<Digest>,
    header: Option<Claim<HeaderFacts>>,
    index: Option<Claim<IndexFacts>>,
}

/// A part that could not be taken: why, and where it ends if its frame is intact.
struct Bad {
    error: Error,
    end: Option<u64>,
    claim: Option<Claim<PartFacts>>,
}

impl<S: ReadAt, F: FnMut(u64, u64, Part)> Surveyor<S, F> {
    fn read(
        &self,
        at: u64,
        len: usize,
        section: Section,
    ) -> Result<Result<Vec<u8>, Error>, ReadError> {
        match read(&self.source, self.size, at, len, section) {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(ReadError::Format(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Checks the header block. Says whether what follows can be read.
    fn header(&mut self) -> Result<bool, ReadError> {
        let end = self.size.min(header::LEN as u64);
        let checked = match self.read(0, header::LEN, Section::Header)? {
            Ok(bytes) => {
                Header::check(&bytes).inspect_err(|_| self.header = HeaderFacts::claimed(&bytes))
            }
            // A file that is no snapshot at all should be told so, however short it is.
            Err(error) => {
                let start = self.read(0, usize::try_from(end).unwrap_or(0), Section::Header)?;
                let start = start.unwrap_or_default();
                let magic = start.get(..header::MAGIC.len()).unwrap_or(&start);
                let like = header::MAGIC.starts_with(magic) && !magic.is_empty();
                Err(if like { error } else { Fault::NotASnapshot.at(0).within(Section::Header) })
            }
        };
        let error = match checked {
            Ok((header, digest)) => {
                self.digest = Some(digest);
                self.rest = Some(header.rest());
                self.spans.push(0, end, What::Header);
                (self.each)(0, end, Part::Header(header));
                return Ok(true);
            }
            Err(error) => error,
        };
        let unknown =
            matches!(error.fault(), Fault::Version { .. } | Fault::MissingFeatures { .. });
        let foreign = *error.fault() == Fault::NotASnapshot && !self.is_one_all_the_same()?;
        self.spans.push(0, end, What::Damaged { error, claim: None });
        if unknown || foreign {
            if end < self.size {
                self.spans.push(end, self.size, What::Unread);
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether a file with other first bytes has a part or a trailer where a snapshot has them.
    fn is_one_all_the_same(&self) -> Result<bool, ReadError> {
        let first = self.begins_at(header::LEN as u64)?;
        let last = self.size.saturating_sub(trailer::LEN as u64);
        Ok(first || self.size >= trailer::LEN as u64 && self.begins_at(last)?)
    }

    /// Whether an intact frame or trailer is at `at`.
    fn begins_at(&self, at: u64) -> Result<bool, ReadError> {
        let Ok(bytes) = self.read(at, frame::LEN, Section::Frame)? else { return Ok(false) };
        Ok(Frame::check(&bytes, at).is_ok() || Trailer::check(&bytes, at).is_ok())
    }

    /// Reads trailer and INDEX, if they are where they belong.
    fn ending(&mut self) -> Result<(), ReadError> {
        let Some(at) = self.size.checked_sub(trailer::LEN as u64) else { return Ok(()) };
        if at < header::LEN as u64 {
            return Ok(());
        }
        let Ok(bytes) = self.read(at, trailer::LEN, Section::Trailer)? else { return Ok(()) };
        let Ok(trailer) = Trailer::check(&bytes, at) else { return Ok(()) };
        self.plan.trailer(at, trailer);
        if let Some(part) = self.ahead(trailer.index_at, Kind::Index)?
            && part.digest() == trailer.root
            && let Ok(index) = Index::open(&part)
        {
            self.plan.index(&index);
        }
        Ok(())
    }

    /// Reads and checks the part at `at`, as far as that takes no other part.
    fn intact(&mut self, at: u64) -> Result<Result<Intact, Bad>, ReadError> {
        let bad = |error, end| Ok(Err(Bad { error, end, claim: None }));
        let bytes = match self.read(at, frame::LEN, Section::Frame)? {
            Ok(bytes) => bytes,
            Err(error) => return bad(error, None),
        };
        let (frame, digest) = match Frame::check(&bytes, at) {
            Ok(checked) => checked,
            Err(error) => {
                let claim = self.claim(&bytes, at)?;
                return Ok(Err(Bad { error, end: None, claim }));
            }
        };
        let (spans, section) = (frame.spans(at), Section::Part(frame.kind));
        let listed = self.plan.at(at).is_some();
        if !listed && self.plan.next(at).is_some_and(|next| next < spans.end) {
            let why = "what the index lists next begins within it";
            return bad(Fault::Order { found: frame.kind, why }.at(at).within(section), None);
        }
        if spans.end <= self.size
            && let Err(fault) = self.effort.body(spans.nvlist_at, spans.end)
        {
            return bad(fault.at(at).within(section), Some(spans.end));
        }
        Ok(match self.body(&frame, digest, at)? {
            Ok(part) => Ok(part),
            Err(error) => {
                let end = Some(spans.end).filter(|&end| end <= self.size);
                Err(Bad { error, end, claim: None })
            }
        })
    }

    /// Reads and checks what follows a frame.
    fn body(
        &self,
        frame: &Frame,
        digest: Digest,
        at: u64,
    ) -> Result<Result<Intact, Error>, ReadError> {
        let spans = frame.spans(at);
        let len = usize::try_from(spans.end.saturating_sub(spans.nvlist_at)).unwrap_or(usize::MAX);
        let body = self.read(spans.nvlist_at, len, Section::Part(frame.kind))?;
        Ok(body.and_then(|body| Intact::check(*frame, digest, at, body)))
    }

    /// Reads a part of a kind before its turn; nothing if it is damaged.
    fn ahead(&mut self, at: u64, kind: Kind) -> Result<Option<Intact>, ReadError> {
        let Ok(bytes) = self.read(at, frame::LEN, Section::Frame)? else { return Ok(None) };
        let Ok((frame, digest)) = Frame::check(&bytes, at) else { return Ok(None) };
        let end = frame.spans(at).end;
        let here = frame.kind == kind && end <= self.size;
        if !here || self.effort.twice(end.saturating_sub(at)).is_err() {
            return Ok(None);
        }
        Ok(self.body(&frame, digest, at)?.ok())
    }

    /// What a damaged frame claims.
    fn claim(&mut self, bytes: &[u8], at: u64) -> Result<Option<Claim<PartFacts>>, ReadError> {
        let Some(frame) = Frame::claim(bytes).filter(|_| bytes.starts_with(&frame::MAGIC)) else {
            return Ok(None);
        };
        let len = match self.effort.twice(frame.nvlist_size.into()) {
            Ok(()) => usize::try_from(frame.nvlist_size).unwrap_or(usize::MAX),
            Err(_) => 0,
        };
        let nvlist = self.read(frame.spans(at).nvlist_at, len, Section::Frame)?;
        Ok(Some(PartFacts::claimed(&frame, at, &nvlist.unwrap_or_default())))
    }

    /// Takes what is at `at` into the account, and gives where the next thing begins.
    fn step(&mut self, at: u64) -> Result<u64, ReadError> {
        if self.plan.trailer_at().is_none_or(|trailer| trailer == at)
            && let Some(end) = self.trailer(at)?
        {
            return Ok(end);
        }
        if let Some(offset) = self.plan.map_to_load(at) {
            let part = self.ahead(offset, Kind::Map)?;
            let table = part.and_then(|part| MapTable::open(&part).ok());
            self.plan.load(offset, table);
        }
        let bad = match self.intact(at)? {
            Ok(part) => match self.take(&part) {
                Ok(()) => return Ok(part.offset().saturating_add(part.length())),
                Err(error) => {
                    let end = Some(part.offset().saturating_add(part.length()));
                    Bad { error, end, claim: None }
                }
            },
            Err(bad) => bad,
        };
        let (end, scanned) = self.after(at, &bad)?;
        let error = match self.plan.at(at) {
            // The frame could not say what it is of; the index can.
            Some(place) if matches!(bad.error.section(), Section::Frame | Section::Part(_)) => {
                bad.error.in_section(place.section)
            }
            _ => bad.error,
        };
        // Something in guest RAM that looks like a part is no damage of its own.
        let foreign = self.scanned
            && match error.fault() {
                Fault::Order { .. } => true,
                Fault::Disagree { rule, .. } => *rule == "§7.1.1",
                _ => false,
            };
        self.scanned = scanned || foreign;
        // What was left alone makes one range.
        let spared = effort::spared(error.fault());
        let joins = foreign || spared && self.spared;
        self.spared = spared || foreign && self.spared;
        if !joins || !self.spans.lengthen(at, end) {
            self.spans.push(at, end, What::Damaged { error, claim: bad.claim });
        }
        if end == self.size {
            self.missing_end();
        }
        Ok(end)
    }

    /// Takes the trailer at `at`, and whatever follows it, if one is there or has to be.
    fn trailer(&mut self, at: u64) -> Result<Option<u64>, ReadError> {
        let due = self.order.is_complete() || self.plan.trailer_at() == Some(at);
        let bytes = self.read(at, trailer::LEN, Section::Trailer)?;
        let like = bytes.as_ref().is_ok_and(|bytes| bytes.starts_with(&trailer::MAGIC));
        if !due && !like {
            return Ok(None);
        }
        let end = at.saturating_add(trailer::LEN as u64).min(self.size);
        match bytes.and_then(|bytes| Trailer::check(&bytes, at)) {
            // That of another file, in guest RAM.
            Err(_) if !due => return Ok(None),
            Ok(_) => self.spans.push(at, end, What::Trailer),
            Err(error) => self.spans.push(at, end, What::Damaged { error, claim: None }),
        }
        if end < self.size {
            let error = Fault::Trailing.at(end).within(Section::End);
            self.spans.push(end, self.size, What::Damaged { error, claim: None });
        }
        Ok(Some(self.size))
    }

    /// A file that ends with a part lacks its trailer.
    fn missing_end(&mut self) {
        let fault = Fault::Truncated { wanted: trailer::LEN as u64, left: 0 };
        let error = fault.at(self.size).within(Section::Trailer);
        self.spans.push(self.size, self.size, What::Damaged { error, claim: None });
    }

    /// Opens an intact part and takes it into the account.
    fn take(&mut self, part: &Intact) -> Result<(), Error> {
        let (at, length) = (part.offset(), part.length());
        let place = self.plan.at(at);
        if place.as_ref().is_some_and(|place| place.digest != part.digest()) {
            let fault = Fault::Disagree {
                what: "the digest of a part",
                here: part.digest().to_string(),
                there: place.map(|place| place.digest.to_string()).unwrap_or_default(),
                place: "in the index",
                rule: "§7.2",
            };
            return Err(part.wrong(fault));
        }
        let scanned = self.scanned && place.is_none();
        self.order.ascends(part.kind()).map_err(|fault| part.wrong(fault))?;
        let mut what = What::Part { section: part.section(), scanned };
        let mut block = None;
        let opened = match part.kind() {
            Kind::Vm => Some(Part::Vm(Vm::open(part)?)),
            Kind::Meta => Some(Part::Meta(MetaText::open(part)?)),
            Kind::Config => Some(Part::Config(ConfigText::open(part)?)),
            Kind::Other(_) => {
                other::check(part)?;
                Some(Part::Other(part.clone()))
            }
            Kind::Device => Some(Part::Record(self.record(part)?)),
            Kind::Map => {
                what = What::Memory(Run::map(self.memory.is_some(), scanned));
                Some(Part::Map(MapTable::open(part)?))
            }
            Kind::Index => {
                let index = Index::open(part)?;
                if let Some(digest) = &self.digest {
                    // Another file's index may lie in guest RAM.
                    same("the header's digest", &index.header, digest, "§7.1.1")
                        .map_err(|fault| part.wrong(fault))?;
                }
                Some(Part::Index(index))
            }
            Kind::Extent => {
                let Section::Extent { gpa } = part.section() else {
                    let why = "an extent has an address";
                    return Err(part.wrong(Fault::Order { found: Kind::Extent, why }));
                };
                block = Some((gpa, gpa.saturating_add(1)));
                what = What::Memory(Run::extent(gpa, self.memory.is_some(), scanned));
                match &self.memory {
                    Some(memory) => {
                        let (extent, size) =
                            open_extent(part, memory, self.rest, scanned, &mut self.effort)?;
                        block = Some((gpa, gpa.saturating_add(size)));
                        Some(extent)
                    }
                    None => None,
                }
            }
        };
        // An index that names the header block is of this file, however it was found.
        let doubtful = scanned && (part.kind() != Kind::Index || self.digest.is_none());
        let admitted = self.order.admit(part.kind(), block, doubtful);
        admitted.map_err(|fault| part.wrong(fault))?;
        match &opened {
            Some(Part::Vm(vm)) => self.memory = Some(vm.memory.clone()),
            Some(Part::Index(index)) => {
                self.index = Some(IndexFacts::claimed(index, part.digest().to_string()));
            }
            _ => {}
        }
        self.scanned = scanned;
        self.spans.push(at, at.saturating_add(length), what);
        if at.saturating_add(length) == self.size {
            self.missing_end();
        }
        if let Some(opened) = opened {
            (self.each)(at, length, opened);
        }
        Ok(())
    }

    fn record(&mut self, part: &Intact) -> Result<Record, Error> {
        self.effort.record().map_err(|fault| part.wrong(fault))?;
        let record = Record::open(part.clone());
        self.effort.decoded_record(record.as_ref().ok().map(|record| record.id().size));
        record
    }
}

/// Opens an extent, and gives the size of its block. Of extents that were not searched for there
/// are no more than memory has room for.
fn open_extent(
    part: &Intact,
    memory: &MemoryMap,
    rest: Option<Rest>,
    scanned: bool,
    effort: &mut Effort,
) -> Result<(Part, u64), Error> {
    if !scanned || part.frame().tree {
        return opened(part, memory, rest);
    }
    effort.extent(memory.size()).map_err(|fault| part.wrong(fault))?;
    let extent = opened(part, memory, rest);
    effort.decoded_extent(extent.as_ref().ok().map(|(_, size)| *size));
    extent
}

/// Where the header block does not say what kind of file it is, each extent shows it.
fn opened(part: &Intact, memory: &MemoryMap, rest: Option<Rest>) -> Result<(Part, u64), Error> {
    if rest.map_or_else(|| looks_like_a_delta(part.nvlist()), |rest| rest == Rest::Inherited) {
        let extent = DeltaExtent::open(part, memory)?;
        let size = extent.head().size();
        return Ok((Part::Delta(extent), size));
    }
    let extent = Extent::open(part, memory)?;
    let size = extent.block.size;
    Ok((Part::Extent(extent), size))
}
