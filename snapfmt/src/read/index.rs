//! Compares an index with what was seen of the file (§7.2), field by field, so that the error says
//! which.

use crate::error::Fault;
use crate::part::device::RecordId;
use crate::part::index::{Index, PartRef};

/// # Errors
/// The first difference.
pub(super) fn compare(index: &Index, seen: &Index) -> Result<(), Fault> {
    same("the digest of the header block", &index.header, &seen.header, "§7.1.1")?;
    parts(&index.parts, &seen.parts)?;
    same("content", &index.content, &seen.content, "§7.1.2")?;
    same("memory_root", &index.memory_root, &seen.memory_root, "§7.1.3")?;
    let (a, b) = (&index.totals, &seen.totals);
    same("pages_data", &a.pages_data, &b.pages_data, "§7.1.4")?;
    same("pages_zero", &a.pages_zero, &b.pages_zero, "§7.1.4")?;
    same_delta(index, seen)?;
    same("extents", &a.extents, &b.extents, "§7.1.5")?;
    same("stored", &a.stored, &b.stored, "§7.1.5")?;
    same("the number of MAP parts", &index.maps.len(), &seen.maps.len(), "§7.1.7")?;
    for (a, b) in index.maps.iter().zip(&seen.maps) {
        same("the offset of a MAP part", &a.offset, &b.offset, "§7.1.7")?;
        same("the length of a MAP part", &a.length, &b.length, "§7.1.7")?;
        same("the first address of a MAP part", &a.gpa, &b.gpa, "§7.1.7")?;
        same("the extents of a MAP part", &a.extents, &b.extents, "§7.1.7")?;
        same("the digest of a MAP part", &a.digest, &b.digest, "§7.1.7")?;
    }
    Ok(())
}

/// # Errors
/// The first difference.
pub(super) fn same_delta(index: &Index, seen: &Index) -> Result<(), Fault> {
    let here = |index: &Index| if index.delta.is_some() { "there" } else { "absent" };
    same("`delta_root`", &here(index), &here(seen), "§7.1.8")?;
    let (Some(a), Some(b)) = (&index.delta, &seen.delta) else { return Ok(()) };
    same("delta_root", &a.delta_root, &b.delta_root, "§7.1.8")?;
    same("pages_inherited", &a.pages_inherited, &b.pages_inherited, "§7.1.8")
}

/// # Errors
/// The first difference.
pub(super) fn parts(index: &[PartRef], seen: &[PartRef]) -> Result<(), Fault> {
    same("the number of parts", &index.len(), &seen.len(), "§7.1.6")?;
    for (a, b) in index.iter().zip(seen) {
        same("the type of a part", &a.kind, &b.kind, "§7.1.6")?;
        same("the offset of a part", &a.offset, &b.offset, "§7.1.6")?;
        same("the length of a part", &a.length, &b.length, "§7.1.6")?;
        same("the digest of a part", &a.digest, &b.digest, "§7.1.6")?;
        record_listed(a.record.as_ref(), b.record.as_ref())?;
    }
    Ok(())
}

/// Compares a record that INDEX lists with the one that is there.
///
/// # Errors
/// That they differ.
pub(super) fn record_listed(
    index: Option<&RecordId>,
    seen: Option<&RecordId>,
) -> Result<(), Fault> {
    if index == seen {
        return Ok(());
    }
    let show = |id: Option<&RecordId>| match id {
        Some(id) => format!("{id}, {} bytes, {}", id.size, id.sha256),
        None => "absent".to_owned(),
    };
    Err(disagree("a record", show(index), show(seen), "§7.1.6"))
}

pub(super) fn same<T: PartialEq + ToString>(
    what: &'static str,
    index: &T,
    seen: &T,
    rule: &'static str,
) -> Result<(), Fault> {
    if index == seen {
        return Ok(());
    }
    Err(disagree(what, index.to_string(), seen.to_string(), rule))
}

fn disagree(what: &'static str, here: String, there: String, rule: &'static str) -> Fault {
    Fault::Disagree { what, here, there, place: "in what it indexes", rule }
}
