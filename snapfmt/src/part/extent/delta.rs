//! An extent of a delta: pages, some of them as differences, until the parent's pages settle them
//! (§13.2).

use std::borrow::Cow;

use super::{Head, check_pages, pages};
use crate::digest::Digest;
use crate::error::{Error, Fault, Section};
use crate::limits;
use crate::memory::map::MemoryMap;
use crate::memory::pages::Pages;
use crate::memory::tree::Rest;
use crate::part::Intact;
use crate::part::map::MapEntry;

/// A block of a delta, as far as the delta alone can be checked (§13.4). It gives no pages: those
/// of the state take the parent's, see [`settle`](Self::settle).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaExtent {
    head: Head,
    /// The data pages, or their differences.
    pages: Vec<u8>,
    stored: u64,
    payload_at: u64,
}

/// The pages of a delta's extent, each of which has the leaf that its part asks for.
///
/// Only [`DeltaExtent::settle`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    head: Head,
    pages: Vec<u8>,
}

/// Why an extent of a delta did not become pages.
#[derive(Debug, thiserror::Error)]
pub enum SettleError<E> {
    /// The extent is wrong, or the pages are not those of its parent.
    #[error(transparent)]
    Format(#[from] Error),
    /// The parent's pages could not be had.
    #[error("a page of the parent cannot be read")]
    Parent(#[source] E),
}

impl DeltaExtent {
    /// Reads the part and checks what takes no other file: everything but the pages that are stored
    /// as differences.
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn open(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::of(part.extent_head(map, Rest::Inherited)?, part, map)
    }

    /// The same of a part out of a stream of changes, which may lack `leaves` where nothing is a
    /// difference (§2.5).
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn open_streamed(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::of(part.streamed_head(map, Rest::Inherited)?, part, map)
    }

    /// As [`open`](Self::open), with how a MAP part lists it. Pages that are stored as they are are
    /// not copied.
    pub(crate) fn open_owned(mut part: Intact, map: &MemoryMap) -> Result<(Self, MapEntry), Error> {
        let (head, payload) = (part.extent_head(map, Rest::Inherited)?, part.take_payload());
        let extent = Self::with(head, &part, Cow::Owned(payload), map)?;
        let entry = extent.entry(&part);
        Ok((extent, entry))
    }

    fn of(head: Head, part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        Self::with(head, part, Cow::Borrowed(part.payload()), map)
    }

    fn with(
        mut head: Head,
        part: &Intact,
        payload: Cow<'_, [u8]>,
        map: &MemoryMap,
    ) -> Result<Self, Error> {
        let (stored, payload_at) = (payload.len() as u64, part.spans().payload_at);
        let pages = pages(&mut head, part, payload, (map, Rest::Inherited))?;
        Ok(Self { head, pages, stored, payload_at })
    }

    /// What its nvlist says.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes that its pages take in the file.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Whether all its pages were checked against their leaves: not where some are differences.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.head.xor.is_none()
    }

    /// How the MAP part lists the part that this is.
    pub(crate) fn entry(&self, part: &Intact) -> MapEntry {
        self.head.entry((part.offset(), part.length(), part.digest()))
    }

    /// The pages themselves: differences are applied to the parent's, and then checked against
    /// their leaves (§6.2.8). Of the parent no other page is asked for.
    ///
    /// # Errors
    /// Pages that are not what the part asks for, and what `parent` says.
    pub fn settle<P: Pages>(self, parent: &mut P) -> Result<Settled, SettleError<P::Error>> {
        let Self { head, mut pages, payload_at, .. } = self;
        let Some(xor) = &head.xor else { return Ok(Settled { head, pages }) };
        let mut old = vec![0; limits::PAGE];
        for (index, page) in head.data.pages().zip(pages.chunks_exact_mut(limits::PAGE)) {
            if xor.get(index) {
                parent.page(head.address(index), &mut old).map_err(SettleError::Parent)?;
                page.iter_mut().zip(&old).for_each(|(new, old)| *new ^= old);
            }
        }
        let place = Section::Extent { gpa: head.gpa };
        check_pages(&head, &pages, |index| xor.get(index))
            .map_err(|fault: Fault| fault.at(payload_at).within(place))?;
        Ok(Settled { head, pages })
    }
}

impl Settled {
    /// What the nvlist says.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The leaves of the data pages, ascending.
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        self.head.leaves()
    }

    /// What the nvlist says, for whoever needs the pages no more.
    #[must_use]
    pub fn into_head(self) -> Head {
        self.head
    }

    /// Data pages that follow each other, all of a run at once, with the number of the first.
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut numbers = self.head.data.pages().peekable();
        let mut rest = self.pages.as_slice();
        std::iter::from_fn(move || {
            let first = numbers.next()?;
            let mut count = 1;
            while numbers.next_if(|next| *next == first + count).is_some() {
                count += 1;
            }
            let run;
            (run, rest) = rest.split_at_checked(count * limits::PAGE)?;
            Some((first, run))
        })
    }

    /// The data pages with their numbers in the block, ascending.
    pub fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.head.data.pages().zip(self.pages.chunks_exact(limits::PAGE))
    }
}
