//! The fixed structures of the file as bytes, in the order of the spec: header block (§3), part
//! frame (§4), trailer (§7.3).
//!
//! Knows offsets, magic numbers and digests of these structures. Does not know what parts mean.

pub mod frame;
pub mod header;
pub mod kind;
pub mod trailer;

/// Parts, header block and trailer end at multiples of this (§2.3).
pub const PART_ALIGN: u64 = 64;

/// The bytes needed to get from `offset` to the next multiple of `align`, a power of two.
pub(crate) fn padding(offset: u64, align: u64) -> u64 {
    debug_assert!(align.is_power_of_two());
    offset.wrapping_neg() & (align - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_reaches_the_next_multiple() {
        assert_eq!(padding(0, 64), 0);
        assert_eq!(padding(1, 64), 63);
        assert_eq!(padding(64, 64), 0);
        assert_eq!(padding(4097, 4096), 4095);
    }
}
