//! Access to the pages of a state by address: what a delta's differences are applied to.

/// Pages of a state that was itself checked.
///
/// Whoever implements it answers for that; a page that is not the one that a difference was taken
/// from is found out by the leaf of the result.
pub trait Pages {
    /// Why a page cannot be had.
    type Error;

    /// Copies the page of RAM at `gpa`, 4096 bytes, to `into`; zeros if it is zero.
    ///
    /// # Errors
    /// Trouble with reading.
    fn page(&mut self, gpa: u64, into: &mut [u8]) -> Result<(), Self::Error>;
}
