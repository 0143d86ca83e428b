//! `snaptool inspect`: what is in a snapshot, for people and for programs.
//!
//! ```text
//! snapshot (seek, pipe, survey) ┐
//! chain (a delta's parents)     ├─> facts ─> narrow ─> text | JSON
//! three (bhyve's files)         ┘     └─> state (fields of records) ─┘
//! ```
//! It works on damaged files: what is intact is shown, what is not is named, and what only a
//! damaged part says is marked as claimed. Both outputs come from one model of the facts.

mod chain;
mod collect;
mod dump;
mod facts;
mod narrow;
mod screen;
mod segments;
mod shown;
mod snapshot;
pub(super) mod state;
pub(super) mod table;
mod text;
mod three;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use self::facts::Facts;
use self::narrow::{Narrow, What};
use crate::cmd::help;
use crate::exit::{Answer, note};
use crate::links::{Links, Where};
use crate::progress::Options;
use crate::signal::Stop;
use crate::source::Source;
use crate::three::part_of_a_set;

/// Shows what is in a snapshot, also in a damaged one.
///
/// Reads the machine, its records and the map of its RAM, but not RAM itself. Of a damaged file it
/// shows what is intact, what is not, and what the damaged parts claim.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::INSPECT)]
pub struct Args {
    /// A snapshot file, `-` for stdin, or the RAM file of a snapshot of bhyve.
    #[arg(value_name = "FILE|-|BASE")]
    pub input: PathBuf,
    /// Show only this: header, vm, memory, config, meta, layout, damage, findings, devices (all
    /// records), kern_structs or structs (the kernel's), devices/NAME (a record, whichever list it
    /// is in, with what its registers say), devices/NAME/VCPU (one virtual CPU of it), or
    /// devices/NAME/raw (its bytes, dumped).
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Where the parents of a delta are.
    #[command(flatten)]
    pub chain: Where,
    /// Show every field of the records that are shown.
    #[arg(long)]
    pub fields: bool,
    /// Show the machine on one screen: CPUs, devices, what is pending.
    #[arg(long, conflicts_with_all = ["path", "json", "fields"])]
    pub summary: bool,
    /// Print the same facts as JSON.
    #[arg(long)]
    pub json: bool,
    /// Read and check RAM, too.
    #[arg(long)]
    pub full: bool,
    /// How to tell progress
    #[command(flatten)]
    pub progress: Options,
}

/// Inspects and prints to stdout.
///
/// # Errors
/// An input that cannot be read, a PATH that names nothing, and a reader of stdout that went away.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let width = screen::width(&stdout);
    let mut out = BufWriter::new(stdout.lock());
    let answer = inspect_at(args, stop, (terminal, width), &mut out)?;
    out.flush()?;
    Ok(answer)
}

/// Inspects and prints to `out`. If that is a terminal, even texts that are shown verbatim are made
/// harmless.
///
/// # Errors
/// As [`run`].
pub fn inspect(
    args: &Args,
    stop: &Stop,
    terminal: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Answer> {
    inspect_at(args, stop, (terminal, state::WIDTH), out)
}

/// As [`inspect`], on a screen of so many columns.
fn inspect_at(
    args: &Args,
    stop: &Stop,
    (terminal, width): (bool, usize),
    out: &mut dyn Write,
) -> anyhow::Result<Answer> {
    let mut narrow = Narrow::parse(args.path.as_deref())?;
    (narrow.fields, narrow.summary) = (args.fields, args.summary);
    let facts = match Source::open(&args.input, stop)? {
        Source::File(file) => {
            let mut facts = snapshot::file(&file, &narrow, args.full, args.progress, stop)?;
            if file.is_empty() {
                note(&format!("{} is empty", file.name()));
            } else if let Some(part) = part_of_a_set(&args.input).filter(|_| !facts.intact) {
                note(&format!("{}: {part}", file.name()));
            } else if facts.intact && !args.chain.is_nowhere() {
                let links = Links::find(file, &args.chain, stop)?;
                chain::add(&links, &mut facts, args.full, args.progress, stop)?;
            }
            facts
        }
        Source::Stream(stream) => {
            let name = if args.input.as_os_str() == "-" {
                "stdin".to_owned()
            } else {
                crate::text::path(&args.input)
            };
            snapshot::pipe(stream, &name, &narrow, args.progress)?
        }
        Source::ThreeFiles(files) => three::three(&files, &narrow, args.full, args.progress, stop)?,
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &as_json(&narrow, &facts)?)?;
        writeln!(out)?;
    } else {
        as_text(&narrow, &facts, (terminal, width), out)?;
    }
    Ok(if facts.intact && !facts.refused() { Answer::Yes } else { Answer::No })
}

