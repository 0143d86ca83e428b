//! A snapshot on disk as a source: one file, a chain, or bhyve's three.
//!
//! Its memory is read area by area, by several threads; what the target holds already is not sent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use snapfmt::Digest;
use snapfmt::delta::{self, Leaves, Side as _};
use snapfmt::memory::area::{Area, Areas};
use snapfmt::memory::bitmap::Bitmap;
use snapfmt::memory::map::MemoryMap;
use snapfmt::memory::tree::{Rest, RootBuilder, leaves_root};
use snapfmt::part::Encoded;
use snapfmt::part::codec::Compression;
use snapfmt::part::config::ConfigText;
use snapfmt::part::device::{Record, RecordId};
use snapfmt::part::extent::{Extent, StreamForm};
use snapfmt::part::stream::Outgoing;
use snapfmt::part::vm::Vm;
use snapfmt::read::Part;
use snaptool::area::{List, Piece, lists, seen};
use snaptool::input::FileInput;
use snaptool::links::Where;
use snaptool::opened::{Opened, Ram};
use snaptool::pipeline;
use snaptool::progress::Progress;
use snaptool::ram::Holes;
use snaptool::signal::Stop;
use snaptool::text;
use snaptool::whole::Whole;

use super::{Origin, PartSink};
use crate::core::Blocks;
use crate::grid::Grid;

const PAGE: u64 = snapfmt::limits::PAGE as u64;
/// Bytes of an extent: what others measured to be best for files (`spec/snapshot.md` §6.2.9).
const BLOCK: u64 = 1 << 20;

/// How parts are made.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// How pages and records are stored.
    pub compression: Compression,
    /// Threads that read, hash and compress.
    pub threads: usize,
}

/// A snapshot on disk.
#[derive(Debug)]
pub struct Snapshot {
    files: Whole,
    /// What was named, and where its parents were looked for.
    places: Vec<PathBuf>,
    vm: Vm,
    stored: u64,
    form: Form,
    stop: Stop,
}

impl Snapshot {
    /// Opens a snapshot; all of it but RAM is checked.
    ///
    /// # Errors
    /// Trouble with reading, and damage.
    pub fn open(path: &Path, places: &Where, form: Form, stop: &Stop) -> anyhow::Result<Self> {
        let files = Whole::open(path, places, stop)?;
        let untold = Progress::hidden();
        let opened = Opened::open(&files, Holes::Skip, stop, &untold)?;
        let vm = opened.vm.clone();
        let stored = match &opened.ram {
            Ram::File { set, .. } => {
                let ranges = snaptool::sparse::data_ranges(&set.ram, set.ram.len());
                ranges.map(|range| range.end - range.start).sum()
            }
            Ram::Stored { chain, .. } => {
                chain.links().map(|link| link.seeker().index().totals.stored).sum()
            }
        };
        drop(opened);
        let places = places.named().iter().map(PathBuf::as_path);
        let places = places.chain([path]).map(fs::canonicalize).collect::<Result<_, _>>()?;
        Ok(Self { files, places, vm, stored, form, stop: stop.clone() })
    }

    fn with<T>(&self, work: impl FnOnce(&Opened<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let untold = Progress::hidden();
        let opened = Opened::open(&self.files, Holes::Skip, &self.stop, &untold)?;
        let done = work(&opened)?;
        self.files.unchanged()?;
        Ok(done)
    }
}

fn give(out: &mut dyn PartSink, part: Encoded<'_>) -> anyhow::Result<()> {
    out.part(Outgoing::new(part)?.into_owned())
}

impl Origin for Snapshot {
    fn vm(&self) -> &Vm {
        &self.vm
    }

    fn stored(&self) -> u64 {
        self.stored
    }

    fn config(&self) -> anyhow::Result<Option<ConfigText>> {
        self.with(|opened| {
            let Ram::Stored { links, chain } = &opened.ram else { return Ok(None) };
            let mut config = None;
            let read = chain.newest().seeker().quick(|part| {
                if let Part::Config(text) = part {
                    config = Some(text);
                }
            });
            let link = links.last();
            read.map_err(|error| links.wrong(snapfmt::read::ChainError { link, error }))?;
            Ok(config)
        })
    }

