//! Where a snapshot file goes, and what must not be lost by that.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use snapfmt::layout::header::{self, Header};
use snapfmt::write::Sealed;

use crate::exit::{Trouble, note};
use crate::input::{FileInput, Input};
use crate::node::Identity;
use crate::output::{Content, Existing, Output};
use crate::signal::Stop;
use crate::text;

/// What may be replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Old<'a> {
    /// Nothing.
    None,
    /// A snapshot of the VM of this name.
    Of(&'a str),
    /// Anything but an input.
    Any,
}

/// Opens what the user named. An input is never written on.
///
/// # Errors
/// A name that is taken by something that may not be replaced, and trouble with it.
pub(crate) fn open(
    path: &Path,
    old: Old<'_>,
    inputs: &[Identity],
    stop: &Stop,
) -> anyhow::Result<Output> {
    if path.as_os_str() == "-" || fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        stop.at_once()?;
    }
    let existing = match old {
        Old::None | Old::Of(_) => Existing::Replace,
        Old::Any => Existing::Force,
    };
    let output = Output::open(path, Content::Binary, existing)?;
    protect(path, &output, inputs, old, stop)?;
    Ok(output)
}

/// Refuses to write on an input, and to replace what may not be. `-o vm.ckp` is one letter away
/// from `-o vm.ckp.snap`, and the RAM it would replace exists once.
fn protect(
    path: &Path,
    output: &Output,
    inputs: &[Identity],
    old: Old<'_>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let Some(target) = output.identity() else { return Ok(()) };
    let shown = if path.as_os_str() == "-" { "stdout".to_owned() } else { text::path(path) };
    if inputs.contains(&target) {
        return Err(Trouble::new(format!("{shown} is one of the files that are read"))
            .hint("name another output")
            .into());
    }
    if output.as_staged().is_none() {
        return Ok(());
    }
    let name = match old {
        Old::Any => return Ok(()),
        Old::Of(name) => Some(name),
        Old::None => None,
    };
    let Input::File(old) = Input::open(path, stop)? else { return Ok(()) };
    let why = if old.identity() == target {
        unlike(&old, name)?
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
fn unlike(old: &FileInput, name: Option<&str>) -> anyhow::Result<Option<String>> {
    let mut block = vec![0; header::LEN.min(usize::try_from(old.len()).unwrap_or(header::LEN))];
    old.read_exact_at(&mut block, 0)?;
    let Some(name) = name else {
        return Ok((!block.is_empty()).then(|| "exists".to_owned()));
    };
    Ok(match Header::check(&block) {
        _ if block.is_empty() => None,
        Ok((header, _)) if header.vm_name == name => None,
        Ok((header, _)) => {
            let [theirs, ours] = [&header.vm_name, name].map(text::escape);
            Some(format!("exists and is a snapshot of the VM {theirs}, and this one is of {ours}"))
        }
        Err(_) if block.starts_with(header::MAGIC) => {
            Some("exists and its header block is damaged or of another version".to_owned())
        }
        Err(_) => Some("exists and is not a snapshot file".to_owned()),
    })
}

/// Ends the output, and says what was written: on stdout, or, if that is the output, on stderr.
///
/// # Errors
/// If the output cannot be made durable or get its name.
pub(crate) fn finish(output: Output, sealed: &Sealed, quiet: bool) -> anyhow::Result<()> {
    let to_stdout = output.is_stdout();
    output.finish()?;
    let root = format!("root     {}", sealed.root);
    let content = format!("content  {}", sealed.index.content);
    if !to_stdout {
        writeln!(io::stdout().lock(), "{root}\n{content}")?;
    } else if !quiet {
        note(&root);
        note(&content);
    }
    Ok(())
}
