//! Damaged parts, as they lie in the file (law 1 has this exception): nothing of them is decoded or
//! decompressed, and nobody vouches for them.

use std::io::Write as _;

use snapfmt::Section;
use snapfmt::layout::kind::Kind;
use snapfmt::read::survey::{Span, What as Range};
use snapfmt::read::{ReadError, survey};

use super::what::What;
use crate::exit::{Trouble, warn};
use crate::input::FileInput;
use crate::output::Output;

/// Memory that is copied at once.
const STEP: u64 = 1 << 20;

/// Copies the damaged ranges that a part may be.
///
/// # Errors
/// A part that is not there, or is intact; trouble with files.
pub(super) fn copy(file: &FileInput, what: &What, output: &mut Output) -> anyhow::Result<()> {
    let survey = survey(file, |_, _, _| ()).map_err(|error| match error {
        ReadError::Format(error) => anyhow::Error::from(error),
        ReadError::Io { source, .. } => source.into(),
    })?;
    let found: Vec<_> = survey.spans.iter().filter(|span| is(span, what)).collect();
    if found.is_empty() {
        return Err(Trouble::new(format!("no damaged {what} is found in {}", file.name()))
            .hint(
                "leave out --damaged if it is intact; `snaptool inspect FILE damage` shows what is \
                   not",
            )
            .into());
    }
    for span in found {
        warn(&format!(
            "{}: {what} is damaged: {} bytes from {:#x} are copied as a claim, for which nobody \
             vouches",
            file.name(),
            span.len,
            span.at
        ));
        let (mut at, end) = (span.at, span.end());
        while at < end {
            let mut piece = vec![0; usize::try_from((end - at).min(STEP))?];
            file.read_exact_at(&mut piece, at)?;
            output.write_all(&piece)?;
            at += piece.len() as u64;
        }
    }
    Ok(())
}

/// Whether a damaged range is a part, by what an intact index or its own frame says.
fn is(span: &Span, what: &What) -> bool {
    let Range::Damaged { error, claim } = &span.what else { return false };
    match (what, error.section()) {
        (What::Header, Section::Header) => true,
        (What::Meta, Section::Part(Kind::Meta)) | (What::Config, Section::Part(Kind::Config)) => {
            true
        }
        (What::Record(..), Section::Device { section, name }) => what.names(section, name),
        (What::Record(section, name), _) => {
            let label = claim.as_ref().and_then(|claim| claim.show().label.as_deref());
            let of = |section: &str| {
                let place = Section::Device { section: section.to_owned(), name: name.clone() };
                label == Some(place.to_string().as_str())
            };
            let sections = ["kern_structs", "structs", "devices"];
            let wanted = |own: &&&str| section.as_deref().is_none_or(|wanted| wanted == **own);
            sections.iter().filter(wanted).any(|section| of(section))
        }
        (What::Memory(gpa, len), Section::Extent { gpa: at }) => {
            *at < gpa + len && *gpa < at + snapfmt::limits::EXTENT_MAX
        }
        _ => false,
    }
}
