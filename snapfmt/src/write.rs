//! The writer: plain values in, sealed bytes out, in one pass (§2.4).
//!
//! It appends bytes to a buffer that its caller empties wherever it likes; it knows no files. It
//! holds one part at a time, and of the parts before only what the index needs.

use crate::agreement;
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::header::Header;
use crate::layout::kind::Kind;
use crate::layout::trailer::{self, Trailer};
use crate::ledger::Ledger;
use crate::memory::block::Block;
use crate::part::codec::Compression;
use crate::part::config::ConfigText;
use crate::part::device::{Record, RecordId};
use crate::part::extent::Extent;
use crate::part::index::{Index, PartRef};
use crate::part::map::MapEntry;
use crate::part::meta::MetaText;
use crate::part::vm::Vm;
use crate::part::{Encoded, Intact};

/// Writes header block, machine, configuration and device records; then [`memory`](Self::memory).
pub struct Writer {
    sink: Sink,
    vm: Vm,
    compression: Compression,
}

/// Writes memory, in ascending order, and seals the file.
pub struct MemoryWriter(Writer);

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
        Ok(self.append(part, out))
    }

    fn append(&mut self, part: &Encoded<'_>, out: &mut Vec<u8>) -> PartRef {
        let frame = part.frame();
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
        fill(part.payload(), spans.payload_at);
        fill(&[], spans.end);
        self.offset = spans.end;
        let length = spans.end - offset;
        PartRef { kind: part.kind(), offset, length, digest, record: None }
    }

    fn put_listed(
        &mut self,
        part: &Encoded<'_>,
        record: Option<RecordId>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let before = (self.offset, out.len());
        let placed = self.put(part, out)?;
        let noted = self.ledger.part(PartRef { record, ..placed });
        noted.inspect_err(|_| self.take_back(before, out))
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
    /// Begins a file: appends the header block and the parts VM and META to `out`.
    ///
    /// # Errors
    /// Values that break the spec, and a `.meta` text that does not agree with `vm`.
    pub fn begin(
        header: &Header,
        vm: Vm,
        meta: &MetaText,
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let (block, digest) = header.encode()?;
        let mut sink = Sink { ledger: Ledger::new(digest), offset: block.len() as u64 };
        out.extend(block);
        let wrong = sink.error(Kind::Vm);
        agreement::with_header(&header.vm_name, &vm).map_err(&wrong)?;
        vm.encode().and_then(|part| sink.put_listed(&part, None, out)).map_err(wrong)?;
        sink.ledger.machine(vm.clone());
        let wrong = sink.error(Kind::Meta);
        sink.ledger.admit(Kind::Meta).map_err(&wrong)?;
        meta.encode().and_then(|part| sink.put_listed(&part, None, out)).map_err(&wrong)?;
        sink.ledger.meta(meta).map_err(wrong)?;
        Ok(Self { sink, vm, compression })
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

    /// Appends an optional part of another producer, unchanged (§4.12); before all records.
    ///
    /// # Errors
    /// A part that is not optional, or out of order.
    pub fn carry(&mut self, part: &Intact, out: &mut Vec<u8>) -> Result<(), Error> {
        let kind = part.kind();
        let wrong = self.sink.error(kind);
        if !matches!(kind, Kind::Config | Kind::Other(_)) {
            let why = "only optional parts are carried along";
            return Err(wrong(Fault::Order { found: kind, why }));
        }
        self.sink.put_listed(&Encoded::carried(part), None, out).map_err(wrong)
    }

    /// Appends one record; in the order of `.kern`.
    ///
    /// # Errors
    /// Values that break the spec, and a record that was there before.
    pub fn record(
        &mut self,
        section: &str,
        name: &str,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let id = RecordId::of(section, name, bytes);
        let at = self.sink.offset;
        let part = Record::encode(&id, bytes, self.compression);
        part.and_then(|part| self.sink.put_listed(&part, Some(id.clone()), out))
            .map_err(|fault| fault.at(at).within(id.place()))
    }

    /// Ends the records; memory comes next.
    ///
    /// # Errors
    /// A `.meta` text that does not agree with the records: better now than after a terabyte.
    pub fn memory(self) -> Result<MemoryWriter, Error> {
        let wrong = self.sink.error(Kind::Meta);
        self.sink.ledger.check_records().map_err(wrong)?;
        Ok(MemoryWriter(self))
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
        let Writer { sink, vm, compression } = &mut self.0;
        let at = sink.offset;
        if sink.ledger.map_is_due() {
            flush(sink, out)?;
        }
        let place = Section::Extent { gpa: block.gpa };
        let (part, root) = Extent::encode(block, &vm.memory, *compression)
            .map_err(|fault| fault.at(at).within(place.clone()))?;
        let stored = part.payload().len() as u64;
        let before = (sink.offset, out.len());
        let put = sink.put(&part, out).and_then(|placed| {
            let PartRef { offset, length, digest, .. } = placed;
            let entry = MapEntry::of(block, root, offset, length, digest);
            let noted = sink.ledger.extent(entry, stored);
            noted.inspect_err(|_| sink.take_back(before, out))
        });
        put.map_err(|fault| fault.at(at).within(place))
    }

    /// Seals the file: appends the last MAP part, INDEX and the trailer.
    ///
    /// # Errors
    /// A `.meta` text that does not agree with the records.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Sealed, Error> {
        let mut sink = self.0.sink;
        flush(&mut sink, out)?;
        let wrong = sink.error(Kind::Index);
        let index = sink.ledger.index().map_err(&wrong)?;
        let part = index.encode().map_err(&wrong)?;
        let placed = sink.append(&part, out);
        let size = sink.offset + trailer::LEN as u64;
        let (index_at, index_len, root) = (placed.offset, placed.length, placed.digest);
        out.extend(Trailer { index_at, index_len, size, root }.encode());
        Ok(Sealed { root, size, index })
    }
}

fn flush(sink: &mut Sink, out: &mut Vec<u8>) -> Result<(), Error> {
    let Some(table) = sink.ledger.map_table() else { return Ok(()) };
    let wrong = sink.error(Kind::Map);
    let placed = table.encode().and_then(|part| sink.put(&part, out)).map_err(wrong)?;
    sink.ledger.map(placed.offset, placed.length, placed.digest);
    Ok(())
}
