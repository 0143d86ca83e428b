//! A snapshot that is almost one, with digests that match: the reader from front to back and the
//! one that seeks never panic and keep their limits; what one accepts, so does the other, with the
//! same facts; and what is accepted is what the spec says, and can be written again.

use snapfmt::Error;
use snapfmt::layout::header::Header;
use snapfmt::limits;
use snapfmt::memory::block::Block;
use snapfmt::nvlist::{Nvlist, Options, OwnedValue};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::Record;
use snapfmt::part::map::MapTable;
use snapfmt::part::meta::MetaText;
use snapfmt::read::{Part, ReadError, Seeker, Verified, Walk, Want};
use snapfmt::state::gate::Policy;
use snapfmt::write::Writer;

use super::edits::files;
use super::one_line;
use crate::reseal::{self, Image, Tables};

/// The most that a part may want at once: its list, its payload, and padding before and after.
const WANT: u64 = limits::RECORD + limits::DEVICE_NVLIST as u64 + 4096 + 64;

/// See the module.
///
/// # Panics
/// If the property does not hold.
pub fn open(data: &[u8]) {
    for file in files(data) {
        check(&file);
    }
}

fn check(file: &[u8]) {
    let (parts, walked) = walk(file);
    let (sought, records, tables) = seek(file);
    match (walked, sought) {
        (Ok(verified), Ok(())) => {
            agree(file, &verified, &parts, &records, &tables);
            conforms(file, &parts);
            let delta = verified.header().parent.is_some();
            assert_eq!(delta, verified.unsettled().is_some(), "what is left open");
            assert_eq!(delta, verified.index().delta.is_some(), "what only a delta has");
            if !delta {
                rewritten(&verified, &parts);
            }
        }
        (Ok(_), Err(error)) => panic!("Walk accepts what Seeker refuses: {error}"),
        // Seeking does not look at pages.
        (Err(_), _) => {}
    }
}

/// Walks over a whole file, and gives what it is made of.
pub(super) fn walk(file: &[u8]) -> (Vec<Part>, Result<Verified, Error>) {
    let mut walk = Walk::new();
    let mut parts = Vec::new();
    let mut rest = file;
    // A frame and a body for each part, of 192 bytes at least.
    for _ in 0..file.len() / 64 + 8 {
        let before = walk.offset();
        match walk.want() {
            Want::End => {
                let error = if rest.is_empty() { None } else { Some(walk.excess()) };
                let result = error.map_or_else(|| walk.end(), Err);
                return (parts, result.inspect_err(|error| refused(file, error)));
            }
            Want::Bytes(wanted) => {
                assert!(wanted as u64 <= WANT.max(12 << 20), "{wanted} bytes wanted at once");
                assert!(wanted > 0, "no bytes are wanted");
                let (given, left) = rest.split_at(wanted.min(rest.len()));
                rest = left;
                match walk.feed(given.to_vec()) {
                    Ok(part) => {
                        assert_eq!(walk.offset(), before + wanted as u64);
                        parts.extend(part);
                    }
                    Err(error) => {
                        refused(file, &error);
                        // Failed is failed.
                        assert_eq!(walk.want(), Want::End);
                        assert_eq!(walk.feed(vec![0; 64]).err(), Some(error.clone()));
                        assert_eq!(walk.end().err(), Some(error.clone()));
                        return (parts, Err(error));
                    }
                }
            }
        }
    }
    panic!("a walk takes more steps than the file has parts");
}

pub(super) fn refused(file: &[u8], error: &Error) {
    one_line(error);
    one_line(error.section());
    assert!(error.at() <= file.len() as u64, "an error beyond the end: {error}");
    assert!(!error.fault().id().is_empty());
}

type Sought = (Result<(), ReadError>, Vec<Part>, Vec<MapTable>);

fn seek(file: &[u8]) -> Sought {
    let (mut parts, mut tables) = (Vec::new(), Vec::new());
    let mut seek = || {
        let seeker = Seeker::open(file)?;
        let quick = seeker.quick(|part| parts.push(part))?;
        for part in &parts {
            if let Part::Record(record) = part {
                let id = record.id();
                let alone = seeker.record(&id.section, &id.name)?;
                assert_eq!(alone.as_ref(), Some(record), "a record alone is another one");
            }
        }
        seeker.maps(&quick, |table| tables.push(table))
    };
    let result = seek().inspect_err(|error| match error {
        ReadError::Format(error) => refused(file, error),
        ReadError::Io { .. } => panic!("memory cannot be read: {error}"),
    });
    (result, parts, tables)
}