fn as_text(
    narrow: &Narrow,
    facts: &Facts,
    (terminal, width): (bool, usize),
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let missing = || narrow.missing(facts);
    match &narrow.what {
        _ if narrow.summary => shown::summary(facts, out)?,
        What::All => {
            text::all(facts, out)?;
            shown::records(narrow, facts, width, out)?;
        }
        What::Header => match (&facts.header, &facts.claims.header) {
            (Some(header), _) => text::header("", header, out)?,
            (None, Some(claim)) => text::header("claimed: ", claim, out)?,
            (None, None) => return Err(missing()),
        },
        What::Vm => text::vm(facts.vm.as_ref().ok_or_else(missing)?, out)?,
        What::Memory => text::memory(facts.memory.as_ref().ok_or_else(missing)?, out)?,
        What::Config => {
            text::verbatim(facts.config_text.as_ref().ok_or_else(missing)?, terminal, out)?;
        }
        What::Meta => {
            text::verbatim(facts.meta_text.as_ref().ok_or_else(missing)?, terminal, out)?;
        }
        What::Layout => text::layout(facts, out)?,
        What::Damage => text::damage(facts, out)?,
        What::Findings => text::findings(facts, out)?,
        What::Devices | What::Section(_) | What::Record(..) => {
            let records = narrow.records(facts)?;
            if facts.raw.is_empty() {
                text::records(&records, matches!(narrow.what, What::Record(..)), out)?;
                shown::records(narrow, facts, width, out)?;
            }
            for raw in &facts.raw {
                if facts.raw.len() > 1 {
                    writeln!(out, "{}", collect::record_name(&raw.section, &raw.name))?;
                }
                dump::dump(&raw.bytes, out)?;
            }
        }
    }
    Ok(())
}

fn as_json(narrow: &Narrow, facts: &Facts) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(facts)?;
    if narrow.what == What::All && narrow.fields {
        let all = json!(shown::with_fields(narrow, facts, facts.records.iter().collect())?);
        value.as_object_mut().and_then(|value| value.insert("records".to_owned(), all));
    }
    let mut take = |key: &str| value.get_mut(key).map(Value::take).unwrap_or_default();
    let found = match &narrow.what {
        What::All => return Ok(value),
        What::Header if facts.header.is_none() && facts.claims.header.is_some() => {
            json!({ "claims": { "header": facts.claims.header } })
        }
        What::Header => take("header"),
        What::Vm => take("vm"),
        What::Memory => take("memory"),
        What::Config => with_text(take("config"), facts.config_text.as_deref()),
        What::Meta => with_text(take("meta"), facts.meta_text.as_deref()),
        What::Layout => take("layout"),
        What::Damage => take("damage"),
        What::Findings => take("findings"),
        What::Devices | What::Section(_) | What::Record(..) => {
            json!(shown::with_fields(narrow, facts, narrow.records(facts)?)?)
        }
    };
    if found.is_null() { Err(narrow.missing(facts)) } else { Ok(found) }
}

/// A text as part of its facts; absent if it is not UTF-8.
fn with_text(mut facts: Value, text: Option<&[u8]>) -> Value {
    if let (Some(text), Some(facts)) = (text, facts.as_object_mut()) {
        facts.insert("text".to_owned(), std::str::from_utf8(text).ok().into());
    }
    facts
}