    fn make_durable(&self) -> anyhow::Result<()> {
        let files: Vec<&FileInput> = match &self.files {
            Whole::Three(set) => vec![&set.ram, &set.kern, &set.meta_file],
            Whole::Chain(links) => links.files().iter().collect(),
        };
        for file in files {
            self.stop.check()?;
            file.sync().with_context(|| format!("{} may not be on its disk", file.name()))?;
        }
        for place in &self.places {
            let dir = if place.is_dir() { Some(place.as_path()) } else { place.parent() };
            let dir = dir.unwrap_or(place);
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.with_context(|| format!("{} may not be on its disk", text::path(dir)))?;
        }
        self.files.unchanged()
    }

    fn state(&self, out: &mut dyn PartSink) -> anyhow::Result<Vec<RecordId>> {
        let compression = self.form.compression;
        self.with(|opened| {
            let mut ids = Vec::new();
            let mut record = |id: RecordId, bytes: &[u8], out: &mut dyn PartSink| {
                give(out, Record::encode(&id, bytes, compression)?)?;
                ids.push(id);
                anyhow::Ok(())
            };
            match &opened.ram {
                Ram::File { set, meta, .. } => {
                    give(out, set.meta_text(meta).encode()?)?;
                    for entry in set.records() {
                        self.stop.check()?;
                        let bytes = set.bytes(entry)?;
                        let id = RecordId::of(meta.key(entry.section), &entry.name, &bytes);
                        record(id, &bytes, out)?;
                    }
                }
                Ram::Stored { links, chain } => {
                    let mut given = Ok(());
                    let read = chain.newest().seeker().quick(|part| {
                        if given.is_err() {
                            return;
                        }
                        given = match part {
                            Part::Meta(text) => encoded(text.encode(), out),
                            Part::Config(text) => encoded(text.encode(), out),
                            Part::Record(one) => record(one.id().clone(), one.bytes(), out),
                            _ => Ok(()),
                        };
                    });
                    let link = links.last();
                    read.map_err(|error| links.wrong(snapfmt::read::ChainError { link, error }))?;
                    given?;
                }
            }
            Ok(ids)
        })
    }

    fn round(&self, have: Option<&Blocks>, out: &mut dyn PartSink) -> anyhow::Result<Digest> {
        let map = &self.vm.memory;
        let held = have.map(|blocks| Held::new(map, blocks)).transpose()?;
        let least = held.as_ref().map_or(BLOCK, |held| held.grid.size().max(BLOCK));
        let form = StreamForm { compression: self.form.compression, leaves: false };
        self.with(|opened| {
            let work = |scratch: &mut Vec<u8>, area: Area<Piece>| {
                self.stop.check()?;
                send(opened, held.as_ref(), form, scratch, area)
            };
            let (mut tree, mut done) = (RootBuilder::new(map.clone()), 0);
            let take = |sent: anyhow::Result<Sent>| {
                let Sent { gpa, size, root, part } = sent?;
                tree.block(gpa, size, root);
                if let Some(part) = part {
                    out.part(part)?;
                }
                let end = gpa.saturating_add(size);
                out.scanned(map.pages(done, end).saturating_mul(PAGE));
                done = end;
                Ok(())
            };
            pipeline::in_order(self.form.threads, work, take, |give| {
                feed(opened, held.as_ref(), least, give)
            })?;
            let root = tree.finish();
            if let Ram::Stored { links, chain } = &opened.ram
                && root != chain.newest().seeker().index().memory_root
            {
                anyhow::bail!("{}: its RAM is not that of the state that it says", links.name());
            }
            Ok(root)
        })
    }
}

fn encoded(
    part: Result<Encoded<'_>, snapfmt::Fault>,
    out: &mut dyn PartSink,
) -> anyhow::Result<()> {
    give(out, part?)
}

/// What the target holds.
struct Held<'a> {
    grid: Grid,
    roots: &'a [Digest],
}

impl<'a> Held<'a> {
    fn new(map: &MemoryMap, blocks: &'a Blocks) -> anyhow::Result<Self> {
        let grid = Grid::new(map, blocks.size).context("the target names blocks of a bad size")?;
        let fits = grid.count() == blocks.roots.len() as u64;
        anyhow::ensure!(fits, "the target names another number of blocks than there are");
        Ok(Self { grid, roots: &blocks.roots })
    }

