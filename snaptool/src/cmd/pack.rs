//! `snaptool pack`: bhyve's three files become one.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use snapfmt::bhyve::set::RamLayout;
use snapfmt::memory::block::Block;
use snapfmt::part::device::Kept;
use snapfmt::state::gate::{Judged, Policy};
use snapfmt::write::{MemoryWriter, Sealed, Writer};

use crate::cmd::help;
use crate::cmd::make::config::Configuration;
use crate::cmd::make::{self, drain, form, target};
use crate::exit::{Answer, note, warn};
use crate::gate::{Telling, items, three as judged};
use crate::output::Output;
use crate::pipeline;
use crate::progress::{Options, Progress};
use crate::ram::{Holes, Place, places};
use crate::signal::Stop;
use crate::text;
use crate::three::{self, ThreeFiles};

/// Puts a snapshot of bhyve (NAME, NAME.kern, NAME.meta) into one checksummed file.
///
/// Prints the identities of what it wrote. The three files are read once, are checked against each
/// other first, and stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help::PACK)]
pub struct Args {
    /// The RAM file of the snapshot; `.kern` and `.meta` lie beside it.
    base: PathBuf,
    /// Where to write: a file, which appears when it is complete, or `-` for stdout. An older
    /// snapshot file of the same VM is replaced then [default: BASE.snap].
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    #[command(flatten)]
    form: form::Storage,
    /// The VM's configuration, to keep with its state: a bhyve_config(5) file, or a file with the
    /// command line that started it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the holes of the RAM file, too, for file systems that are wrong about where they are.
    #[arg(long)]
    read_holes: bool,
    /// Replace an output that is no intact snapshot file of the same VM, too, or write on a disk.
    #[arg(short, long)]
    force: bool,
    /// Show no progress, nor with `-o -` the identities.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    threads: pipeline::Threads,
    #[command(flatten)]
    progress: Options,
}

/// Runs the command.
///
/// # Errors
/// Trouble with files. A set that is damaged is an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let set = ThreeFiles::open(&args.base, stop)?;
    if !set.is_sound() {
        return Ok(Answer::No);
    }
    let Some(meta) = &set.meta else { return Ok(Answer::No) };
    let Some(judged) = judged(&set, None)? else { return Ok(Answer::No) };
    let config = args.config.as_deref().map(|path| Configuration::read(path, meta, stop));
    let config = config.transpose()?;
    let path = args.output.clone().unwrap_or_else(|| beside(&args.base));
    let old = if args.force { target::Old::Any } else { target::Old::Of(&meta.vm.name) };
    let mut inputs = set.identities().to_vec();
    inputs.extend(config.iter().flat_map(|config| &config.inputs));
    let mut output = target::open(&path, old, &inputs, stop)?;
    let sealed = match write(&set, &judged, config.as_ref(), args, &mut output, stop) {
        Ok(sealed) => sealed,
        Err(error) => return make::misfit(error, &text::path(&args.base)),
    };
    set.unchanged()?;
    tell(&judged, &args.base);
    target::finish(output, &sealed, args.quiet)?;
    Ok(Answer::Yes)
}

/// Says what values were found that someone should know of. A set that must not be restored is
/// packed all the same: it may be all that is left, and what is to be looked into.
fn tell(judged: &Judged, base: &Path) {
    let mut judgement = judged.judgement().clone();
    // Told before.
    judgement.structure.clear();
    let found = items(&judgement, &Policy::default());
    let mut telling = Telling::of(Some(&judgement));
    let base = text::path(base);
    let mut failing = 0_u64;
    for item in found.iter().filter(|item| item.fails()) {
        warn(&format!("{base}: {item}"));
        telling.hints(item).iter().for_each(|hint| warn(&format!("  {hint}")));
        failing += 1;
    }
    for words in telling.warnings(&found) {
        note(&format!("{base}: {words}"));
    }
    if failing > 0 {
        let them = if failing == 1 { "one finding" } else { "findings" };
        warn(&format!(
            "{base} is packed as it is, to be kept and looked into; `unpack` refuses it for {them} \
             above"
        ));
    }
}

fn beside(base: &Path) -> PathBuf {
    let mut name: OsString = base.as_os_str().to_owned();
    name.push(".snap");
    name.into()
}

fn write(
    set: &ThreeFiles,
    judged: &Judged,
    config: Option<&Configuration>,
    args: &Args,
    output: &mut Output,
    stop: &Stop,
) -> anyhow::Result<Sealed> {
    let meta = judged.meta();
    let vm = three::vm(meta)?;
    let header = make::header(&vm, config.and_then(|config| config.uuid.clone()), None);
    let mut out = Vec::new();
    let text = set.meta_text(meta);
    let mut writer = Writer::begin(&header, vm, &text, args.form.compression(), &mut out)?;
    if let Some(config) = config {
        writer.config(&config.text, &mut out)?;
    }
    let mode = args.progress.of("pack", &text::path(&args.base)).quiet(args.quiet);
    let progress = Progress::new("packing", Some(set.ram.len()), mode);
    for (record, bytes) in judged.records() {
        stop.check()?;
        let section = meta.key(record.section);
        let bytes = bytes.ok_or_else(|| anyhow::anyhow!("a record was not read"))?;
        let kept = writer.record(section, &record.name, bytes, &mut out)?;
        if let Kept::Whole(why) = kept
            && !args.quiet
            && !why.is_absent()
        {
            let name = text::escape(&record.name);
            note(&format!("record {section}/{name} is kept whole, without fields: {why}"));
        }
        drain(&mut out, output)?;
    }
    let mut writer = writer.memory()?;
    memory(set, args, &mut writer, (output, &progress), stop)?;
    // What comes now makes the snapshot valid for whoever reads it from a pipe.
    set.unchanged()?;
    let sealed = writer.finish(&mut out)?;
    drain(&mut out, output)?;
    Ok(sealed)
}

/// Writes RAM: several threads read, hash and compress its blocks.
fn memory(
    set: &ThreeFiles,
    args: &Args,
    writer: &mut MemoryWriter,
    (output, progress): (&mut Output, &Progress),
    stop: &Stop,
) -> anyhow::Result<()> {
    let layout = RamLayout::new(writer.vm().memory.size());
    let (encoder, mut out, mut done) = (writer.encoder(), Vec::new(), 0);
    let work = |bytes: &mut Vec<u8>, place: Place| -> anyhow::Result<_> {
        stop.check()?;
        bytes.resize(usize::try_from(place.size)?, 0);
        place.read(&set.ram, bytes)?;
        let block = Block::scan(place.gpa, bytes);
        Ok((place.end(), block.map(|block| encoder.owned(block)).transpose()?))
    };
    let take = |made: anyhow::Result<_>| {
        let (end, part) = made?;
        if let Some(part) = part {
            let pages = writer.append_apart(part, &mut out)?;
            drain(&mut out, output)?;
            output.write_all(&pages)?;
        }
        progress.add(u64::saturating_sub(end, done));
        done = end;
        Ok(())
    };
    let places = places(&set.ram, layout, args.form.extent_size(), Holes::read_if(args.read_holes));
    let mut places = places?;
    pipeline::in_order(args.threads.count(), work, take, |give| places.try_for_each(&mut *give))?;
    progress.add(set.ram.len().saturating_sub(done));
    Ok(())
}
