//! The writer: plain values in, sealed bytes out, in one pass (§2.4).
//!
//! It appends bytes to a buffer that its caller empties wherever it likes; it knows no files. It
//! holds one part at a time, and of the parts before only what the index needs.

mod ready;

pub use ready::{BlockPart, ChangePart, Encoder};

use ready::Ready;

use crate::agreement;
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::Frame;
use crate::layout::header::Header;
use crate::layout::kind::Kind;
use crate::layout::trailer::{self, Trailer};
use crate::ledger::Ledger;
use crate::memory::block::Block;
use crate::memory::change::Change;
use crate::memory::tree::Rest;
use crate::part::config::ConfigText;
use crate::part::device::{Chooser, Kept, Record, RecordId};
use crate::part::extent::Form;
use crate::part::index::{Index, PartRef};
use crate::part::meta::MetaText;
use crate::part::vm::Vm;
use crate::part::{Encoded, Intact};

/// Writes header block, machine, configuration and device records; then [`memory`](Self::memory),
/// or [`changes`](Self::changes) in a delta.
pub struct Writer {
    sink: Sink,
    vm: Vm,
    rest: Rest,
    form: Form,
    chooser: Chooser,
}

/// Writes the memory of a full file, in ascending order, and seals the file.
pub struct MemoryWriter(Writer);

/// Writes what changed since the parent, in ascending order, and seals the delta.
pub struct DeltaWriter(Writer);

/// The identities of a file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The identity of its bytes (§8.1).
    pub root: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its index, with `content`, `memory_root` and totals.
    pub index: Index,
}

struct Sink {
    ledger: Ledger,
    offset: u64,
}

impl Sink {
    /// Frames `part` and appends it to `out`. Gives its place and its frame digest.
    fn put(&mut self, part: &Encoded<'_>, out: &mut Vec<u8>) -> Result<PartRef, Fault> {
        self.ledger.admit(part.kind())?;
        Ok(self.append(part, &part.frame(), out))
    }

    fn append(&mut self, part: &Encoded<'_>, frame: &Frame, out: &mut Vec<u8>) -> PartRef {
        let (placed, rest) = self.lead(part, frame, out);
        let end = out.len().saturating_add(rest);
        out.extend_from_slice(part.payload());
        out.resize(end, 0);
        placed
    }

    /// Appends all of a part that comes before its payload, and gives the number of bytes that
    /// follow.
    fn lead(&mut self, part: &Encoded<'_>, frame: &Frame, out: &mut Vec<u8>) -> (PartRef, usize) {
        let (bytes, digest) = frame.encode();
        let offset = self.offset;
        let spans = frame.spans(offset);
        let start = out.len() as u64;
        let mut fill = |bytes: &[u8], from: u64| {
            out.resize(usize::try_from(start + (from - offset)).unwrap_or(usize::MAX), 0);
            out.extend_from_slice(bytes);
        };
        fill(&bytes, offset);
        fill(part.nvlist(), spans.nvlist_at);
        fill(&[], spans.payload_at);
        self.offset = spans.end;
        let length = spans.end - offset;
        let rest = usize::try_from(spans.end - spans.payload_at).unwrap_or(usize::MAX);
        (PartRef { kind: part.kind(), offset, length, digest, record: None }, rest)
    }

    fn put_listed(
        &mut self,
        part: &Encoded<'_>,
        record: Option<RecordId>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let before = (self.offset, out.len());
        let placed = self.put(part, out)?;
        let nvlist = u32::try_from(part.nvlist().len()).unwrap_or(u32::MAX);
        let noted = self.ledger.part(PartRef { record, ..placed }, nvlist);
        noted.inspect_err(|_| self.take_back(before, out))
    }

    /// Appends an EXTENT part, after the MAP part that is due.
    fn extent(&mut self, ready: &Ready<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let rest = self.extent_lead(ready, out)?;
        let end = out.len().saturating_add(rest);
        out.extend_from_slice(ready.part.payload());
        out.resize(end, 0);
        Ok(())
    }

