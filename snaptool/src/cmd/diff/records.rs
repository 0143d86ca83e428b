//! Compares device records by their bytes.

use serde::Serialize;
use snapfmt::part::device::RecordId;

use super::state::State;
use crate::signal::Stop;

/// So many ranges of a record are named.
const RANGES: usize = 8;

/// The records of both sides.
#[derive(Debug, Serialize)]
pub(super) struct Records {
    /// How many are the same.
    pub(super) same: u64,
    pub(super) changed: Vec<Record>,
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
pub(super) fn compare(a: &State<'_>, b: &State<'_>, stop: &Stop) -> anyhow::Result<Records> {
    let mut records = Records { same: 0, changed: Vec::new() };
    for ours in &a.records {
        stop.check()?;
        match find(b, ours) {
            None => records.changed.push(record("only-a", Some(ours), None)),
            Some(theirs) if theirs == ours => records.same += 1,
            Some(theirs) => {
                let mut record = record("changed", Some(ours), Some(theirs));
                let (bytes, count, ranges) = differing(&a.record(ours)?, &b.record(theirs)?);
                (record.bytes, record.range_count) = (Some(bytes), Some(count));
                record.ranges = ranges;
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
    }
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
