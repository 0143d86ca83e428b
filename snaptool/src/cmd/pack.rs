//! `snaptool pack`: bhyve's three files become one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use snapfmt::Fault;
use snapfmt::bhyve::config::ConfigKind;
use snapfmt::bhyve::set::RamLayout;
use snapfmt::bhyve::{Config, Generation, Meta, disagreements};
use snapfmt::digest::{Digest, Hasher};
use snapfmt::layout::header::{self, Header};
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::part::codec::Compression;
use snapfmt::part::config::{ConfigFile, ConfigText};
use snapfmt::part::meta::MetaText;
use snapfmt::part::vm::{AMD64, Vm};
use snapfmt::write::{Sealed, Writer};

use crate::cmd::help;
use crate::exit::{Answer, Trouble, note, report};
use crate::input::{FileInput, Input};
use crate::node::{Identity, identity};
use crate::output::{Content, Existing, Output};
use crate::progress::{Options, Progress};
use crate::ram::{self, Holes};
use crate::signal::Stop;
use crate::text;
use crate::three::ThreeFiles;

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
    /// How to store RAM and records: `none`, `zstd` or `zstd:LEVEL` (-7 to 19).
    #[arg(long, default_value = "zstd", value_name = "METHOD", allow_hyphen_values = true)]
    compress: Method,
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
    progress: Options,
}

#[derive(Debug, Clone, Copy)]
struct Method(Compression);

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let levels = zstd_levels();
        Ok(Self(match text.split_once(':') {
            None if text == "none" => Compression::None,
            None if text == "zstd" => Compression::default(),
            Some(("zstd", level)) => match level.parse() {
                Ok(level) if levels.contains(&level) => Compression::Zstd(level),
                _ => {
                    let (least, most) = (levels.start(), levels.end());
                    return Err(format!("zstd has the levels {least} to {most}"));
                }
            },
            _ => return Err("the methods are none, zstd and zstd:LEVEL".to_owned()),
        }))
    }
}

/// The levels that zstd's own tool has without `--ultra`: negative ones are faster, and those above
/// would take hundreds of MiB of memory.
fn zstd_levels() -> std::ops::RangeInclusive<i32> {
    -7..=19
}

/// Runs the command.
///
/// # Errors
/// Trouble with files. A set that is damaged is an answer: no.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let set = ThreeFiles::open(&args.base, stop)?;
    for finding in set.findings.iter().filter(|f| set.refusals().all(|r| r != *f)) {
        note(&format!("{}: {finding}", text::path(&args.base)));
    }
    let mut refused = false;
    for finding in set.refusals() {
        let message = format!("{}: {finding}", text::path(&args.base));
        report(&Trouble::new(message).hint(finding.advice()).into());
        refused = true;
    }
    let Some(meta) = set.meta.as_ref().filter(|_| !refused) else { return Ok(Answer::No) };
    let config = args.config.as_deref().map(|path| Configuration::read(path, meta, stop));
    let config = config.transpose()?;
    let path = args.output.clone().unwrap_or_else(|| beside(&args.base));
    if path.as_os_str() == "-" || fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
        stop.at_once()?;
    }
    let existing = if args.force { Existing::Force } else { Existing::Replace };
    let mut output = Output::open(&path, Content::Binary, existing)?;
    let mut inputs = vec![set.ram.identity(), set.kern.identity(), set.meta_file.identity()];
    inputs.extend(config.iter().flat_map(|config| &config.inputs));
    protect(&path, &output, &inputs, (!args.force).then_some(meta), stop)?;
    let sealed = match write(&set, meta, config.as_ref(), args, &mut output, stop) {
        Ok(sealed) => sealed,
        Err(error) => return misfit(error, &args.base),
    };
    set.unchanged()?;
    let to_stdout = output.is_stdout();
    output.finish()?;
    let root = format!("root     {}", sealed.root);
    let content = format!("content  {}", sealed.index.content);
    if !to_stdout {
        writeln!(io::stdout().lock(), "{root}\n{content}")?;
    } else if !args.quiet {
        note(&root);
        note(&content);
    }
    Ok(Answer::Yes)
}

