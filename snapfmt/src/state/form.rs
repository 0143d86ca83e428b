//! The fields of a record as a name/value list, for the file.
//!
//! ```text
//! Fields ── Form::of ──> list, widths, bulk ── generic::encode ──> the same bytes
//! ```
//!
//! Going through the list in its order, and into every list where it stands, gives the record
//! again. What each pair is:
//!
//! | in the record | in the list |
//! |---|---|
//! | an integer | a number, negative ones extended to 64 bits |
//! | an array of integers | a number array |
//! | other bytes, up to [`limits::FIELD_INLINE`] | a binary |
//! | longer ones | a null; the bytes are the next of `bulk` |
//! | a group that is there once, or not always | a list |
//! | a group that is repeated | an array of lists |
//! | a repeated group that is one integer | a number array |
//!
//! A pair has the name of its field ([`Field::pair_name`](super::Field::pair_name)) or group. A
//! group that is not there has no pair. `widths` has a byte for each number and each number array,
//! in the order of the walk: how many bytes of the record each number takes.

use super::fields::Fields;
use super::schema::{Group, Item, Kind, Shape};
use super::scope::{Child, Scope};
use super::value::FieldRef;
use crate::limits;
use crate::nvlist::{self, ErrorKind, Nvlist, OwnedValue};

/// A record as a list of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<'a> {
    /// The fields.
    pub fields: Nvlist,
    /// Bytes that each number of the list takes in the record.
    pub widths: Vec<u8>,
    /// What is too long for the list, in the order of its null pairs.
    pub bulk: Vec<&'a [u8]>,
}

/// Why a record has no such form. It has to be kept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The list would be longer than a reader takes.
    #[error("a list of {found} bytes, above the limit of {limit}")]
    TooLong {
        /// Its length when packed.
        found: u64,
        /// [`limits::FIELDS_NVLIST`].
        limit: u64,
    },
    /// The list cannot be built: it would have too many pairs.
    #[error(transparent)]
    List(#[from] nvlist::Error),
}

impl<'a> Form<'a> {
    /// The form of a record.
    ///
    /// # Errors
    /// The record is too large for it.
    pub fn of(fields: &Fields<'a>) -> Result<Self, FormError> {
        let mut builder = Builder { widths: Vec::new(), bulk: Vec::new() };
        let list = builder.list(fields.root())?;
        let (found, limit) = (list.packed_len(), limits::FIELDS_NVLIST);
        if found > limit {
            return Err(FormError::TooLong { found: found as u64, limit: limit as u64 });
        }
        Ok(Self { fields: list, widths: builder.widths, bulk: builder.bulk })
    }
}

struct Builder<'a> {
    widths: Vec<u8>,
    bulk: Vec<&'a [u8]>,
}

impl<'a> Builder<'a> {
    fn list(&mut self, scope: Scope<'_, 'a>) -> Result<Nvlist, nvlist::Error> {
        let mut list = Nvlist::new();
        let mut children = scope.children().peekable();
        while let Some(child) = children.next() {
            let first = match child {
                Child::Field(field) => {
                    if let Some(value) = self.field(field) {
                        list.add(field.definition().pair_name(), value)?;
                    }
                    continue;
                }
                Child::Group(first) => first,
            };
            let Some(group) = first.group() else { continue };
            let mut all = vec![first];
            while let Some(Child::Group(next)) = children.peek()
                && next.group().is_some_and(|next| std::ptr::eq(next, group))
            {
                all.push(*next);
                children.next();
            }
            list.add(group.name, self.group(group, &all)?)?;
        }
        Ok(list)
    }

    fn group(
        &mut self,
        group: &'static Group,
        all: &[Scope<'_, 'a>],
    ) -> Result<OwnedValue, nvlist::Error> {
        if let Some(width) = lone_integer(group) {
            self.widths.push(width);
            let fields = all.iter().flat_map(|scope| scope.iter());
            return Ok(OwnedValue::NumberArray(fields.map(number).collect()));
        }
        if let ([only], false) = (all, group.repeat.many()) {
            return Ok(OwnedValue::Nvlist(self.list(*only)?));
        }
        let lists = all.iter().map(|scope| self.list(*scope)).collect::<Result<_, _>>()?;
        Ok(OwnedValue::NvlistArray(lists))
    }

    /// The value of a pair; none for no bytes, which no pair can hold.
    fn field(&mut self, field: FieldRef<'_, 'a>) -> Option<OwnedValue> {
        let bytes = field.bytes();
        match field.definition().shape {
            Shape::Int(width) => {
                self.widths.push(width as u8);
                Some(OwnedValue::Number(number(field)))
            }
            Shape::Ints(width, _) => {
                self.widths.push(width as u8);
                let extend = extension(field, width.bytes());
                Some(OwnedValue::NumberArray(field.numbers().map(extend).collect()))
            }
            _ if bytes.is_empty() => None,
            _ if bytes.len() > limits::FIELD_INLINE => {
                self.bulk.push(bytes);
                Some(OwnedValue::Null)
            }
            _ => Some(OwnedValue::Binary(bytes.to_vec())),
        }
    }
}

fn number(field: FieldRef<'_, '_>) -> u64 {
    let width = u32::try_from(field.len()).unwrap_or(8);
    extension(field, width)(field.u64().unwrap_or_default())
}

/// How a number of so many bytes becomes one of 64 bits.
fn extension(field: FieldRef<'_, '_>, width: u32) -> impl Fn(u64) -> u64 {
    let unused = match field.definition().kind {
        Kind::Signed => 64_u32.saturating_sub(8 * width),
        _ => 0,
    };
    move |value| ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// The width of the integer that is all there is in a repeated group.
fn lone_integer(group: &Group) -> Option<u8> {
    match group.items {
        [Item::Field(field)] if group.repeat.many() => match field.shape {
            Shape::Int(width) => Some(width as u8),
            _ => None,
        },
        _ => None,
    }
}

impl FormError {
    /// Whether the record is too large, rather than its layout at fault.
    #[must_use]
    pub const fn is_over_limit(&self) -> bool {
        match self {
            Self::TooLong { .. } => true,
            Self::List(error) => matches!(error.kind, ErrorKind::OverLimit { .. }),
        }
    }
}
