//! The state that files stand for, each of them over its parents: RAM by its pages, and `content`.

use std::collections::BTreeMap;

use super::pages::{Pages, leaf};
use super::seen::Seen;
use super::tree::Tree;
use super::{DEVICE, EXTENT, HEADER, Hash, Image, PAGE, sha};

/// RAM, page by page, and the identity of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `content` (§8.2).
    pub content: Hash,
    /// The pages that are not known to be zero, by number.
    pub pages: BTreeMap<u64, Vec<u8>>,
}

impl State {
    pub(super) fn new() -> Self {
        Self { content: Hash::default(), pages: BTreeMap::new() }
    }

    /// The state of a file, over that of its parent if it is a delta; nothing if its parts make no
    /// sense.
    #[must_use]
    pub fn of(image: &Image, below: Option<&Self>) -> Option<Self> {
        let mut seen = Seen::new(sha(&[&image.header]), image.machine(), image.is_delta(), below);
        let mut out = vec![0; HEADER + 32];
        for part in image.parts.iter().filter(|part| [EXTENT, DEVICE].contains(&part.kind)) {
            seen.append(part, &mut out);
        }
        let state = seen.state.take()?;
        let content = seen.content(&state.root(&image.machine().segments));
        Some(Self { content, ..state })
    }

    /// The page of that number.
    #[must_use]
    pub fn page(&self, number: u64) -> &[u8] {
        self.pages.get(&number).map_or(&[0; PAGE], |page| page)
    }

    pub(super) fn xor(&self, number: u64, page: &[u8]) -> Vec<u8> {
        page.iter().zip(self.page(number)).map(|(new, old)| new ^ old).collect()
    }

    pub(super) fn apply(&mut self, extent: Pages) {
        let first = extent.first;
        extent.zero.iter().for_each(|number| drop(self.pages.remove(&(first + number))));
        for (number, page, _) in extent.data {
            // Without a parent there are no differences, and so all pages are known.
            self.pages.insert(first + number, page.unwrap_or_else(|| vec![0; PAGE]));
        }
    }

    /// The memory root of the state (§6.4).
    pub(super) fn root(&self, segments: &[(u64, u64)]) -> Hash {
        let leaves = self.pages.iter().map(|(number, page)| (*number, (0, leaf(page))));
        Tree::new(segments, false).root(&leaves.collect())
    }
}
