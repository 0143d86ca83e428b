//! `migrate man`: the manual page, made from the definitions of the command line.

use std::io::{self, Write as _};

use clap::Command;
use snaptool::exit::Answer;
use snaptool::mdoc::Page;

/// When the page last changed in substance; a date of the build would change the page with it.
const DATE: &str = "November 25, 2026";

/// What no definition says.
const REST: &str = include_str!("man.mdoc");

/// Prints this page, in mdoc.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the page of `program`.
///
/// # Errors
/// A stdout that is gone.
pub fn run(_: &Args, program: Command) -> anyhow::Result<Answer> {
    let page = Page::new(program, 1, DATE, REST).to_string();
    io::stdout().lock().write_all(page.as_bytes())?;
    Ok(Answer::Yes)
}
