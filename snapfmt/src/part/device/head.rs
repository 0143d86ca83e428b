//! The pairs of a DEVICE part (§5.4.1 to §5.4.5, §5.4.8).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RecordId;
use crate::digest::Digest;
use crate::error::{Fault, quoted};
use crate::layout::header::is_name;
use crate::limits;
use crate::nvlist::{Nvlist, OwnedValue, View};
use crate::part::codec;
use crate::part::pairs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs<'a> {
    section: &'a str,
    name: &'a str,
    size: u64,
    sha256: Digest,
    encoding: &'a str,
    layout: Option<&'a str>,
    layout_version: Option<u64>,
    /// Read from the view, which can be kept.
    #[serde(rename = "fields")]
    _fields: Option<IgnoredAny>,
    widths: Option<&'a [u8]>,
    bulk: Option<Vec<u64>>,
}

/// What a DEVICE part says, its fields not yet looked at.
pub(super) struct Head<'a> {
    pub(super) id: RecordId,
    pub(super) zstd: bool,
    pub(super) fields: Option<FieldsHead<'a>>,
}

/// What a DEVICE part says of the fields that it holds.
pub(super) struct FieldsHead<'a> {
    pub(super) layout: &'a str,
    pub(super) version: u32,
    pub(super) list: View<'a>,
    pub(super) widths: &'a [u8],
    pub(super) bulk: Vec<u64>,
}

impl<'a> Head<'a> {
    /// Reads the pairs of a part.
    pub(super) fn parse(list: &'a [u8]) -> Result<Self, Fault> {
        let (pairs, fields) = typed(list)?;
        let (id, zstd) = pairs.record()?;
        Ok(Self { id, zstd, fields: FieldsHead::of(pairs, fields)? })
    }

    /// The record that a part is of, whatever is wrong with its fields.
    pub(super) fn id(list: &[u8]) -> Option<RecordId> {
        typed(list).ok()?.0.record().ok().map(|(id, _)| id)
    }
}

/// All pairs, as far as their types are right.
fn typed(list: &[u8]) -> Result<(Pairs<'_>, Option<View<'_>>), Fault> {
    let view = pairs::view(list)?;
    let pairs = pairs::from(view)?;
    let fields = view.find_nvlist("fields").map_err(|wrong| Fault::Pair(wrong.to_string()))?;
    Ok((pairs, fields))
}

impl Pairs<'_> {
    /// The record, and whether what is stored of it is compressed.
    fn record(&self) -> Result<(RecordId, bool), Fault> {
        let Self { section, name, size, sha256, .. } = *self;
        let id = RecordId { section: section.to_owned(), name: name.to_owned(), size, sha256 };
        id.bounds()?;
        match self.encoding {
            codec::RAW => Ok((id, false)),
            codec::ZSTD => Ok((id, true)),
            other => Err(Fault::Value {
                what: "the record's encoding",
                found: quoted(other),
                must: "it is raw or zstd",
                rule: "§5.4.5",
            }),
        }
    }
}

impl<'a> FieldsHead<'a> {
    fn of(pairs: Pairs<'a>, fields: Option<View<'a>>) -> Result<Option<Self>, Fault> {
        let Pairs { layout, layout_version, widths, bulk, .. } = pairs;
        let (layout, version, list) = match (layout, layout_version, fields) {
            (None, None, None) if widths.is_none() && bulk.is_none() => return Ok(None),
            (Some(layout), Some(version), Some(list)) => (layout, version, list),
            _ => {
                let why = "`layout`, `layout_version` and `fields` are there together".to_owned();
                return Err(Fault::Fields { why, rule: "§5.4.8" });
            }
        };
        if !is_name(layout) {
            return Err(Fault::Value {
                what: "`layout`",
                found: quoted(layout),
                must: "a layout has up to 63 bytes of lower-case words joined by -",
                rule: "§5.4.8",
            });
        }
        let Some(version) = u32::try_from(version).ok().filter(|version| *version > 0) else {
            return Err(Fault::Value {
                what: "`layout_version`",
                found: version.to_string(),
                must: "it is 1 to 2^32-1",
                rule: "§5.4.8",
            });
        };
        let (widths, bulk) = (widths.unwrap_or_default(), bulk.unwrap_or_default());
        let largest = bulk.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let (found, limit) = (largest, limits::RECORD);
        if found > limit {
            return Err(Fault::OverLimit { what: "the size of the bulk", found, limit });
        }
        if bulk.contains(&0) {
            let why = "a null pair stands for no bytes".to_owned();
            return Err(Fault::Fields { why, rule: "§5.4.8" });
        }
        Ok(Some(Self { layout, version, list, widths, bulk }))
    }

    /// Bytes of the bulk.
    pub(super) fn bulk_len(&self) -> u64 {
        self.bulk.iter().sum()
    }
}

/// The pairs that every DEVICE part has, in the order of the spec.
pub(super) fn list(id: &RecordId, zstd: bool) -> Result<Nvlist, Fault> {
    let RecordId { section, name, size, sha256 } = id;
    let encoding = if zstd { codec::ZSTD } else { codec::RAW };
    let mut list = Nvlist::new();
    list.add("section", OwnedValue::String(section.clone().into_bytes()))?;
    list.add("name", OwnedValue::String(name.clone().into_bytes()))?;
    list.add("size", OwnedValue::Number(*size))?;
    list.add("sha256", OwnedValue::Binary(sha256.as_bytes().to_vec()))?;
    list.add("encoding", OwnedValue::String(encoding.as_bytes().to_vec()))?;
    Ok(list)
}
