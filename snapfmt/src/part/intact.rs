//! The gate of law 1: a part's bytes, once every digest over them has matched (§4.10).

use crate::cursor::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::layout::frame::{Frame, Spans};
use crate::layout::kind::Kind;
use crate::memory::map::MemoryMap;
use crate::memory::tree::Rest;
use crate::part::{device, extent};

/// A part whose nvlist, payload and padding are what its frame says. Made only by checking.
///
/// One digest is still open: that of a raw extent's payload is a subtree root, which takes the
/// block's bitmaps and the memory map to compute; [`extent::Extent::open`] and
/// [`extent::DeltaExtent::open`] do that.
///
/// Bytes that were not checked, and the error of bytes that are wrong, do not become one, so they
/// cannot be written again under a fresh digest (law 8):
///
/// ```compile_fail,E0624
/// use snapfmt::part::Intact;
/// let launder = Intact::check;
/// ```
///
/// ```compile_fail,E0277
/// use snapfmt::part::Intact;
/// fn launder(error: snapfmt::Error) -> Intact {
///     error.into()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intact {
    frame: Frame,
    digest: Digest,
    spans: Spans,
    at: u64,
    /// From the nvlist to the payload.
    lead: Vec<u8>,
    /// The payload, without the padding behind it.
    payload: Vec<u8>,
}

impl Intact {
    /// Checks `body`, the bytes between the frame at offset `at` and the next part.
    pub(crate) fn check(
        frame: Frame,
        digest: Digest,
        at: u64,
        mut body: Vec<u8>,
    ) -> Result<Self, Error> {
        let (before, _) = frame.spans(at).lens();
        let lead = body.drain(..before.min(body.len())).collect();
        Self::check_apart(frame, digest, at, lead, body)
    }

    /// The same of a body in two pieces, so that the payload need not be copied out of it: what
    /// comes before the payload, and the payload with what follows.
    pub(crate) fn check_apart(
        frame: Frame,
        digest: Digest,
        at: u64,
        lead: Vec<u8>,
        payload: Vec<u8>,
    ) -> Result<Self, Error> {
        let spans = frame.spans(at);
        let mut part = Self { frame, digest, spans, at, lead, payload };
        let whole = Section::Part(frame.kind);
        if (part.lead.len(), part.payload.len()) != spans.lens() {
            let wanted = spans.end.saturating_sub(spans.nvlist_at);
            let left = part.lead.len().saturating_add(part.payload.len()) as u64;
            return Err(Fault::Truncated { wanted, left }.at(spans.nvlist_at).within(whole));
        }
        if Digest::of(part.nvlist()) != frame.nvlist_digest {
            let fault = Fault::Digest { what: "nvlist", rule: "§4.7" };
            return Err(fault.at(spans.nvlist_at).within(whole));
        }
        part.strip_padding().map_err(|error| error.in_section(part.section()))?;
        if !frame.tree && Digest::of(part.payload()) != frame.payload_digest {
            let fault = Fault::Digest { what: "payload", rule: "§4.8" };
            return Err(fault.at(spans.payload_at).within(part.section()));
        }
        Ok(part)
    }

    /// Checks the padding before the payload and that behind it, which is left out then.
    fn strip_padding(&mut self) -> Result<(), Error> {
        let size = usize::try_from(self.frame.nvlist_size).unwrap_or(usize::MAX);
        let behind = usize::try_from(self.frame.payload_size).unwrap_or(usize::MAX);
        let nvlist_end = self.spans.nvlist_at.saturating_add(self.frame.nvlist_size.into());
        for (bytes, from) in [
            (self.lead.get(size..), nvlist_end),
            (self.payload.get(behind..), self.spans.payload_end),
        ] {
            let bytes = bytes.unwrap_or_default();
            Cursor::new(bytes, from)
                .zeros(bytes.len())
                .map_err(|error| error.within(Section::Part(self.frame.kind)))?;
        }
        self.payload.truncate(behind);
        Ok(())
    }

    /// The section of the file that this part is, by name where its nvlist gives one.
    #[must_use]
    pub fn section(&self) -> Section {
        match self.kind() {
            Kind::Device => device::label(self.nvlist()),
            Kind::Extent => extent::label(self.nvlist()),
            _ => None,
        }
        .unwrap_or(Section::Part(self.kind()))
    }

    /// What the nvlist of an EXTENT part says.
    pub(crate) fn extent_head(&self, map: &MemoryMap, rest: Rest) -> Result<extent::Head, Error> {
        extent::Head::parse(self.nvlist(), &self.frame, map, rest)
            .map_err(|fault| self.wrong(fault))
    }

    /// The same of a part out of a stream, which may lack `leaves` (§2.5).
    pub(crate) fn streamed_head(&self, map: &MemoryMap, rest: Rest) -> Result<extent::Head, Error> {
        extent::Head::parse_streamed(self.nvlist(), &self.frame, map, rest)
            .map_err(|fault| self.wrong(fault))
    }

    /// An error in the nvlist of this part.
    pub(crate) fn wrong(&self, fault: Fault) -> Error {
        fault.at(self.spans.nvlist_at).within(self.section())
    }

    /// An error in the payload of this part.
    pub(crate) fn wrong_payload(&self, fault: Fault) -> Error {
        fault.at(self.spans.payload_at).within(self.section())
    }

    /// The type of the part.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.frame.kind
    }

    /// What its frame says.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Its frame digest, which covers the whole part but its padding.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The offset of its frame in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The bytes from its frame to the next part (§4.11).
    #[must_use]
    pub fn length(&self) -> u64 {
        self.spans.end.saturating_sub(self.at)
    }

    /// Where its pieces lie in the file.
    #[must_use]
    pub fn spans(&self) -> Spans {
        self.spans
    }

    /// The packed nvlist.
    #[must_use]
    pub fn nvlist(&self) -> &[u8] {
        let size = usize::try_from(self.frame.nvlist_size).unwrap_or(usize::MAX);
        self.lead.get(..size).unwrap_or_default()
    }

    /// The payload as stored, without a copy beside it.
    pub(crate) fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// The same; what is left of the part only serves to say what is wrong with it.
    pub(crate) fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// The payload as stored.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}