fn agree(file: &[u8], verified: &Verified, walked: &[Part], sought: &[Part], tables: &[MapTable]) {
    let seeker = Seeker::open(file).expect("accepted before");
    let quick = seeker.quick(|_| {}).expect("accepted before");
    assert_eq!(seeker.root(), verified.root());
    assert_eq!(seeker.size(), verified.size());
    assert_eq!(verified.size(), file.len() as u64);
    assert_eq!(seeker.header(), verified.header());
    assert_eq!(seeker.index(), verified.index());
    assert_eq!(quick.vm(), verified.vm());
    assert_eq!(quick.findings(), verified.findings());
    let listed = walked.iter().filter(|part| {
        !matches!(
            part,
            Part::Header(_) | Part::Extent(_) | Part::Delta(_) | Part::Map(_) | Part::Index(_)
        )
    });
    assert!(listed.eq(sought), "the parts differ");
    let maps = walked.iter().filter_map(|part| match part {
        Part::Map(table) => Some(table),
        _ => None,
    });
    assert!(maps.eq(tables), "the maps differ");
    let (mut total, mut records) = (0, Vec::new());
    for part in walked {
        match part {
            Part::Record(record) => {
                total += record.bytes().len() as u64;
                assert!(record.bytes().len() as u64 <= limits::RECORD);
                records.push(record.clone());
            }
            Part::Delta(extent) => {
                assert!(verified.header().parent.is_some(), "a delta's extent in a full file");
                assert!(extent.head().size() <= limits::EXTENT_MAX);
            }
            Part::Extent(extent) => {
                assert!(verified.header().parent.is_none(), "a full file's extent in a delta");
                assert!(extent.block.pages.len() as u64 <= limits::EXTENT_MAX);
                assert!(extent.block.pages.len() as u64 <= extent.block.size);
            }
            _ => {}
        }
    }
    assert!(total <= limits::RECORDS_TOTAL);
    let judged = verified.judge(records.clone(), None, None).expect("the records are its own");
    let judgement = quick.judge(records, None, None).expect("the records are its own");
    assert_eq!(judged.judgement().state.findings, judgement.state.findings);
    let strict = Policy { strict: true, accept: Vec::new() };
    // A delta lacks its parents, and what never was three files has nothing to restore it from.
    let whole = verified.header().parent.is_none() && !verified.meta_text().is_empty();
    assert_eq!(judged.clear(&strict).is_ok(), judgement.passes(&strict) && whole);
}

/// What the spec says, looked at by hand: digests, identities, tables, order, flags of lists.
fn conforms(file: &[u8], parts: &[Part]) {
    let image = Image::parse(file).expect("a file that was accepted has parts");
    assert!(image.bytes(Tables::Identities, true) == file, "a digest is another by hand");
    let rebuilt = image.bytes(Tables::Rebuilt, true);
    let by_hand = Image::parse(&rebuilt).expect("parts by hand");
    assert_eq!(image.trailer[..64], by_hand.trailer[..64]);
    assert_eq!(image.parts.len(), by_hand.parts.len());
    for (part, other) in image.parts.iter().zip(&by_hand.parts) {
        assert_eq!(part.payload, other.payload, "the payload of {:#x} by hand", part.kind);
        let lists = [&part.nvlist, &other.nvlist];
        if part.kind == reseal::INDEX {
            let [list, other] = lists.map(|list| Nvlist::unpack(list, &Options::new()));
            assert_eq!(list, other, "INDEX by hand");
        }
        if part.kind == reseal::EXTENT {
            let [leaves, data] = ["leaves", "data"].map(|name| reseal::bytes(&part.nvlist, name));
            let pages = data.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
            assert_eq!(leaves.len(), 32 * pages, "a leaf for each data page (§6.2.10)");
        }
        if part.kind >> 31 == 0 {
            assert!(part.kind >> 29 == 0, "a mandatory part that is bound or private (§4.12)");
        } else if part.kind >> 29 & 1 == 1 {
            let vendor = reseal::bytes(&part.nvlist, "vendor").len();
            assert!((2..=64).contains(&vendor), "the vendor of a private part (§4.13)");
        }
        let known = part.kind & 1 << 31 == 0 || part.kind == reseal::CONFIG;
        if known {
            let list = Nvlist::unpack(&part.nvlist, &Options::new()).expect("a list");
            assert!(plain(&list), "a list in {:#x} has flags (§1.3)", part.kind);
        }
    }
    let of = |kind| image.parts.iter().filter(|part| part.kind == kind).count();
    for (kind, least) in [
        (reseal::VM, 1),
        (reseal::META, 0),
        (reseal::INDEX, 1),
        (reseal::CONFIG, 0),
        (reseal::HOST, 0),
    ] {
        assert!((least..=1).contains(&of(kind)), "{} parts of type {kind:#x} (§2.2)", of(kind));
    }
    // The header block went by as well.
    assert_eq!(parts.len(), image.parts.len() + 1);
    let mut late = false;
    let rank = |part: &reseal::Part| match part.kind {
        reseal::VM => 0,
        reseal::META => 1,
        reseal::DEVICE => {
            late = true;
            3
        }
        reseal::EXTENT | reseal::MAP => {
            late = true;
            4
        }
        reseal::INDEX => 6,
        kind if late && ![reseal::CONFIG, reseal::HOST].contains(&kind) => 5,
        _ => 2,
    };
    let ranks: Vec<_> = image.parts.iter().map(rank).collect();
    assert!(ranks.is_sorted(), "parts out of order (§2.2)");
}

