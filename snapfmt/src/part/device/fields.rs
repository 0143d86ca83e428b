//! Records as fields (§5.4.8 to §5.4.12).
//!
//! ```text
//! state::Fields ── Prepared::of ── pack ──> list and bulk of the part ── FieldsHead::rebuild ──┐
//!                                                                 the same bytes, or whole <───┘
//! ```
//!
//! The bytes of a record follow from its part alone. What a layout says of them is a second check,
//! made where the layout is known.

use std::borrow::Cow;
use std::ops::Range;

use super::RecordId;
use super::head::{self, FieldsHead, Head};
use super::kept::Whole;
use crate::error::Fault;
use crate::limits;
use crate::nvlist::{Nvlist, Options, OwnedValue, View};
use crate::state::generic::{self, GenericError, Measured, Outside};
use crate::state::{Fields, Form, layouts};

/// A record ready to be stored as fields.
pub(super) struct Prepared<'a> {
    layout: &'a str,
    version: u32,
    list: Nvlist,
    widths: Vec<u8>,
    chunks: Vec<&'a [u8]>,
}

/// The fields of the record `id`, if they can be stored and give its bytes again.
pub(super) fn stored<'a>(id: &RecordId, fields: &Fields<'a>) -> Result<Prepared<'a>, Whole> {
    let prepared = Prepared::of(fields)?;
    let list = prepared.pack(id, false)?;
    let same = Head::parse(&list).ok().and_then(|head| {
        head.fields?.rebuild(&prepared.bulk(), id.size).ok().map(|bytes| bytes == fields.bytes())
    });
    if same == Some(true) { Ok(prepared) } else { Err(Whole::Differs) }
}

impl<'a> Prepared<'a> {
    fn of(fields: &Fields<'a>) -> Result<Self, Whole> {
        let Form { fields: list, widths, bulk: chunks } = Form::of(fields)?;
        let layout = fields.layout();
        Ok(Self { layout: layout.id, version: layout.version, list, widths, chunks })
    }

    /// What is stored beside the list.
    pub(super) fn bulk(&self) -> Cow<'a, [u8]> {
        match self.chunks.as_slice() {
            [] => Cow::Borrowed(&[]),
            [only] => Cow::Borrowed(only),
            all => Cow::Owned(all.concat()),
        }
    }

    /// The list of the part, if it is within the limits.
    pub(super) fn pack(&self, id: &RecordId, zstd: bool) -> Result<Vec<u8>, Whole> {
        let whole = |_| Whole::Differs;
        let mut list = head::list(id, zstd).map_err(whole)?;
        list.add("layout", OwnedValue::String(self.layout.as_bytes().to_vec()))?;
        list.add("layout_version", OwnedValue::Number(self.version.into()))?;
        list.add("fields", OwnedValue::Nvlist(self.list.clone()))?;
        if !self.widths.is_empty() {
            list.add("widths", OwnedValue::Binary(self.widths.clone()))?;
        }
        if !self.chunks.is_empty() {
            let sizes = self.chunks.iter().map(|chunk| chunk.len() as u64).collect();
            list.add("bulk", OwnedValue::NumberArray(sizes))?;
        }
        let (found, limit) = (list.counted() as u64, limits::SNAPSHOT_PAIRS as u64);
        if found > limit {
            let what = "the number of pairs of its fields";
            return Err(Whole::OverLimit { what, found, limit });
        }
        let packed = list.pack()?;
        let (found, limit) = (packed.len() as u64, u64::from(limits::DEVICE_NVLIST));
        if found > limit {
            return Err(Whole::OverLimit { what: "the list of its fields", found, limit });
        }
        Ok(packed)
    }
}

