//! From a list of fields to the bytes of a record, by the list alone.
//!
//! Knows no layout: whoever can read nvlists can restore a record of any version from its
//! [`Form`](super::Form).
//!
//! ```text
//! list, widths, lengths ── measure ──> the record's length, before there are any bytes
//!                  bulk ── encode ───> the record
//! ```

use std::fmt;
use std::ops::Range;

use super::schema::Width;
use crate::limits;
use crate::nvlist::{Type, Value, View};

/// What a list of fields does not hold itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside<'a> {
    /// Bytes that each number of the list takes in the record.
    pub widths: &'a [u8],
    /// How many bytes of `bulk` each null pair stands for.
    pub lengths: &'a [u64],
    /// The bytes that null pairs stand for, one after another.
    pub bulk: &'a [u8],
}

/// Why a list gives no record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenericError {
    /// There is no width for a number of this pair.
    NoWidth {
        /// The pair.
        pair: String,
    },
    /// A width is not 1, 2, 4 or 8.
    Width {
        /// The pair.
        pair: String,
        /// The width.
        found: u8,
    },
    /// A number does not fit its width.
    Number {
        /// The pair.
        pair: String,
        /// The number.
        found: u64,
        /// Its width in bytes.
        width: u8,
    },
    /// There are no bytes, or too few, for a null pair.
    NoBulk {
        /// The pair.
        pair: String,
    },
    /// A pair of a type that no field has.
    Type {
        /// The pair.
        pair: String,
        /// Its type.
        found: Type,
    },
    /// Widths or bytes are left over.
    Left {
        /// Widths left.
        widths: u64,
        /// Lengths left.
        lengths: u64,
        /// Bytes left.
        bytes: u64,
    },
    /// The record would be longer or shorter than it has to be.
    Size {
        /// The size that it has to have.
        wanted: u64,
        /// The size that it would have at least.
        found: u64,
    },
}

impl fmt::Display for GenericError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWidth { pair } => write!(f, "no width for {pair}"),
            Self::Width { pair, found } => write!(f, "width {found} for {pair}"),
            Self::Number { pair, found, width } => {
                write!(f, "{found:#x} in {pair} is no number of {width} bytes")
            }
            Self::NoBulk { pair } => write!(f, "no bytes for {pair}"),
            Self::Type { pair, found } => write!(f, "{pair} is a {found}, which no field is"),
            Self::Left { widths, lengths, bytes } => {
                write!(f, "{widths} widths, {lengths} lengths and {bytes} bytes are left over")
            }
            Self::Size { wanted, found } => {
                write!(f, "a record of {found} bytes, which must have {wanted}")
            }
        }
    }
}

impl std::error::Error for GenericError {}

/// What a list of fields amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The length of its record.
    pub len: u64,
    /// Where in the record the bytes of each null pair are.
    pub chunks: Vec<Range<u64>>,
}

/// The length of the record that a list of fields gives. All but the numbers themselves is checked;
/// nothing is allocated but for the null pairs, of which there are no more than `lengths`.
///
/// # Errors
/// The list, or what is outside of it, gives no record.
pub fn measure(
    fields: &View<'_>,
    widths: &[u8],
    lengths: &[u64],
) -> Result<Measured, GenericError> {
    let measured = Measured { len: 0, chunks: Vec::new() };
    let mut sums = Sums { outside: Queue { widths, lengths }, measured };
    sums.list(fields)?;
    let Sums { outside, measured } = sums;
    outside.end(0).map(|()| measured)
}

struct Sums<'a> {
    outside: Queue<'a>,
    measured: Measured,
}

impl Sums<'_> {
    fn list(&mut self, list: &View<'_>) -> Result<(), GenericError> {
        for pair in list.pairs() {
            let bytes = |count: usize, width: Width| count as u64 * u64::from(width.bytes());
            let len = match &pair.value {
                Value::Number(_) => bytes(1, self.outside.width(pair.name)?),
                Value::NumberArray(numbers) => bytes(numbers.len(), self.outside.width(pair.name)?),
                Value::Binary(bytes) => bytes.len() as u64,
                Value::Null => {
                    let len = self.outside.length(pair.name)?;
                    let at = self.measured.len;
                    self.measured.chunks.push(at..at.saturating_add(len));
                    len
                }
                Value::Nvlist(inner) => {
                    self.list(inner)?;
                    0
                }
                Value::NvlistArray(lists) => {
                    lists.clone().try_for_each(|inner| self.list(&inner))?;
                    0
                }
                other => return Err(no_field(pair.name, other)),
            };
            self.measured.len = self.measured.len.saturating_add(len);
        }
        Ok(())
    }
}