    /// Appends all of an EXTENT part that comes before its payload, after the MAP part that is due,
    /// and takes note of the whole. Gives the number of bytes that follow.
    fn extent_lead(&mut self, ready: &Ready<'_>, out: &mut Vec<u8>) -> Result<usize, Error> {
        if self.ledger.map_is_due() {
            flush(self, out)?;
        }
        let before = (self.offset, out.len());
        let wrong = |fault: Fault| fault.at(before.0).within(ready.section());
        self.ledger.admit(ready.part.kind()).map_err(wrong)?;
        let (placed, rest) = self.lead(&ready.part, &ready.frame, out);
        let entry = ready.entry((placed.offset, placed.length, placed.digest));
        let noted = self.ledger.extent(entry, ready.part.payload().len() as u64);
        noted.map(|()| rest).map_err(|fault| {
            self.take_back(before, out);
            wrong(fault)
        })
    }

    /// Takes back the part that was appended last: what is refused leaves no trace in the file.
    fn take_back(&mut self, (offset, len): (u64, usize), out: &mut Vec<u8>) {
        self.offset = offset;
        out.truncate(len);
    }

    fn error(&self, kind: Kind) -> impl Fn(Fault) -> Error + use<> {
        let at = self.offset;
        move |fault| fault.at(at).within(Section::Part(kind))
    }
}