impl FieldsHead<'_> {
    /// The places of the bulk in the record. What fields, widths and bulk add up to has to be
    /// `size`.
    pub(super) fn measure(&self, size: u64) -> Result<Vec<Range<u64>>, Fault> {
        let measured = generic::measure(&self.list, self.widths, &self.bulk);
        let Measured { len, chunks } = measured.map_err(|why| fault(&why))?;
        if len != size {
            return Err(fault(&GenericError::Size { wanted: size, found: len }));
        }
        Ok(chunks)
    }

    /// The bytes of the record.
    pub(super) fn rebuild(&self, bulk: &[u8], size: u64) -> Result<Vec<u8>, Fault> {
        let outside = Outside { widths: self.widths, lengths: &self.bulk, bulk };
        generic::encode(&self.list, &outside, size).map_err(|why| fault(&why))
    }

    /// Whether the layout is known here. If so, it has to make these very fields of the record.
    pub(super) fn check_layout(&self, bytes: &[u8]) -> Result<bool, Fault> {
        let Some(layout) = layouts::of_version(self.layout, self.version) else {
            return Ok(false);
        };
        let other = |why: String| Fault::Layout {
            layout: self.layout.to_owned(),
            version: self.version,
            why,
        };
        let fields = layout.decode(bytes).map_err(|misfit| other(misfit.to_string()))?;
        let form = Form::of(&fields).map_err(|error| other(error.to_string()))?;
        match form.difference(&self.list, self.widths, &self.bulk) {
            Some(difference) => Err(other(difference.to_string())),
            None => Ok(true),
        }
    }
}

fn fault(why: &GenericError) -> Fault {
    let rule = match why {
        GenericError::Type { .. } | GenericError::Number { .. } => "§5.4.9",
        GenericError::Size { .. } => "§5.4.6",
        _ => "§5.4.8",
    };
    Fault::Fields { why: why.to_string(), rule }
}

/// The fields that a record was stored as. Names and numbers are claims where the layout is not
/// known (§11.8).
#[derive(Debug, Clone)]
pub struct HeldFields {
    layout: String,
    version: u32,
    known: bool,
    /// The list of the part, packed: taking the fields out of it takes as long as reading them.
    nvlist: Vec<u8>,
    widths: Vec<u8>,
    chunks: Vec<Range<u64>>,
}

impl PartialEq for HeldFields {
    /// The same fields of the same layout, however their bulk is stored.
    fn eq(&self, other: &Self) -> bool {
        let outside = |held: &Self| (held.version, held.known);
        self.layout == other.layout
            && outside(self) == outside(other)
            && self.widths == other.widths
            && self.chunks == other.chunks
            && self.view().is_ok_and(|view| other.view().is_ok_and(|other| view == other))
    }
}

impl Eq for HeldFields {}

impl HeldFields {
    pub(super) fn new(
        head: &FieldsHead<'_>,
        nvlist: &[u8],
        known: bool,
        chunks: Vec<Range<u64>>,
    ) -> Self {
        Self {
            layout: head.layout.to_owned(),
            version: head.version,
            known,
            nvlist: nvlist.to_vec(),
            widths: head.widths.to_vec(),
            chunks,
        }
    }

    /// The name of the layout.
    #[must_use]
    pub fn layout(&self) -> &str {
        &self.layout
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether this library knows the layout; the fields are then what it makes of the bytes.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The fields.
    ///
    /// # Errors
    /// None: the list was read before.
    pub fn view(&self) -> Result<View<'_>, Fault> {
        let part = View::parse(&self.nvlist, &Options::new())?;
        part.nvlist("fields").map_err(|missing| Fault::Pair(missing.to_string()))
    }

    /// Bytes that each number of the list takes in the record (§5.4.8).
    #[must_use]
    pub fn widths(&self) -> &[u8] {
        &self.widths
    }

    /// Where in the record the bytes of each null pair are.
    #[must_use]
    pub fn chunks(&self) -> &[Range<u64>] {
        &self.chunks
    }