/// Tells what cannot be put into a snapshot file, whoever writes it, from trouble with writing it.
fn misfit(error: anyhow::Error, base: &Path) -> anyhow::Result<Answer> {
    match error.downcast_ref::<snapfmt::Error>().map(snapfmt::Error::fault) {
        None => Err(error),
        Some(Fault::Zstd(_)) => Err(Trouble::new("cannot compress")
            .because(error)
            .hint("there may be too little memory: a lower level of --compress takes less")
            .into()),
        Some(_) => {
            let words = format!("{}: does not fit into a snapshot file", text::path(base));
            report(&Trouble::new(words).because(error).into());
            Ok(Answer::No)
        }
    }
}

fn beside(base: &Path) -> PathBuf {
    let mut name: OsString = base.as_os_str().to_owned();
    name.push(".snap");
    name.into()
}

/// Refuses to write on an input, and to replace what is not an older snapshot of the same VM, if
/// that is given. `-o vm.ckp` is one letter away from `-o vm.ckp.snap`, and the RAM it would
/// replace exists once.
fn protect(
    path: &Path,
    output: &Output,
    inputs: &[Identity],
    same: Option<&Meta>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let Some(target) = output.identity() else { return Ok(()) };
    let shown = if path.as_os_str() == "-" { "stdout".to_owned() } else { text::path(path) };
    if inputs.contains(&target) {
        return Err(Trouble::new(format!("{shown} is one of the files to pack"))
            .hint("name another output")
            .into());
    }
    let Some(meta) = same.filter(|_| output.as_staged().is_some()) else { return Ok(()) };
    let Input::File(old) = Input::open(path, stop)? else { return Ok(()) };
    let why = if old.identity() == target {
        unlike(&old, meta)?
    } else {
        Some("was replaced by someone else just now".to_owned())
    };
    let Some(why) = why else { return Ok(()) };
    Err(Trouble::new(format!("{shown} {why}"))
        .hint("name another output, or replace it with --force")
        .into())
}

/// Why a file is not an older snapshot of the same VM, by its header block. An empty one is nothing
/// to lose.
fn unlike(old: &FileInput, meta: &Meta) -> anyhow::Result<Option<String>> {
    let mut block = vec![0; header::LEN.min(usize::try_from(old.len()).unwrap_or(header::LEN))];
    old.read_exact_at(&mut block, 0)?;
    Ok(match Header::check(&block) {
        _ if block.is_empty() => None,
        Ok((header, _)) if header.vm_name == meta.vm.name => None,
        Ok((header, _)) => {
            let [theirs, ours] = [&header.vm_name, &meta.vm.name].map(|name| text::escape(name));
            Some(format!("exists and is a snapshot of the VM {theirs}, and this one is of {ours}"))
        }
        Err(_) if block.starts_with(header::MAGIC) => {
            Some("exists and its header block is damaged or of another version".to_owned())
        }
        Err(_) => Some("exists and is not a snapshot file".to_owned()),
    })
}

struct Configuration {
    text: ConfigText,
    uuid: Option<String>,
    /// The file itself and those that it refers to.
    inputs: Vec<Identity>,
}

impl Configuration {
    fn read(path: &Path, meta: &Meta, stop: &Stop) -> anyhow::Result<Self> {
        let shown = text::path(path);
        let file = Input::open(path, stop)?;
        let mut inputs = Vec::new();
        if let Input::File(file) = &file {
            inputs.push(file.identity());
        }
        let mut bytes = Vec::new();
        let limit = snapfmt::limits::TEXT_PAYLOAD + 1;
        io::Read::read_to_end(&mut io::Read::take(file.into_reader(), limit), &mut bytes)?;
        let config = Config::parse(&bytes).map_err(|error| {
            Trouble::new(format!("cannot use {shown} as configuration")).because(error)
        })?;
        let doubts = disagreements(&config, meta);
        for finding in &doubts {
            note(&format!("{shown}: {finding}"));
        }
        // A configuration of another machine does not name this one.
        let uuid = config.uuid.filter(|_| doubts.is_empty());
        let kind = match config.kind {
            ConfigKind::File => "bhyve-config",
            ConfigKind::CommandLine => "command-line",
        };
        let roms = [("bootrom", &config.bootrom), ("nvram", &config.bootvars)];
        let roms = roms.into_iter().filter_map(|(role, path)| Some((role, path.as_ref()?)));
        let disks = config.disks.iter().map(|disk| ("disk", &disk.path));
        let named: Vec<_> = roms.chain(disks).collect();
        inputs.extend(named.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(identity));
        let files = named.into_iter().filter_map(|(role, path)| seen(role, path, stop)).collect();
        let text = ConfigText { kind: kind.to_owned(), text: bytes, files };
        Ok(Self { text, uuid, inputs })
    }
}