impl Writer {
    /// Begins a file: appends the header block and the part VM to `out`, and META if the state came
    /// as three files.
    ///
    /// # Errors
    /// Values that break the spec, and a `.meta` text that does not agree with `vm`.
    pub fn begin<'a>(
        header: &Header,
        vm: Vm,
        meta: impl Into<Option<&'a MetaText>>,
        form: impl Into<Form>,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let (block, digest) = header.encode()?;
        let (rest, offset) = (header.rest(), block.len() as u64);
        let mut sink = Sink { ledger: Ledger::new(digest, rest), offset };
        out.extend(block);
        let wrong = sink.error(Kind::Vm);
        agreement::with_header(&header.vm_name, &vm).map_err(&wrong)?;
        vm.encode().and_then(|part| sink.put_listed(&part, None, out)).map_err(wrong)?;
        sink.ledger.machine(vm.clone());
        if let Some(meta) = meta.into() {
            let wrong = sink.error(Kind::Meta);
            meta.encode().and_then(|part| sink.put_listed(&part, None, out)).map_err(&wrong)?;
            sink.ledger.meta(meta).map_err(wrong)?;
        }
        let chooser = Chooser::new(&vm.arch, vm.ncpus, sink.ledger.parsed_meta());
        Ok(Self { sink, vm, rest, form: form.into(), chooser })
    }

    /// Appends the VM's configuration; at most once, before all records.
    ///
    /// # Errors
    /// Values that break the spec, and a part out of order.
    pub fn config(&mut self, config: &ConfigText, out: &mut Vec<u8>) -> Result<(), Error> {
        let wrong = self.sink.error(Kind::Config);
        let part = config.encode();
        part.and_then(|part| self.sink.put_listed(&part, None, out)).map_err(wrong)
    }

    /// Appends an optional part out of another file of the same state, unchanged (§4.12). One that
    /// is [bound](Kind::is_bound) to that file is left out by whoever calls this, who says so. It
    /// keeps its side of memory: see [`Index::is_behind_memory`] and [`MemoryWriter::carry`].
    ///
    /// # Errors
    /// A part that is not optional, or bound to its file, or out of order.
    pub fn carry(&mut self, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
        carry(&mut self.sink, part, out)
    }

    /// Appends one record: in the order of `.kern`, or, without META, in any. It is stored as its
    /// fields where they are known and fit, and whole otherwise; which, is given back.
    ///
    /// # Errors
    /// Values that break the spec, and a record that was there before.
    pub fn record(
        &mut self,
        section: &str,
        name: &str,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Kept, Error> {
        let id = RecordId::of(section, name, bytes);
        let compression = self.form.compression;
        let part = match self.chooser.fields(section, name, bytes) {
            Ok(fields) => Record::encode_fields(&id, &fields, compression),
            Err(why) => {
                Record::encode(&id, bytes, compression).map(|part| (part, Kept::Whole(why)))
            }
        };
        let (part, kept) = part.map_err(|fault| self.wrong(fault, &id))?;
        self.put_record(&part, &id, out).map(|()| kept)
    }

    /// As [`record`](Self::record), but whole in any case.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_whole(
        &mut self,
        section: &str,
        name: &str,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let id = RecordId::of(section, name, bytes);
        let part = Record::encode(&id, bytes, self.form.compression);
        let part = part.map_err(|fault| self.wrong(fault, &id))?;
        self.put_record(&part, &id, out)
    }

    /// Appends a record of another file as it is stored there: fields of a layout that is not known
    /// stay fields.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_again(&mut self, record: &Record, out: &mut Vec<u8>) -> Result<(), Error> {
        let part = record.encode_again(self.form.compression);
        let part = part.map_err(|fault| self.wrong(fault, record.id()))?;
        self.put_record(&part, record.id(), out)
    }

    fn put_record(
        &mut self,
        part: &Encoded<'_>,
        id: &RecordId,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let at = self.sink.offset;
        let put = self.sink.put_listed(part, Some(id.clone()), out);
        put.map_err(|fault| fault.at(at).within(id.place()))
    }

    fn wrong(&self, fault: Fault, id: &RecordId) -> Error {
        fault.at(self.sink.offset).within(id.place())
    }

    /// Ends the records of a full file; memory comes next.
    ///
    /// # Errors
    /// A `.meta` text that does not agree with the records: better now than after a terabyte. A
    /// header that names a parent.
    pub fn memory(self) -> Result<MemoryWriter, Error> {
        self.records_end(Rest::Zero).map(MemoryWriter)
    }

    /// Ends the records of a delta; what changed in memory comes next.
    ///
    /// # Errors
    /// As [`memory`](Self::memory), and a header without a parent.
    pub fn changes(self) -> Result<DeltaWriter, Error> {
        self.records_end(Rest::Inherited).map(DeltaWriter)
    }

    fn records_end(self, rest: Rest) -> Result<Self, Error> {
        let wrong = self.sink.error(Kind::Meta);
        self.sink.ledger.check_records().map_err(wrong)?;
        if self.rest == rest {
            return Ok(self);
        }
        let found = if rest == Rest::Zero { "there" } else { "absent" }.to_owned();
        let must = "it is there exactly in a delta";
        let fault = Fault::Value { what: "`parent`", found, must, rule: "§13.1" };
        Err(fault.at(0).within(Section::Header))
    }

    fn encoder(&self) -> Encoder {
        Encoder::new(self.vm.memory.clone(), self.form)
    }

    /// Seals the file: appends the last MAP part, INDEX and the trailer.
    fn finish(self, state: Option<Digest>, out: &mut Vec<u8>) -> Result<Sealed, Error> {
        let mut sink = self.sink;
        flush(&mut sink, out)?;
        let wrong = sink.error(Kind::Index);
        let index = sink.ledger.index(state).map_err(&wrong)?;
        let part = index.encode().map_err(&wrong)?;
        let placed = sink.append(&part, &part.frame(), out);
        let size = sink.offset + trailer::LEN as u64;
        let (index_at, index_len, root) = (placed.offset, placed.length, placed.digest);
        out.extend(Trailer { index_at, index_len, size, root }.encode());
        Ok(Sealed { root, size, index })
    }
}

impl MemoryWriter {
    /// The machine whose memory this is.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.0.vm
    }

    /// Appends one block of memory, above all blocks so far. Blocks without data are left out.
    ///
    /// # Errors
    /// Values that break the spec, and blocks that do not ascend.
    pub fn block(&mut self, block: &Block, out: &mut Vec<u8>) -> Result<(), Error> {
        let Writer { sink, vm, form, .. } = &mut self.0;
        let wrong = |fault: Fault| fault.at(sink.offset).within(Section::Extent { gpa: block.gpa });
        let ready = Ready::block(block, &vm.memory, *form).map_err(wrong)?;
        sink.extent(&ready, out)
    }

    /// Makes parts of blocks for [`append`](Self::append), on any thread.
    #[must_use]
    pub fn encoder(&self) -> Encoder {
        self.0.encoder()
    }

    /// Appends a block that is a part already, as [`block`](Self::block) does.
    ///
    /// # Errors
    /// Blocks that do not ascend.
    pub fn append(&mut self, part: &BlockPart, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.sink.extent(&part.0, out)
    }

    /// As [`append`](Self::append), without a copy of the pages: appends what comes before them,
    /// and gives what follows, which is for the caller to write behind that.
    ///
    /// # Errors
    /// Blocks that do not ascend.
    pub fn append_apart(&mut self, part: BlockPart, out: &mut Vec<u8>) -> Result<Vec<u8>, Error> {
        let rest = self.0.sink.extent_lead(&part.0, out)?;
        let mut payload = part.0.part.into_payload();
        payload.resize(rest, 0);
        Ok(payload)
    }

    /// Appends an optional part that was found after memory, unchanged (§4.12); after all blocks.
    ///
    /// # Errors
    /// A part that may not come there.
    pub fn carry(&mut self, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
        carry_late(&mut self.0.sink, part, out)
    }

    /// Seals the file: appends the last MAP part, INDEX and the trailer.
    ///
    /// # Errors
    /// A `.meta` text that does not agree with the records.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Sealed, Error> {
        self.0.finish(None, out)
    }
}