    /// The same fields, ready to be stored again. `bytes` is the record.
    pub(super) fn again<'a>(&'a self, bytes: &'a [u8]) -> Result<Prepared<'a>, Fault> {
        let chunk = |range: &Range<u64>| {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).ok());
            start.zip(end).and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default()
        };
        Ok(Prepared {
            layout: &self.layout,
            version: self.version,
            list: self.view()?.to_nvlist(),
            widths: self.widths.clone(),
            chunks: self.chunks.iter().map(chunk).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> HeldFields {
        let mut list = Nvlist::default();
        let inner = OwnedValue::Nvlist(Nvlist::default());
        list.add("fields", inner).unwrap();
        HeldFields {
            layout: "vm".to_owned(),
            version: 2,
            known: true,
            nvlist: list.pack().unwrap(),
            widths: vec![8, 4],
            chunks: vec![4..9, 20..21],
        }
    }

    #[test]
    fn fields_are_those_of_their_layout_and_places() {
        let held = held();
        assert_eq!((held.layout(), held.version(), held.is_known()), ("vm", 2, true));
        assert_eq!((held.widths(), held.chunks()), (&[8, 4][..], &[4..9, 20..21][..]));
        assert_eq!(held.view().unwrap().pairs().count(), 0);
    }

    fn prepared<'a>(widths: usize, chunks: Vec<&'a [u8]>) -> Prepared<'a> {
        let (list, widths) = (Nvlist::default(), vec![8; widths]);
        Prepared { layout: "vm", version: 1, list, widths, chunks }
    }

    /// What there is too much of, if anything, and how much.
    fn over(prepared: &Prepared<'_>) -> Option<(&'static str, u64)> {
        match prepared.pack(&RecordId::of("kern_structs", "vm", b"x"), false) {
            Ok(_) => None,
            Err(Whole::OverLimit { what, found, .. }) => Some((what, found)),
            Err(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_list_of_fields_is_as_long_as_its_limits_and_no_longer() {
        let pairs = |count| {
            let mut prepared = prepared(0, vec![]);
            for number in 0..count {
                prepared.list.add(format!("f{number}"), OwnedValue::Null).unwrap();
            }
            over(&prepared)
        };
        let limit = limits::SNAPSHOT_PAIRS as u64;
        let (what, found) = pairs(limits::SNAPSHOT_PAIRS + 9).unwrap();
        let most = usize::try_from(limit + limit + 9 - found).unwrap();
        assert_eq!((pairs(most), pairs(most + 1)), (None, Some((what, limit + 1))));
        let bytes = |widths| over(&prepared(widths, vec![]));
        let limit = limits::DEVICE_NVLIST as usize;
        let (what, found) = bytes(limit).unwrap();
        let most = limit + limit - usize::try_from(found).unwrap();
        assert_eq!((bytes(most), bytes(most + 1)), (None, Some((what, limit as u64 + 1))));
    }

    #[test]
    fn widths_and_bulk_are_nothing_without_a_layout() {
        let id = RecordId::of("kern_structs", "vm", b"x");
        let read = |pair: Option<(&str, OwnedValue)>| {
            let mut list = head::list(&id, false).unwrap();
            pair.into_iter().for_each(|(name, value)| list.add(name, value).unwrap());
            Head::parse(&list.pack().unwrap()).map(|head| head.fields.is_some())
        };
        assert_eq!(read(None), Ok(false));
        for pair in
            [("widths", OwnedValue::Binary(vec![8])), ("bulk", OwnedValue::NumberArray(vec![1]))]
        {
            assert!(matches!(read(Some(pair)), Err(Fault::Fields { rule: "§5.4.8", .. })));
        }
    }

    #[test]
    fn all_bulk_together_is_as_long_as_a_record_and_no_longer() {
        let bulk = vec![0; usize::try_from(limits::RECORD).unwrap()];
        let read = |chunks| {
            let size = limits::RECORD;
            let id = RecordId { size, ..RecordId::of("kern_structs", "vm", b"x") };
            let list = prepared(0, chunks).pack(&id, false).unwrap();
            Head::parse(&list).map(|head| head.fields.unwrap().bulk_len())
        };
        assert_eq!(read(vec![&bulk]), Ok(limits::RECORD));
        let (what, found) = ("the size of the bulk", limits::RECORD + 1);
        let over = Fault::OverLimit { what, found, limit: limits::RECORD };
        assert_eq!(read(vec![&bulk, &[0]]).unwrap_err(), over);
    }

    #[test]
    fn fields_differ_where_anything_but_the_storage_of_bulk_does() {
        let mut wrapped = Nvlist::default();
        wrapped.add("fields", OwnedValue::Nvlist(Nvlist::default())).unwrap();
        wrapped.add("encoding", OwnedValue::String(b"zstd".to_vec())).unwrap();
        let nvlist = wrapped.pack().unwrap();
        assert_eq!(held(), HeldFields { nvlist, ..held() });
        let mut inner = Nvlist::default();
        inner.add("rip", OwnedValue::Number(1)).unwrap();
        let mut other = Nvlist::default();
        other.add("fields", OwnedValue::Nvlist(inner)).unwrap();
        for changed in [
            HeldFields { layout: "vmcx".to_owned(), ..held() },
            HeldFields { version: 3, ..held() },
            HeldFields { known: false, ..held() },
            HeldFields { widths: vec![8, 8], ..held() },
            HeldFields { chunks: vec![4..9, 21..22], ..held() },
            HeldFields { nvlist: other.pack().unwrap(), ..held() },
        ] {
            assert_ne!(held(), changed);
        }
    }
}
