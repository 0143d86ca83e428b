//! The facts of a delta together with its parents.

use std::convert::Infallible;

use snapfmt::limits;
use snapfmt::read::{Chain, ChainError, CheckError, ReadError};

use super::facts::{Damage, Facts, Link};
use super::snapshot::STATE;
use crate::input::FileInput;
use crate::links::Links;
use crate::progress::{Options, Progress};
use crate::signal::Stop;
use crate::text;
use crate::watch::Watched;

/// Adds what the chain says to what is known of its newest file: who its parents are, and whether
/// they make its state. Reads their RAM if `full`.
///
/// # Errors
/// Trouble with reading.
pub(super) fn add(
    links: &Links,
    facts: &mut Facts,
    full: bool,
    told: Options,
    stop: &Stop,
) -> anyhow::Result<()> {
    let mode = told.of("inspect", links.name());
    let progress = Progress::new("reading", full.then(|| links.bytes()), mode);
    let result = links.chain(stop, &progress, |_, _| ()).and_then(|chain| {
        facts.chain = chain.links().zip(links.files()).map(|(l, file)| link(l, file)).collect();
        settle(&chain, full)
    });
    match result {
        Ok(()) => facts.not_checked.retain(|what| *what != STATE),
        Err(ChainError { link, error: ReadError::Format(error) }) => {
            let file = links.files().get(link).map_or("", FileInput::name);
            facts.intact = false;
            facts.damage.push(Damage {
                section: format!("{file}: {}", error.section()),
                offset: error.at(),
                start: None,
                length: None,
                fault: error.fault().id(),
                message: text::one_line(&error.fault().to_string()),
                hint: error.fault().hint(),
            });
        }
        Err(ChainError { error: ReadError::Io { source, .. }, .. }) => return Err(source.into()),
    }
    links.unchanged()
}

/// Whether the files make the states that they say: by their leaves, or by all their bytes.
fn settle(chain: &Chain<Watched<'_>>, full: bool) -> Result<(), ChainError> {
    if !full {
        return chain.contents().map(|_| ());
    }
    match chain.check(limits::EXTENT_MIN, |_| Ok::<_, Infallible>(())) {
        Ok(_) => Ok(()),
        Err(CheckError::Chain(error)) => Err(error),
        Err(CheckError::Taker(never)) => match never {},
    }
}

fn link(link: &snapfmt::read::chain::Link<Watched<'_>>, file: &FileInput) -> Link {
    let (header, index) = (link.seeker().header(), link.seeker().index());
    Link {
        input: file.name().to_owned(),
        size: file.len(),
        uuid: header.uuid.clone(),
        created: header.created,
        root: link.seeker().root().to_string(),
        content: index.content.to_string(),
        data_pages: index.totals.pages_data,
        stored_bytes: index.totals.stored,
    }
}
