//! Parts of a stream (§2.5): no payload is aligned, and padding is counted from the part's own
//! frame, so that a part has the same bytes wherever it stands.
//!
//! Knows what a part is on its way out and on its way in. What else a stream says, and which part
//! may come when, is the business of whoever speaks it.

use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{self, Frame};
use crate::layout::kind::Kind;
use crate::layout::{PART_ALIGN, padding};
use crate::part::{Encoded, Intact};

/// What stands behind a payload, as far as it is needed.
const ZEROS: &[u8; 64] = &[0; 64];
const _: () = assert!(ZEROS.len() as u64 == PART_ALIGN);

/// A part on its way out. Nothing is copied to make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    part: Encoded<'a>,
    frame: [u8; frame::LEN],
    digest: Digest,
    padding: usize,
}

impl<'a> Outgoing<'a> {
    /// Frames a part.
    ///
    /// # Errors
    /// A part that belongs to a file alone: MAP, INDEX.
    pub fn new(part: Encoded<'a>) -> Result<Self, Fault> {
        travels(part.kind)?;
        let part = Encoded { aligned: false, ..part };
        let frame = part.frame();
        let spans = frame.spans(0);
        let padding = padding(spans.payload_end, PART_ALIGN);
        let (frame, digest) = frame.encode();
        Ok(Self { part, frame, digest, padding: usize::try_from(padding).unwrap_or(0) })
    }

    /// Its bytes, one piece after another: frame, nvlist, payload, padding.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 4] {
        let padding = ZEROS.get(..self.padding).unwrap_or_default();
        [&self.frame, &self.part.nvlist, &self.part.payload, padding]
    }

    /// Its bytes in as few pieces, of which the payload is not copied if it is owned.
    #[must_use]
    pub fn into_pieces(self) -> [Vec<u8>; 3] {
        let Self { part, frame, padding, .. } = self;
        let padding = ZEROS.get(..padding).unwrap_or_default();
        [[&frame, part.nvlist.as_slice()].concat(), part.payload.into_owned(), padding.to_vec()]
    }

    /// Its bytes, copied behind what `out` holds.
    pub fn append(&self, out: &mut Vec<u8>) {
        out.extend(self.pieces().into_iter().flatten());
    }

    /// The type of the part.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.part.kind
    }

    /// Its frame digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of its payload.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.part.payload.len() as u64
    }

    /// All its bytes (§4.11).
    #[must_use]
    pub fn length(&self) -> u64 {
        self.pieces().iter().map(|piece| piece.len() as u64).sum()
    }

    /// The same with bytes of its own, to be handed to another thread.
    #[must_use]
    pub fn into_owned(self) -> Outgoing<'static> {
        let Self { part, frame, digest, padding } = self;
        Outgoing { part: part.into_owned(), frame, digest, padding }
    }
}

/// A part on its way in, of which only the frame has come: its digest has matched, and all that it
/// says is within bounds (§4.10). What follows it may be anything yet.
///
/// ```compile_fail,E0451
/// use snapfmt::{Digest, layout::frame::Frame, part::stream::Incoming};
/// fn believe(frame: Frame, digest: Digest) -> Incoming {
///     Incoming { frame, digest }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    frame: Frame,
    digest: Digest,
}

impl Incoming {
    /// Checks a frame: its 128 bytes. Offsets in errors, here and below, count from its first byte.
    ///
    /// # Errors
    /// A frame that is wrong in itself, and one that no stream has: aligned, of a MAP or of INDEX.
    pub fn check(bytes: &[u8]) -> Result<Self, Error> {
        let (frame, digest) = Frame::check(bytes, 0)?;
        let wrong = |fault: Fault| fault.at(0).within(Section::Part(frame.kind));
        travels(frame.kind).map_err(wrong)?;
        if frame.alignment != 1 {
            return Err(wrong(Fault::Value {
                what: "the payload's alignment",
                found: frame.alignment.to_string(),
                must: "it is 1 in a stream",
                rule: "§2.5",
            }));
        }
        Ok(Self { frame, digest })
    }

    /// Checks what came behind the frame: exactly [`rest`](Self::rest) bytes.
    ///
    /// # Errors
    /// A breach of §4.7, §4.8 or §1.6.
    pub fn intact(self, body: Vec<u8>) -> Result<Intact, Error> {
        Intact::check(self.frame, self.digest, 0, body)
    }

    /// What the frame says.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The frame digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// All bytes of the part (§4.11).
    #[must_use]
    pub fn length(&self) -> u64 {
        self.frame.spans(0).end
    }

    /// The bytes behind the frame. The limits of the part's type bound them.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.length().saturating_sub(frame::LEN as u64)
    }
}

/// Refuses a part that belongs to the container of a file.
fn travels(kind: Kind) -> Result<(), Fault> {
    if matches!(kind, Kind::Map | Kind::Index) {
        let why = "MAP and INDEX belong to a file, and a stream has none (§2.5)";
        return Err(Fault::Order { found: kind, why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::map::MapTable;
    use crate::part::meta::MetaText;

    fn meta(len: usize) -> MetaText {
        MetaText { generation: 'B', text: vec![7; len] }
    }

    fn bytes(text: &MetaText) -> Vec<u8> {
        let part = Outgoing::new(text.encode().unwrap()).unwrap();
        let mut bytes = Vec::new();
        part.append(&mut bytes);
        assert_eq!(bytes.len() as u64, part.length());
        bytes
    }

    fn taken(bytes: &[u8]) -> Result<Intact, Error> {
        let (frame, body) = bytes.split_at(frame::LEN);
        let part = Incoming::check(frame)?;
        assert_eq!(part.rest(), body.len() as u64);
        part.intact(body.to_vec())
    }

    #[test]
    fn a_part_comes_as_it_went_and_fills_64_bytes() {
        for len in 0..130 {
            let bytes = bytes(&meta(len));
            assert!(bytes.len().is_multiple_of(64));
            assert_eq!(MetaText::open(&taken(&bytes).unwrap()).unwrap(), meta(len));
        }
    }

    #[test]
    fn no_bit_can_be_flipped() {
        let whole = bytes(&meta(5));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(taken(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_body_of_another_length_is_refused() {
        let bytes = bytes(&meta(5));
        let (frame, body) = bytes.split_at(frame::LEN);
        let part = Incoming::check(frame).unwrap();
        for len in [0, body.len() - 1, body.len() + 1] {
            let mut other = body.to_vec();
            other.resize(len, 0);
            assert_eq!(part.intact(other).unwrap_err().fault().id(), "truncated");
        }
    }

    #[test]
    fn an_aligned_payload_is_refused_and_never_sent() {
        let text = meta(5);
        let part = Encoded { aligned: true, ..text.encode().unwrap() };
        let (frame, _) = part.frame().encode();
        let error = Incoming::check(&frame).unwrap_err();
        assert!(error.to_string().ends_with("is 4096: it is 1 in a stream (§2.5)"), "{error}");
        assert_eq!(Outgoing::new(part), Outgoing::new(text.encode().unwrap()));
    }

    #[test]
    fn what_belongs_to_a_file_does_not_travel() {
        let part = MapTable { first: 0, entries: vec![] }.encode().unwrap();
        let (frame, _) = part.frame().encode();
        assert_eq!(Incoming::check(&frame).unwrap_err().fault().id(), "order");
        assert_eq!(Outgoing::new(part).unwrap_err().id(), "order");
    }
}