impl DeltaWriter {
    /// The machine whose memory this is.
    #[must_use]
    pub fn vm(&self) -> &Vm {
        &self.0.vm
    }

    /// Appends what changed in one block, above all blocks so far. Blocks in which nothing changed
    /// are left out.
    ///
    /// # Errors
    /// Values that break the spec, and blocks that do not ascend.
    pub fn block(&mut self, change: &Change, out: &mut Vec<u8>) -> Result<(), Error> {
        let Writer { sink, vm, form, .. } = &mut self.0;
        let gpa = change.gpa();
        let wrong = |fault: Fault| fault.at(sink.offset).within(Section::Extent { gpa });
        let ready = Ready::change(change, &vm.memory, *form).map_err(wrong)?;
        sink.extent(&ready, out)
    }

    /// As [`MemoryWriter::encoder`].
    #[must_use]
    pub fn encoder(&self) -> Encoder {
        self.0.encoder()
    }

    /// Appends a change that is a part already, as [`block`](Self::block) does.
    ///
    /// # Errors
    /// Blocks that do not ascend.
    pub fn append(&mut self, part: &ChangePart, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.sink.extent(&part.0, out)
    }

    /// As [`MemoryWriter::carry`].
    ///
    /// # Errors
    /// A part that may not come there.
    pub fn carry(&mut self, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
        carry_late(&mut self.0.sink, part, out)
    }

    /// Seals the file: appends the last MAP part, INDEX and the trailer. `memory_root` is that of
    /// the state, which takes the parent to know: see [`RootBuilder`] and [`crate::delta`]. A wrong
    /// one is refused by whoever checks the chain.
    ///
    /// [`RootBuilder`]: crate::memory::tree::RootBuilder
    ///
    /// # Errors
    /// A `.meta` text that does not agree with the records.
    pub fn finish(self, memory_root: Digest, out: &mut Vec<u8>) -> Result<Sealed, Error> {
        self.0.finish(Some(memory_root), out)
    }
}

fn carry(sink: &mut Sink, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
    let kind = part.kind();
    let wrong = sink.error(kind);
    if kind.is_bound() {
        let (what, found) = ("the part", "bound to the file that it came out of".to_owned());
        let must = "it is left out of any other file";
        return Err(wrong(Fault::Value { what, found, must, rule: "§4.12" }));
    }
    if !matches!(kind, Kind::Config | Kind::Other(_)) {
        let why = "only optional parts are carried along";
        return Err(wrong(Fault::Order { found: kind, why }));
    }
    sink.put_listed(&Encoded::carried(part), None, out).map_err(wrong)
}

/// As [`carry`], behind all blocks.
fn carry_late(sink: &mut Sink, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
    flush(sink, out)?;
    sink.ledger.skip_memory();
    carry(sink, part, out)
}

fn flush(sink: &mut Sink, out: &mut Vec<u8>) -> Result<(), Error> {
    let Some(table) = sink.ledger.map_table() else { return Ok(()) };
    let wrong = sink.error(Kind::Map);
    let placed = table.encode().and_then(|part| sink.put(&part, out)).map_err(wrong)?;
    sink.ledger.map(placed.offset, placed.length, placed.digest);
    Ok(())
}
