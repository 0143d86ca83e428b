//! Digests, and the memory tree as §6.4 defines it: from the top down, page by page where there is
//! anything to see.

use std::collections::BTreeMap;

use sha2::Digest as _;

/// A digest.
pub type Sum = [u8; 32];

/// The digest of pieces that follow each other.
#[must_use]
pub fn sum(pieces: &[&[u8]]) -> Sum {
    let mut hasher = sha2::Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().into()
}

/// The leaf of a page that holds these bytes.
#[must_use]
pub fn leaf(page: &[u8]) -> Sum {
    sum(&[&[0], page])
}

/// All of guest-physical memory.
#[derive(Debug, Clone)]
pub struct Memory {
    segments: Vec<(u64, u64)>,
    pages: BTreeMap<u64, Vec<u8>>,
    /// What a page of RAM is where nothing was put.
    present: Vec<Sum>,
    absent: Vec<Sum>,
}

fn levels(leaf: Sum) -> Vec<Sum> {
    let mut sums = vec![leaf];
    for level in 0..40 {
        let below = sums[level];
        sums.push(sum(&[&[1], &below, &below]));
    }
    sums
}

impl Memory {
    /// Memory of these segments, each an address and a length, and no data: all of it is zero.
    #[must_use]
    pub fn new(segments: &[(u64, u64)]) -> Self {
        Self::of(segments, leaf(&[0; 4096]))
    }

    /// The memory of a delta before anything was put: all of it is inherited (§13.3).
    #[must_use]
    pub fn inherited(segments: &[(u64, u64)]) -> Self {
        Self::of(segments, sum(&[&[3]]))
    }

    fn of(segments: &[(u64, u64)], present: Sum) -> Self {
        Self {
            segments: segments.to_vec(),
            pages: BTreeMap::new(),
            present: levels(present),
            absent: levels(sum(&[&[2]])),
        }
    }

    /// Puts data, or zeros, into the page at `gpa`.
    pub fn put(&mut self, gpa: u64, page: &[u8]) {
        self.pages.insert(gpa / 4096, page.to_vec());
    }

    /// The memory root.
    #[must_use]
    pub fn root(&self) -> Sum {
        self.node(40, 0)
    }

    /// The subtree root of the block of `size` bytes at `gpa`.
    #[must_use]
    pub fn block(&self, gpa: u64, size: u64) -> Sum {
        self.node(size.ilog2() - 12, gpa / size)
    }

    fn node(&self, level: u32, index: u64) -> Sum {
        let (first, end) = (index << level, (index + 1) << level);
        if self.pages.range(first..end).next().is_none() {
            let of = |&(gpa, len): &(u64, u64)| {
                let (from, to) = (gpa / 4096, gpa.saturating_add(len) / 4096);
                to.min(end).saturating_sub(from.max(first))
            };
            let present: u64 = self.segments.iter().map(of).sum();
            if present == 0 {
                return self.absent[level as usize];
            }
            if present == end - first {
                return self.present[level as usize];
            }
        }
        if level == 0 {
            return leaf(&self.pages[&first]);
        }
        sum(&[&[1], &self.node(level - 1, 2 * index), &self.node(level - 1, 2 * index + 1)])
    }
}
