//! An extent of a delta: pages, some of them as differences, until the parent's pages settle them
//! (§13.2).

use super::{Head, check_leaves, decode};
use crate::digest::Digest;
use crate::error::{Error, Fault, Located};
use crate::limits;
use crate::memory::bitmap::Bitmap;
use crate::memory::map::MemoryMap;
use crate::memory::pages::Pages;
use crate::memory::tree::{Rest, leaf};
use crate::part::Intact;
use crate::part::map::MapEntry;

/// A block of a delta, as far as the delta alone can be checked (§13.4). It gives no pages: those
/// of the state take the parent's, see [`settle`](Self::settle).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaExtent {
    head: Head,
    /// The data pages, or their differences.
    pages: Vec<u8>,
    /// Of all data pages, where none is a difference.
    leaves: Option<Vec<Digest>>,
    stored: u64,
    payload_at: u64,
    map: MemoryMap,
}

/// The pages of a delta's extent, each of which has the leaf that its part asks for.
///
/// Only [`DeltaExtent::settle`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    head: Head,
    pages: Vec<u8>,
    leaves: Vec<Digest>,
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
    /// Reads the part and checks what takes no other file: everything, unless pages are stored as
    /// differences; then all but these, and the subtree root where it does not follow from
    /// `leaves`.
    ///
    /// # Errors
    /// A breach of §6.2 or §13.2.
    pub fn open(part: &Intact, map: &MemoryMap) -> Result<Self, Error> {
        let head = part.extent_head(map, Rest::Inherited)?;
        let wrong = |fault: Fault| part.wrong_payload(fault);
        let pages = decode(&head, part).map_err(wrong)?;
        let leaves = match &head.xor {
            None => {
                let leaves: Vec<_> = pages.chunks_exact(limits::PAGE).map(leaf).collect();
                check_leaves(&head, map, Rest::Inherited, &leaves).map_err(wrong)?;
                Some(leaves)
            }
            Some(xor) => {
                head.leaves_make_root(map, Rest::Inherited).map_err(|fault| part.wrong(fault))?;
                whole_pages(&head, xor, &pages).map_err(wrong)?;
                None
            }
        };
        let (stored, payload_at) = (part.payload().len() as u64, part.spans().payload_at);
        Ok(Self { head, pages, leaves, stored, payload_at, map: map.clone() })
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

    /// Whether root and leaves were checked against its pages: not where some are differences.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.leaves.is_some()
    }

    /// How the MAP part lists the part that this is.
    pub(crate) fn entry(&self, part: &Intact) -> MapEntry {
        self.head.entry((part.offset(), part.length(), part.digest()))
    }

    /// The pages themselves: differences are applied to the parent's, and then root and leaves are
    /// checked (§6.2.8). Of the parent no other page is asked for.
    ///
    /// # Errors
    /// Pages that are not what the part asks for, and what `parent` says.
    pub fn settle<P: Pages>(self, parent: &mut P) -> Result<Settled, SettleError<P::Error>> {
        let Self { head, mut pages, leaves, payload_at, map, .. } = self;
        let (None, Some(xor)) = (&leaves, &head.xor) else {
            return Ok(Settled { head, pages, leaves: leaves.unwrap_or_default() });
        };
        let mut old = vec![0; limits::PAGE];
        for (index, page) in head.data.pages().zip(pages.chunks_exact_mut(limits::PAGE)) {
            if xor.get(index) {
                parent.page(head.address(index), &mut old).map_err(SettleError::Parent)?;
                page.iter_mut().zip(&old).for_each(|(new, old)| *new ^= old);
            }
        }
        let leaves: Vec<_> = pages.chunks_exact(limits::PAGE).map(leaf).collect();
        let checked = check_leaves(&head, &map, Rest::Inherited, &leaves);
        let place = crate::error::Section::Extent { gpa: head.gpa };
        let wrong = |fault: Fault| Located::within(fault.at(payload_at), place);
        checked.map_err(wrong)?;
        Ok(Settled { head, pages, leaves })
    }
}

/// Compares the pages that are no differences with their leaves, where those are given.
fn whole_pages(head: &Head, xor: &Bitmap, pages: &[u8]) -> Result<(), Fault> {
    let Some(leaves) = &head.leaves else { return Ok(()) };
    let pages = head.data.pages().zip(pages.chunks_exact(limits::PAGE)).zip(leaves);
    let mut whole = pages.filter(|((index, _), _)| !xor.get(*index));
    if whole.all(|((_, page), listed)| leaf(page) == *listed) {
        return Ok(());
    }
    Err(Fault::Digest { what: "memory block", rule: "§6.2.8" })
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
        &self.leaves
    }

    /// The data pages with their numbers in the block, ascending.
    pub fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.head.data.pages().zip(self.pages.chunks_exact(limits::PAGE))
    }
}
