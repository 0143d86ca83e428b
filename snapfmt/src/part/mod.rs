//! The parts of a file, one module each: what their nvlists and payloads say (§5, §6, §7.1).
//!
//! A part is encoded from plain values into [`Encoded`], and decoded only from [`Intact`], which
//! exists only for bytes whose digests matched. The parts do not know where they lie in a file.

pub mod codec;
pub mod config;
pub mod device;
pub mod extent;
pub mod index;
pub mod intact;
pub mod map;
pub mod meta;
pub(crate) mod other;
pub mod pairs;
pub mod stream;
pub mod vm;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Fault;
use crate::layout::frame::Frame;
use crate::layout::kind::Kind;

pub use intact::Intact;

/// A part ready to be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded<'a> {
    kind: Kind,
    nvlist: Vec<u8>,
    payload: std::borrow::Cow<'a, [u8]>,
    /// Whether the payload starts at a page.
    aligned: bool,
    /// The subtree root of a raw extent, which stands for the digest of its payload.
    tree: Option<Digest>,
}

impl<'a> Encoded<'a> {
    fn new(
        kind: Kind,
        pairs: &impl Serialize,
        payload: impl Into<std::borrow::Cow<'a, [u8]>>,
    ) -> Result<Self, Fault> {
        Self::packed(kind, pairs::pack(pairs)?, payload)
    }

    /// A part whose list is packed already.
    fn packed(
        kind: Kind,
        nvlist: Vec<u8>,
        payload: impl Into<std::borrow::Cow<'a, [u8]>>,
    ) -> Result<Self, Fault> {
        let payload = payload.into();
        let part = Self { kind, nvlist, payload, aligned: false, tree: None };
        let limit = kind.nvlist_limit().into();
        let found = part.nvlist.len() as u64;
        if found > limit {
            return Err(Fault::OverLimit { what: "the size of the nvlist", found, limit });
        }
        let limit = kind.payload_limit();
        let found = part.payload.len() as u64;
        if found > limit {
            return Err(Fault::OverLimit { what: "the size of the payload", found, limit });
        }
        Ok(part)
    }

    /// An optional part of another producer, unchanged.
    #[must_use]
    pub fn carried(part: &'a Intact) -> Self {
        Self {
            kind: part.kind(),
            nvlist: part.nvlist().to_vec(),
            payload: part.payload().into(),
            aligned: part.frame().alignment > 1,
            tree: None,
        }
    }

    /// The same with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Encoded<'static> {
        let Self { kind, nvlist, payload, aligned, tree } = self;
        Encoded { kind, nvlist, payload: payload.into_owned().into(), aligned, tree }
    }

    /// The payload alone, without a copy where it is its own.
    pub(crate) fn into_payload(self) -> Vec<u8> {
        self.payload.into_owned()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn nvlist(&self) -> &[u8] {
        &self.nvlist
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn frame(&self) -> Frame {
        let aligned = self.aligned && !self.payload.is_empty();
        Frame {
            kind: self.kind,
            tree: self.tree.is_some(),
            nvlist_size: u32::try_from(self.nvlist.len()).unwrap_or(u32::MAX),
            alignment: if aligned { 4096 } else { 1 },
            payload_size: self.payload.len() as u64,
            nvlist_digest: Digest::of(&self.nvlist),
            payload_digest: self.tree.unwrap_or_else(|| Digest::of(&self.payload)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvlist_and_payload_of_a_part_are_as_long_as_their_limits_and_no_longer() {
        let kind = Kind::Config;
        let (list, payload) = (kind.nvlist_limit(), kind.payload_limit());
        let refused = |list: u64, payload: u64| {
            let [list, payload] = [list, payload].map(|len| vec![0; usize::try_from(len).unwrap()]);
            Encoded::packed(kind, list, payload).err()
        };
        let over = |what, limit| Some(Fault::OverLimit { what, found: limit + 1, limit });
        let list = u64::from(list);
        assert_eq!(refused(list, payload), None);
        assert_eq!(refused(list + 1, 0), over("the size of the nvlist", list));
        assert_eq!(refused(0, payload + 1), over("the size of the payload", payload));
    }
}