    fn root(&self, gpa: u64) -> Option<Digest> {
        self.grid.number(gpa).and_then(|number| self.roots.get(number)).copied()
    }
}

/// Gives all areas that hold something here, and those that hold something there.
fn feed(
    opened: &Opened<'_>,
    held: Option<&Held<'_>>,
    least: u64,
    give: &mut pipeline::Give<'_, Area<Piece>>,
) -> anyhow::Result<()> {
    let map = &opened.vm.memory;
    let mut done = 0;
    let clear = |from: u64, to: u64, give: &mut pipeline::Give<'_, Area<Piece>>| {
        let Some(held) = held else { return Ok(()) };
        let step = held.grid.size();
        for gpa in held.grid.within(from, to) {
            let zero = leaves_root(map, Rest::Zero, gpa, step, []);
            if held.root(gpa) != Some(zero) {
                give(Area { gpa, size: step, pieces: Vec::new() })?;
            }
        }
        anyhow::Ok(())
    };
    let all: Vec<List<'_>> = lists(opened, least)?;
    for area in Areas::new(all, least) {
        let area = area?;
        clear(done, area.gpa, give)?;
        done = area.gpa.saturating_add(area.size);
        give(area)?;
    }
    clear(done, u64::MAX, give)
}

/// What there is to send of an area.
struct Sent {
    gpa: u64,
    size: u64,
    root: Digest,
    part: Option<Outgoing<'static>>,
}

fn send(
    opened: &Opened<'_>,
    held: Option<&Held<'_>>,
    form: StreamForm,
    scratch: &mut Vec<u8>,
    area: Area<Piece>,
) -> anyhow::Result<Sent> {
    let Area { gpa, size, pieces } = area;
    let map = &opened.vm.memory;
    let mut side = seen(&opened.ram, (gpa, size), pieces, scratch, None)?;
    if let Some(held) = held
        && held.grid.size() == size
        && let Some(root) = side.root()?
        && held.root(gpa) == Some(root)
    {
        return Ok(Sent { gpa, size, root, part: None });
    }
    let leaves = side.leaves()?;
    let root = subtree(map, gpa, size, &leaves, 0);
    let named = named(map, (gpa, size), &leaves, held);
    if named.count() == 0 {
        return Ok(Sent { gpa, size, root, part: None });
    }
    let change = delta::name(map, (gpa, size), &named, &leaves, &mut side)?;
    let (part, _) = Extent::encode_change_owned(change, map, form)?;
    Ok(Sent { gpa, size, root, part: Some(Outgoing::new(part)?) })
}

/// The subtree root of `size` bytes at `gpa`, whose leaves begin at number `from`.
fn subtree(map: &MemoryMap, gpa: u64, size: u64, leaves: &Leaves, from: usize) -> Digest {
    let count = usize::try_from(size / PAGE).unwrap_or(0);
    let own = leaves.iter().skip(from).take(count).enumerate();
    let own = own.filter_map(|(index, leaf)| Some((index, (*leaf)?)));
    leaves_root(map, Rest::Zero, gpa, size, own)
}

/// Which pages have to be named: those of blocks that the target has otherwise; to a target that
/// holds nothing, all that are not zero.
fn named(
    map: &MemoryMap,
    (gpa, size): (u64, u64),
    leaves: &Leaves,
    held: Option<&Held<'_>>,
) -> Bitmap {
    let mut named = Bitmap::new(leaves.len());
    let Some(held) = held else {
        let data = leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_some());
        data.for_each(|(index, _)| named.set(index));
        return named;
    };
    let step = held.grid.size();
    for at in held.grid.within(gpa, gpa.saturating_add(size)) {
        let from = usize::try_from((at - gpa) / PAGE).unwrap_or(usize::MAX);
        if held.root(at) == Some(subtree(map, at, step, leaves, from)) {
            continue;
        }
        let pages = (from..).zip(map_pages(map, at, step));
        pages.filter(|(_, is_ram)| *is_ram).for_each(|(index, _)| named.set(index));
    }
    named
}

fn map_pages(map: &MemoryMap, gpa: u64, size: u64) -> impl Iterator<Item = bool> + '_ {
    (0..size / PAGE).map(move |page| map.contains(gpa.saturating_add(page * PAGE)))
}