/// Whether neither the list nor any in it has flags.
fn plain(list: &Nvlist) -> bool {
    list.flags().bits() == 0
        && list.pairs().iter().all(|pair| match &pair.value {
            OwnedValue::Nvlist(list) => plain(list),
            OwnedValue::NvlistArray(lists) => lists.iter().all(plain),
            _ => true,
        })
}

/// What was read can be written, in another compression, and is the same state then (§8.2).
fn rewritten(verified: &Verified, parts: &[Part]) {
    let mut blocks = Vec::new();
    let mut packed = false;
    for part in parts {
        if let Part::Extent(found) = part {
            packed |= found.stored < found.block.pages.len() as u64;
            blocks.push(&found.block);
        }
    }
    let compression = if packed { Compression::None } else { Compression::Zstd(1) };
    let again = written(verified, parts, &blocks, compression);
    assert_eq!(again.header(), verified.header());
}

/// Writes the state of a file, whose parts but memory are among `parts`, with these blocks, as a
/// full file, and reads it again: it has the `content` of the state (§8.2, §13.5).
pub(super) fn written(
    verified: &Verified,
    parts: &[Part],
    blocks: &[&Block],
    compression: Compression,
) -> Verified {
    let header = Header { parent: None, incompatible: Vec::new(), ..verified.header().clone() };
    let mut meta: Option<&MetaText> = None;
    let mut config: Option<&ConfigText> = None;
    let (mut others, mut late) = (Vec::new(), Vec::new());
    let mut records: Vec<&Record> = Vec::new();
    let mut memory = false;
    for part in parts {
        match part {
            Part::Meta(found) => meta = Some(found),
            Part::Config(found) => config = Some(found),
            Part::Other(found) => {
                assert_eq!(verified.index().is_behind_memory(found.offset()), memory);
                match found.kind().is_bound() {
                    true => {}
                    false if memory => late.push(found),
                    false => others.push(found),
                }
            }
            Part::Record(found) => {
                records.push(found);
                memory = true;
            }
            Part::Extent(_) | Part::Delta(_) | Part::Map(_) => memory = true,
            _ => {}
        }
    }
    let mut out = Vec::new();
    let vm = verified.vm().clone();
    let write = |out: &mut Vec<u8>| {
        let mut writer = Writer::begin(&header, vm, meta, compression, out)?;
        if let Some(config) = config {
            writer.config(config, out)?;
        }
        for other in &others {
            writer.carry(other, out)?;
        }
        for record in &records {
            // Fields stay fields, whoever knows their layout.
            match record.fields() {
                Some(_) => writer.record_again(record, out)?,
                None => {
                    let id = record.id();
                    writer.record(&id.section, &id.name, record.bytes(), out)?;
                }
            }
        }
        let mut writer = writer.memory()?;
        for block in blocks {
            writer.block(block, out)?;
        }
        for other in &late {
            writer.carry(other, out)?;
        }
        writer.finish(out)
    };
    let sealed = write(&mut out).unwrap_or_else(|e| panic!("read, but cannot be written: {e}"));
    let (parts_again, again) = walk(&out);
    let again = again.unwrap_or_else(|error| panic!("written, but cannot be read: {error}"));
    assert_eq!(again.root(), sealed.root);
    let fields = |parts: &[Part]| {
        let fields = parts.iter().filter_map(|part| match part {
            Part::Record(record) => record.fields().cloned(),
            _ => None,
        });
        fields.collect::<Vec<_>>()
    };
    let there = fields(&parts_again);
    assert!(fields(parts).iter().all(|held| there.contains(held)), "fields are lost");
    assert_eq!(again.index().content, verified.index().content, "content changes");
    assert_eq!(again.index().memory_root, verified.index().memory_root);
    again
}