/// A file that the configuration refers to. One that cannot be read is no reason not to pack.
fn seen(role: &str, path: &str, stop: &Stop) -> Option<ConfigFile> {
    let look = || -> anyhow::Result<ConfigFile> {
        let file = Input::open(Path::new(path), stop)?.into_file()?;
        let sha256 = if role == "disk" { None } else { Some(digest(&file, stop)?) };
        Ok(ConfigFile { role: role.to_owned(), path: path.to_owned(), size: file.len(), sha256 })
    };
    match look() {
        Ok(file) => Some(file),
        Err(error) => {
            let why = crate::exit::line(&error);
            note(&format!("the {role} of the configuration is not recorded: {why}"));
            None
        }
    }
}

fn digest(file: &FileInput, stop: &Stop) -> anyhow::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buf = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        stop.check()?;
        let n = file.read_at(&mut buf, at)?;
        if n == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buf.get(..n).unwrap_or_default());
        at += n as u64;
    }
}

fn write(
    set: &ThreeFiles,
    meta: &Meta,
    config: Option<&Configuration>,
    args: &Args,
    output: &mut Output,
    stop: &Stop,
) -> anyhow::Result<Sealed> {
    let layout = RamLayout::new(meta.vm.memsize);
    let segments = layout.segments().map(|s| Segment { gpa: s.gpa, len: s.len }).collect();
    let memory = MemoryMap::new(segments)?;
    let (ncpus, memflags) = (meta.vm.ncpus.into(), meta.vm.memflags);
    let vm = Vm { arch: AMD64.to_owned(), name: meta.vm.name.clone(), ncpus, memflags, memory };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = Header {
        producer: concat!("snaptool ", env!("CARGO_PKG_VERSION")).to_owned(),
        uuid: uuid::Uuid::new_v4().to_string(),
        vm_name: vm.name.clone(),
        vm_uuid: config.and_then(|config| config.uuid.clone()),
        created: now,
        parent: None,
        incompatible: Vec::new(),
        compatible: Vec::new(),
    };
    let generation = match meta.generation {
        Generation::A => 'A',
        Generation::B => 'B',
    };
    let text = MetaText { generation, text: set.text.clone() };
    let mut out = Vec::new();
    let mut writer = Writer::begin(&header, vm, &text, args.compress.0, &mut out)?;
    if let Some(config) = config {
        writer.config(&config.text, &mut out)?;
    }
    let mode = args.progress.of("pack", &text::path(&args.base)).quiet(args.quiet);
    let progress = Progress::new("packing", Some(set.ram.len()), mode);
    for record in set.records() {
        stop.check()?;
        let section = meta.key(record.section);
        writer.record(section, &record.name, &set.bytes(record)?, &mut out)?;
        drain(&mut out, output)?;
    }
    let mut writer = writer.memory()?;
    let holes = if args.read_holes { Holes::Read } else { Holes::Skip };
    ram::for_each_block(&set.ram, layout, holes, &progress, stop, |block| {
        writer.block(&block, &mut out)?;
        drain(&mut out, output)
    })?;
    // What comes now makes the snapshot valid for whoever reads it from a pipe.
    set.unchanged()?;
    let sealed = writer.finish(&mut out)?;
    drain(&mut out, output)?;
    Ok(sealed)
}

fn drain(out: &mut Vec<u8>, output: &mut Output) -> anyhow::Result<()> {
    output.write_all(out)?;
    out.clear();
    Ok(())
}
