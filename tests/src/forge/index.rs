//! The tables of a plan's parts, once these are laid out.

use super::tree::Sum;
use super::{Fact, List, Plan, Value};

/// A piece that was laid out.
pub(super) struct Laid {
    pub(super) kind: u32,
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) digest: Sum,
    pub(super) stored: u64,
    pub(super) fact: Fact,
}

/// The list and the payload of a MAP part (§6.5).
pub(super) fn map(first: u64, extents: &[&Laid]) -> (List, Vec<u8>) {
    let list = List::new().number("first", first).number("count", extents.len() as u64);
    let mut table = Vec::new();
    for laid in extents {
        let Fact::Extent { gpa, size, data, zero, root } = &laid.fact else { continue };
        table.extend(gpa.to_le_bytes());
        table.extend(laid.at.to_le_bytes());
        table.extend(laid.len.to_le_bytes());
        table.extend((*size as u32).to_le_bytes());
        table.extend((*data as u16).to_le_bytes());
        table.extend((*zero as u16).to_le_bytes());
        table.extend(laid.digest);
        table.extend(root);
    }
    (list, table)
}

/// The list and the payload of INDEX (§7.1).
pub(super) fn index(plan: &Plan, header: Sum, laid: &[Laid]) -> (List, Vec<u8>) {
    let (mut data, mut gone, mut extents, mut stored) = (0, 0, 0, 0);
    let (mut parts, mut table) = (Vec::new(), Vec::new());
    let mut pending: Vec<u64> = Vec::new();
    for part in laid {
        let mut list = List::new()
            .number("type", part.kind.into())
            .number("offset", part.at)
            .number("length", part.len)
            .bytes("digest", &part.digest);
        match &part.fact {
            Fact::Extent { gpa, data: pages, zero, .. } => {
                data += pages;
                gone += zero;
                extents += 1;
                stored += part.stored;
                pending.push(*gpa);
                continue;
            }
            Fact::Map => {
                table.extend(part.at.to_le_bytes());
                table.extend(part.len.to_le_bytes());
                table.extend(pending.first().copied().unwrap_or(0).to_le_bytes());
                table.extend((pending.len() as u64).to_le_bytes());
                table.extend(part.digest);
                pending.clear();
                continue;
            }
            Fact::Record(section, name, size, digest) => {
                list = list.text("section", section).text("name", name);
                list = list.number("size", *size).bytes("sha256", digest);
            }
            Fact::Plain | Fact::Index => {}
        }
        parts.push(list);
    }
    let rest = (plan.memsize() / 4096).saturating_sub(data);
    let mut list = List::new()
        .bytes("header", &header)
        .bytes("content", &plan.content())
        .bytes("memory_root", &plan.memory().root());
    list = list.number("pages_data", data);
    list = match plan.parent {
        Some(_) => list
            .number("pages_zero", gone)
            .bytes("delta_root", &plan.tree().root())
            .number("pages_inherited", rest.saturating_sub(gone)),
        None => list.number("pages_zero", rest),
    };
    let list =
        list.number("extents", extents).number("stored", stored).with("parts", Value::Lists(parts));
    (list, table)
}
