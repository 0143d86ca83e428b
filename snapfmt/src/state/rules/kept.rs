//! Guest memory of which only those pages are kept that rules look at, for a memory that goes by
//! once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{GuestRam, HostFacts, Machine, RamError, check};
use crate::bhyve::RamLayout;
use crate::limits;

const PAGE: u64 = limits::PAGE as u64;

/// Pages of guest memory that rules look at. Those that were not given are zero: a snapshot file
/// stores no page of zeros.
#[derive(Debug, Clone, Default)]
pub struct KeptRam {
    layout: RamLayout,
    /// By page number.
    pages: BTreeMap<u64, Option<Box<[u8]>>>,
}

impl KeptRam {
    /// Finds out which pages the rules look at, by asking them with a memory full of zeros. At most
    /// [`limits::RULE_PAGES`] are kept, the first ones that were asked for; reading any other is an
    /// error, so that a rule that takes them says that it was not checked.
    #[must_use]
    pub fn wanted(machine: &Machine<'_>, host: Option<&HostFacts>) -> Self {
        let asked = Asked { layout: machine.memory, pages: RefCell::default() };
        let _ = check(machine, Some(&asked), host);
        Self { layout: machine.memory, pages: asked.pages.into_inner() }
    }

    /// How many pages are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether no rule looks at guest memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Takes note of a page that goes by.
    pub fn page(&mut self, gpa: u64, bytes: &[u8]) {
        if let Some(kept) = self.pages.get_mut(&(gpa / PAGE))
            && gpa.is_multiple_of(PAGE)
            && bytes.len() == limits::PAGE
        {
            *kept = Some(bytes.into());
        }
    }
}

impl GuestRam for KeptRam {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        by_page(self.layout, gpa, bytes, |page, at, piece| {
            match self.pages.get(&page) {
                None => return Err(RamError::Unreadable { gpa: page * PAGE + at as u64 }),
                Some(None) => piece.fill(0),
                Some(Some(kept)) => {
                    let from = kept.get(at..).unwrap_or_default();
                    piece.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
            Ok(())
        })
    }
}

/// A memory full of zeros that remembers what was asked for.
struct Asked {
    layout: RamLayout,
    pages: RefCell<BTreeMap<u64, Option<Box<[u8]>>>>,
}

impl GuestRam for Asked {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), RamError> {
        by_page(self.layout, gpa, bytes, |page, _, piece| {
            piece.fill(0);
            let mut pages = self.pages.borrow_mut();
            if pages.len() < limits::RULE_PAGES {
                pages.entry(page).or_default();
            }
            Ok(())
        })
    }
}

/// Gives `each` the pieces of `bytes` that lie in one page, with the number of the page and where
/// in it they begin.
fn by_page(
    layout: RamLayout,
    gpa: u64,
    bytes: &mut [u8],
    mut each: impl FnMut(u64, usize, &mut [u8]) -> Result<(), RamError>,
) -> Result<(), RamError> {
    let (mut gpa, mut rest) = (gpa, bytes);
    while !rest.is_empty() {
        if layout.offset(gpa).is_none() {
            return Err(RamError::Outside { gpa });
        }
        let at = usize::try_from(gpa % PAGE).unwrap_or_default();
        let (piece, others) = rest.split_at_mut(rest.len().min(limits::PAGE - at));
        each(gpa / PAGE, at, piece)?;
        gpa = gpa.checked_add(piece.len() as u64).ok_or(RamError::Outside { gpa })?;
        rest = others;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pages: impl IntoIterator<Item = u64>) -> KeptRam {
        let pages = pages.into_iter().map(|page| (page, None)).collect();
        KeptRam { layout: RamLayout::new(16 * PAGE), pages }
    }

    #[test]
    fn pages_that_did_not_go_by_are_zero_and_others_as_they_were() {
        let mut ram = kept([1, 2]);
        ram.page(2 * PAGE, &[7; limits::PAGE]);
        ram.page(3 * PAGE, &[8; limits::PAGE]);
        let mut bytes = [9; 4];
        ram.read(2 * PAGE - 2, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 7, 7]);
        assert_eq!(ram.len(), 2);
    }

    #[test]
    fn what_is_not_kept_is_an_error_and_never_zeros() {
        let mut ram = kept([1]);
        ram.page(2 * PAGE, &[7; limits::PAGE]);
        let gpa = 2 * PAGE;
        assert_eq!(ram.read(gpa - 1, &mut [0; 2]), Err(RamError::Unreadable { gpa }));
        let end = 16 * PAGE;
        assert_eq!(ram.read(end, &mut [0]), Err(RamError::Outside { gpa: end }));
        assert_eq!(ram.read(u64::MAX, &mut [0; 2]), Err(RamError::Outside { gpa: u64::MAX }));
    }

    #[test]
    fn no_more_pages_are_asked_for_than_the_limit() {
        let pages = RefCell::default();
        let asked = Asked { layout: RamLayout::new(1 << 30), pages };
        asked.read(5, &mut vec![1; (limits::RULE_PAGES + 9) * limits::PAGE]).unwrap();
        let pages = asked.pages.into_inner();
        assert_eq!(pages.len(), limits::RULE_PAGES);
        assert_eq!(pages.keys().next(), Some(&0));
    }
}