fn no_field(pair: &[u8], value: &Value<'_>) -> GenericError {
    GenericError::Type { pair: shown(pair), found: value.kind() }
}

/// What the pairs of a list take in their order.
#[derive(Clone, Copy)]
struct Queue<'a> {
    widths: &'a [u8],
    lengths: &'a [u64],
}

impl Queue<'_> {
    fn width(&mut self, pair: &[u8]) -> Result<Width, GenericError> {
        let (first, rest) =
            self.widths.split_first().ok_or_else(|| GenericError::NoWidth { pair: shown(pair) })?;
        self.widths = rest;
        Width::from_bytes(*first)
            .ok_or_else(|| GenericError::Width { pair: shown(pair), found: *first })
    }

    fn length(&mut self, pair: &[u8]) -> Result<u64, GenericError> {
        let none = || GenericError::NoBulk { pair: shown(pair) };
        let (first, rest) = self.lengths.split_first().ok_or_else(none)?;
        self.lengths = rest;
        Ok(*first)
    }

    /// Nothing may be left.
    fn end(self, bytes: usize) -> Result<(), GenericError> {
        let left = [self.widths.len(), self.lengths.len(), bytes].map(|len| len as u64);
        match left {
            [0, 0, 0] => Ok(()),
            [widths, lengths, bytes] => Err(GenericError::Left { widths, lengths, bytes }),
        }
    }
}

/// The bytes of a record of `size` bytes, from the list of its fields.
///
/// # Errors
/// The list, or what is outside of it, gives no record of that size.
pub fn encode(
    fields: &View<'_>,
    outside: &Outside<'_>,
    size: u64,
) -> Result<Vec<u8>, GenericError> {
    if size > limits::RECORD {
        return Err(GenericError::Size { wanted: limits::RECORD, found: size });
    }
    let Outside { widths, lengths, bulk } = *outside;
    let mut encoder = Encoder { size, outside: Queue { widths, lengths }, bulk, out: Vec::new() };
    encoder.list(fields)?;
    encoder.end()
}

struct Encoder<'a> {
    size: u64,
    outside: Queue<'a>,
    bulk: &'a [u8],
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn list(&mut self, list: &View<'_>) -> Result<(), GenericError> {
        for pair in list.pairs() {
            match &pair.value {
                Value::Number(number) => {
                    let width = self.outside.width(pair.name)?;
                    self.number(pair.name, *number, width)?;
                }
                Value::NumberArray(numbers) => {
                    let width = self.outside.width(pair.name)?;
                    for number in numbers.clone() {
                        self.number(pair.name, number, width)?;
                    }
                }
                Value::Binary(bytes) => self.push(bytes)?,
                Value::Null => self.bulk(pair.name)?,
                Value::Nvlist(inner) => self.list(inner)?,
                Value::NvlistArray(lists) => {
                    lists.clone().try_for_each(|inner| self.list(&inner))?;
                }
                other => return Err(no_field(pair.name, other)),
            }
        }
        Ok(())
    }

    fn number(&mut self, pair: &[u8], number: u64, width: Width) -> Result<(), GenericError> {
        let unused = 64 - 8 * width.bytes();
        let zeros = number << unused >> unused == number;
        let sign = ((number << unused).cast_signed() >> unused).cast_unsigned() == number;
        if !zeros && !sign {
            let width = width as u8;
            return Err(GenericError::Number { pair: shown(pair), found: number, width });
        }
        let bytes = number.to_le_bytes();
        self.push(bytes.get(..width.bytes() as usize).unwrap_or_default())
    }

    fn bulk(&mut self, pair: &[u8]) -> Result<(), GenericError> {
        let length = usize::try_from(self.outside.length(pair)?).unwrap_or(usize::MAX);
        let none = || GenericError::NoBulk { pair: shown(pair) };
        let (bytes, rest) = self.bulk.split_at_checked(length).ok_or_else(none)?;
        self.bulk = rest;
        self.push(bytes)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), GenericError> {
        let found = self.out.len() as u64 + bytes.len() as u64;
        if found > self.size {
            return Err(GenericError::Size { wanted: self.size, found });
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self) -> Result<Vec<u8>, GenericError> {
        self.outside.end(self.bulk.len())?;
        let found = self.out.len() as u64;
        if found != self.size {
            return Err(GenericError::Size { wanted: self.size, found });
        }
        Ok(self.out)
    }
}

/// A pair's name for an error: printable and not endless.
fn shown(name: &[u8]) -> String {
    let name = name.get(..64).unwrap_or(name);
    name.escape_ascii().to_string()
}
