//! Compares device records: by their fields where both have the same known layout, else by their
//! bytes.

use serde::Serialize;
use snapfmt::bhyve::Meta;
use snapfmt::part::device::RecordId;

use super::fields::{self, Change, Compared};
use super::ignore::Ignore;
use super::state::State;
use crate::cmd::inspect::state::machine::{Given, Machine};
use crate::signal::Stop;

/// So many ranges of a record are named.
const RANGES: usize = 8;

/// The records of both sides.
#[derive(Debug, Serialize)]
pub(super) struct Records {
    /// How many are the same.
    pub(super) same: u64,
    pub(super) changed: Vec<Record>,
    /// Those in which nothing differs but what is left out.
    pub(super) ignored: Vec<Ignored>,
}

/// A record in which nothing differs but what is left out.
#[derive(Debug, Serialize)]
pub(super) struct Ignored {
    section: String,
    name: String,
    /// How many fields were left out.
    fields: u64,
}

/// A record that is not the same on both sides.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    pub(super) section: String,
    pub(super) name: String,
    /// `only-a`, `only-b` or `changed`.
    pub(super) change: &'static str,
    pub(super) a: Option<Identity>,
    pub(super) b: Option<Identity>,
    /// Of a changed one: how many bytes differ, as far as both go.
    pub(super) bytes: Option<u64>,
    /// Runs of such bytes.
    pub(super) range_count: Option<u64>,
    /// The first of them.
    pub(super) ranges: Vec<Bytes>,
    /// The layout, if it is known and the same on both sides.
    pub(super) layout: Option<&'static str>,
    /// By that, the fields that differ.
    pub(super) fields: Option<Vec<Change>>,
    /// And how many that differ were left out.
    pub(super) ignored: Option<u64>,
}

/// What a record is on one side.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    pub(super) size: u64,
    sha256: String,
}

/// A run of bytes that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Bytes {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Compares all records. Only those whose digests differ are read, one at a time.
pub(super) fn compare(
    a: &State<'_>,
    b: &State<'_>,
    ignore: &[Ignore],
    stop: &Stop,
) -> anyhow::Result<Records> {
    let mut records = Records { same: 0, changed: Vec::new(), ignored: Vec::new() };
    let meta =
        |state: &State<'_>| state.meta.as_ref().and_then(|meta| Meta::parse(&meta.text).ok());
    let [meta_a, meta_b] = [a, b].map(meta);
    for ours in &a.records {
        stop.check()?;
        match find(b, ours) {
            None => records.changed.push(record("only-a", Some(ours), None)),
            Some(theirs) if theirs == ours => records.same += 1,
            Some(theirs) => {
                let both = [a.record(ours)?, b.record(theirs)?];
                let [old, new] = &both;
                let mut record = record("changed", Some(ours), Some(theirs));
                let (bytes, count, ranges) = differing(old, new);
                (record.bytes, record.range_count) = (Some(bytes), Some(count));
                record.ranges = ranges;
                let machines = [(a, &meta_a, old), (b, &meta_b, new)]
                    .map(|(state, meta, bytes)| decode(state, meta.as_ref(), ours, bytes));
                if let Some((layout, Compared { fields, ignored })) = by_field(&machines, ignore) {
                    if fields.is_empty() && ignored > 0 {
                        let (section, name) = (ours.section.clone(), ours.name.clone());
                        records.ignored.push(Ignored { section, name, fields: ignored });
                        continue;
                    }
                    (record.layout, record.ignored) = (Some(layout), Some(ignored));
                    record.fields = Some(fields);
                }
                records.changed.push(record);
            }
        }
    }
    let only_b = b.records.iter().filter(|theirs| find(a, theirs).is_none());
    records.changed.extend(only_b.map(|theirs| record("only-b", None, Some(theirs))));
    Ok(records)
}

fn find<'a>(state: &'a State<'_>, id: &RecordId) -> Option<&'a RecordId> {
    state.records.iter().find(|other| (&other.section, &other.name) == (&id.section, &id.name))
}

fn record(change: &'static str, a: Option<&RecordId>, b: Option<&RecordId>) -> Record {
    let identity = |id: &RecordId| Identity { size: id.size, sha256: id.sha256.to_string() };
    let named = a.or(b);
    Record {
        section: named.map(|id| id.section.clone()).unwrap_or_default(),
        name: named.map(|id| id.name.clone()).unwrap_or_default(),
        change,
        a: a.map(identity),
        b: b.map(identity),
        bytes: None,
        range_count: None,
        ranges: Vec::new(),
        layout: None,
        fields: None,
        ignored: None,
    }
}

fn decode<'a>(
    state: &State<'_>,
    meta: Option<&Meta>,
    id: &'a RecordId,
    bytes: &'a [u8],
) -> Machine<'a> {
    let given = Given { section: &id.section, name: &id.name, bytes };
    Machine::new(meta, Some(state.vm.ncpus), [given])
}

/// What differs by the layout that both sides have.
fn by_field(machines: &[Machine<'_>; 2], ignore: &[Ignore]) -> Option<(&'static str, Compared)> {
    let [a, b] = machines.each_ref().map(|machine| machine.records().next());
    let (a, b) = (a?, b?);
    let (ours, theirs) = (a.known()?, b.known()?);
    let layout = ours.layout();
    (layout == theirs.layout()).then(|| (layout.id, fields::compare(a.name, ours, theirs, ignore)))
}

/// How many bytes differ, in how many runs, and the first of these.
fn differing(a: &[u8], b: &[u8]) -> (u64, u64, Vec<Bytes>) {
    let (mut bytes, mut count, mut first) = (0, 0, Vec::<Bytes>::new());
    let mut free = 0;
    for (offset, _) in (0_u64..).zip(a.iter().zip(b)).filter(|(_, (a, b))| a != b) {
        let joined = count > 0 && free == offset;
        bytes += 1;
        count += u64::from(!joined);
        free = offset + 1;
        if !joined && first.len() < RANGES {
            first.push(Bytes { offset, length: 1 });
        } else if let Some(last) = first.last_mut()
            && last.offset + last.length == offset
        {
            last.length += 1;
        }
    }
    (bytes, count, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_are_counted_and_put_together() {
        assert_eq!(differing(b"abc", b"abc"), (0, 0, vec![]));
        let one = Bytes { offset: 1, length: 2 };
        assert_eq!(differing(b"abcd", b"axyd"), (2, 1, vec![one]));
        assert_eq!(differing(b"abc", b"a"), (0, 0, vec![]));
        let (a, mut b) = (vec![0; 100], vec![0; 100]);
        for at in (0..100).step_by(4) {
            b[at] = 1;
            b[at + 1] = 1;
        }
        let (bytes, count, first) = differing(&a, &b);
        assert_eq!((bytes, count, first.len()), (50, 25, RANGES));
        assert_eq!(first[7], Bytes { offset: 28, length: 2 });
    }
}
