//! One bit per page of a block, least significant first (§1.1).

/// A bitmap over the pages of a block. Blocks have a multiple of 8 pages, so every bit has a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    /// A bitmap of `pages` clear bits.
    #[must_use]
    pub fn new(pages: usize) -> Self {
        Self(vec![0; pages.div_ceil(8)])
    }

    /// A bitmap as stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bitmap as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Sets the bit of `page`; one beyond the end is ignored.
    pub fn set(&mut self, page: usize) {
        if let Some(byte) = self.0.get_mut(page / 8) {
            *byte |= 1 << (page % 8);
        }
    }

    /// Whether the bit of `page` is set; beyond the end it is not.
    #[must_use]
    pub fn get(&self, page: usize) -> bool {
        self.0.get(page / 8).is_some_and(|byte| byte >> (page % 8) & 1 == 1)
    }

    /// How many bits are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The pages whose bits are set, ascending.
    pub fn pages(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len() * 8).filter(|&page| self.get(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_order_is_least_significant_first() {
        let mut bitmap = Bitmap::new(16);
        bitmap.set(0);
        bitmap.set(9);
        bitmap.set(16);
        assert_eq!(bitmap.as_bytes(), [1, 2]);
        assert_eq!(bitmap.count(), 2);
        assert_eq!(bitmap.pages().collect::<Vec<_>>(), [0, 9]);
        assert!(!bitmap.get(16));
    }
}
