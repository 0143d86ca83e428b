//! What DEVICE and EXTENT parts hold: records (§5.4), and pages with their leaves (§6.2, §13.2).

use super::{Hash, MOST, PAGE, Part, State, bytes, find, sha, value};
use crate::packed::scan;

/// The payload, which has this size if it is compressed.
fn decoded(part: &Part, size: u64) -> Option<Vec<u8>> {
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST)?;
    match bytes(&part.nvlist, "encoding") {
        b"raw\0" => Some(part.payload.clone()),
        b"zstd\0" => zstd::bulk::decompress(&part.payload, size).ok(),
        _ => None,
    }
}

/// The record of a DEVICE part.
pub(super) fn record(part: &Part) -> Option<Vec<u8>> {
    let list = &part.nvlist;
    if find(list, "fields").is_none() {
        return decoded(part, value(list, "size"));
    }
    let sizes = bytes(list, "bulk").as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes);
    let sizes: Vec<_> = sizes.collect();
    let total = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    fields(list, &sizes, &decoded(part, total)?)
}

/// The bytes of fields, in their order, depth first (§5.4.9).
fn fields(list: &[u8], sizes: &[u64], mut bulk: &[u8]) -> Option<Vec<u8>> {
    let (mut widths, mut sizes) = (bytes(list, "widths").iter(), sizes.iter());
    let mut out = Vec::new();
    let pairs = scan(list).into_iter();
    let inside = pairs.skip_while(|pair| !pair.path.is_empty() || pair.name != b"fields").skip(1);
    for pair in inside.take_while(|pair| !pair.path.is_empty()) {
        let data = list.get(pair.data.clone())?;
        match pair.code {
            1 => {
                let (chunk, rest) = bulk.split_at_checked(usize::try_from(*sizes.next()?).ok()?)?;
                out.extend(chunk);
                bulk = rest;
            }
            3 | 9 => {
                let width = usize::from(*widths.next()?);
                data.as_chunks::<8>().0.iter().for_each(|n| out.extend(n.iter().take(width)));
            }
            5 | 11 => {}
            7 => out.extend(data),
            _ => return None,
        }
    }
    Some(out)
}

/// An extent as its part has it.
pub(super) struct Pages {
    /// The number of the first page of its block.
    pub(super) first: u64,
    /// Pages of its block.
    pub(super) count: u64,
    /// The data pages: number in the block, bytes where they are known, and leaf.
    pub(super) data: Vec<(u64, Option<Vec<u8>>, Hash)>,
    /// The pages that are zero now.
    pub(super) zero: Vec<u64>,
}

impl Pages {
    /// The pages of an EXTENT part, if they make sense. Differences become pages over `below`;
    /// without it they have the leaves that the part states, if it states any.
    pub(super) fn of(part: &Part, below: Option<&State>) -> Option<Self> {
        let list = &part.nvlist;
        let (gpa, size) = (value(list, "gpa"), value(list, "size"));
        let sensible = size.is_power_of_two() && size <= 4 << 20 && size >= PAGE as u64;
        let (first, count) = (gpa / PAGE as u64, size / PAGE as u64);
        let set = |name| -> Vec<u64> {
            let bits = bytes(list, name);
            let set = |page: &u64| {
                bits.get(*page as usize / 8).is_some_and(|byte| byte >> (page % 8) & 1 == 1)
            };
            (0..count).filter(set).collect()
        };
        if !sensible {
            return None;
        }
        let (numbers, xor) = (set("data"), set("xor"));
        let all = decoded(part, numbers.len() as u64 * PAGE as u64)?;
        let mut stated = bytes(list, "leaves").as_chunks::<32>().0.iter().copied();
        let mut data = Vec::new();
        for (number, page) in numbers.into_iter().zip(all.chunks_exact(PAGE)) {
            let stated = stated.next();
            let (page, leaf) = match (xor.contains(&number), below) {
                (false, _) => (Some(page.to_vec()), leaf(page)),
                (true, Some(below)) => {
                    let page = below.xor(first + number, page);
                    let leaf = leaf(&page);
                    (Some(page), leaf)
                }
                (true, None) => (None, stated?),
            };
            data.push((number, page, leaf));
        }
        Some(Self { first, count, data, zero: set("zero") })
    }

    /// The leaves of the data pages, joined.
    pub(super) fn leaves(&self) -> Vec<u8> {
        self.data.iter().flat_map(|(_, _, leaf)| *leaf).collect()
    }
}

/// The leaf of a page (§6.4).
pub(super) fn leaf(page: &[u8]) -> Hash {
    sha(&[&[0], page])
}

/// The bits that are set.
pub(super) fn bits(list: &[u8], name: &str) -> u64 {
    bytes(list, name).iter().map(|byte| u64::from(byte.count_ones())).sum()
}
