//! What the header of a message says of the rest, for whoever has to fetch that rest first.

use super::error::Error;
use super::{check, wire};

/// The sizes that the outermost header gives, before anything else of the message is there.
///
/// They are claims: a caller compares them with bounds of its own before it allocates or waits, and
/// [`super::View::parse`] holds them against what has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Bytes that follow the header.
    pub size: u64,
    /// Descriptors that come with the message.
    pub descriptors: u64,
}

impl Announced {
    /// Bytes of a list header.
    pub const HEADER: usize = wire::LIST_HEADER;

    /// Reads a header, of either byte order.
    ///
    /// # Errors
    ///
    /// Another magic byte, another version, or unknown flags.
    pub fn of(header: &[u8; Self::HEADER]) -> Result<Self, Error> {
        let header = wire::list_header(header, 0)?;
        check::recognised(&header, 0)?;
        Ok(Self { size: header.size, descriptors: header.descriptors })
    }

    /// Bytes of the whole message; none if they cannot be counted.
    #[must_use]
    pub fn total(self) -> Option<usize> {
        usize::try_from(self.size).ok()?.checked_add(Self::HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Errno, Nvlist};
    use super::*;

    fn header(bytes: &[u8]) -> [u8; Announced::HEADER] {
        *bytes.first_chunk().unwrap()
    }

    #[test]
    fn a_header_announces_the_rest_of_its_message() {
        let list = Nvlist::builder().number("a", 1).descriptor("d", 0).build().unwrap();
        let bytes = list.pack_to_send().unwrap();
        let announced = Announced::of(&header(&bytes)).unwrap();
        assert_eq!(announced.total(), Some(bytes.len()));
        assert_eq!(announced.descriptors, 1);
    }

    #[test]
    fn a_header_of_the_other_byte_order_is_read_in_it() {
        let mut bytes = [0; Announced::HEADER];
        (bytes[0], bytes[2], bytes[10], bytes[17]) = (b'l', 0x80, 3, 1);
        assert_eq!(Announced::of(&bytes), Ok(Announced { size: 256, descriptors: 3 }));
    }

    #[test]
    fn what_is_no_list_announces_nothing() {
        let good = header(&Nvlist::new().pack().unwrap());
        for at in [0, 1, 2] {
            let mut bytes = good;
            bytes[at] = 0x70;
            assert_eq!(Announced::of(&bytes).unwrap_err().errno(), Some(Errno::Einval), "{at}");
        }
    }

    #[test]
    fn a_size_that_cannot_be_counted_has_no_total() {
        let announced = Announced { size: u64::MAX, descriptors: 0 };
        assert_eq!(announced.total(), None);
    }
}
