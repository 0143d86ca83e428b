//! Migration streams taken apart and put together again with numbers and digests that match, by the
//! layout of `spec/stream.md` alone.

use super::{EXTENT, FRAME, Part, sha};
use crate::packed::number;

/// An item without its number and its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A message: its type and its packed list.
    Message(u32, Vec<u8>),
    /// A part.
    Part(Part),
}

/// The items that bytes begin with, as far as they have the lengths that they state, and what is
/// behind them.
#[must_use]
pub fn parse(bytes: &[u8]) -> (Vec<Item>, &[u8]) {
    let (mut items, mut rest) = (Vec::new(), bytes);
    while let Some((item, after)) = item(rest) {
        items.push(item);
        rest = after;
    }
    (items, rest)
}

fn item(bytes: &[u8]) -> Option<(Item, &[u8])> {
    let (frame, body) = bytes.split_at_checked(FRAME)?;
    let field = |at: usize| frame[at..].first_chunk().map_or(0, |field| u32::from_le_bytes(*field));
    if frame.starts_with(b"BHYVMESG") {
        let (list, rest) = body.split_at_checked(field(12) as usize)?;
        return Some((Item::Message(field(8), list.to_vec()), rest));
    }
    if !frame.starts_with(b"BHYVPART") {
        return None;
    }
    let (list, rest) = body.split_at_checked(field(16) as usize)?;
    let payload = usize::try_from(number(frame, 24)?).ok()?;
    let (payload, rest) = rest.split_at_checked(payload)?;
    let padding = (list.len() + payload.len()).next_multiple_of(64) - list.len() - payload.len();
    let rest = rest.get(padding..)?;
    let (kind, flags, alignment) = (field(8), field(12), field(20));
    let (nvlist, payload) = (list.to_vec(), payload.to_vec());
    Some((Item::Part(Part { kind, flags, alignment, nvlist, payload }), rest))
}

/// The stream of these items.
#[must_use]
pub fn lay(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    for (item, number) in items.iter().zip(0_u64..) {
        let start = out.len();
        match item {
            Item::Message(kind, list) => {
                out.extend(b"BHYVMESG");
                out.extend(kind.to_le_bytes());
                out.extend((list.len() as u32).to_le_bytes());
                out.extend(number.to_le_bytes());
                out.extend([0; 40]);
                out.extend(sha(&[list]));
                out.extend(sha(&[&out[start..]]));
                out.extend(list);
            }
            Item::Part(Part { kind, flags, alignment, nvlist, payload }) => {
                out.extend(b"BHYVPART");
                for field in [*kind, *flags, nvlist.len() as u32, *alignment] {
                    out.extend(field.to_le_bytes());
                }
                out.extend((payload.len() as u64).to_le_bytes());
                out.extend(sha(&[nvlist]));
                // What a raw extent states instead takes its pages to compute; any will do here.
                let raw = *kind == EXTENT && flags & 1 == 1;
                out.extend(if raw { [7; 32] } else { sha(&[payload]) });
                out.extend(sha(&[&out[start..]]));
                out.extend(nvlist);
                out.extend(payload);
                out.resize(start + (out.len() - start).next_multiple_of(64), 0);
            }
        }
    }
    out
}
