//! Whether the records share out `.kern` among them: every byte to exactly one.

use super::place;
use crate::bhyve::finding::{Finding, Place, Severity};
use crate::bhyve::meta::{Meta, Record};
use crate::bhyve::{limits, rules};

/// A record with bytes, and the offset after its last.
struct Range<'a> {
    record: &'a Record,
    end: u64,
}

/// Finds records out of bounds; if there are none, what else keeps them from sharing out the file.
pub(super) fn check(meta: &Meta, kern_len: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if kern_len == 0 {
        findings.push(Finding::new(&rules::KERN_EMPTY, Place::Kern { offset: 0 }));
        return findings;
    }
    let mut ranges = Vec::new();
    for record in &meta.records {
        let (offset, size) = (record.offset, record.size);
        let finding = |rule| Finding::new(rule, place(record)).with("size", size);
        match offset.checked_add(size) {
            Some(end) if end <= kern_len => ranges.push(Range { record, end }),
            Some(end) if end <= limits::NUMBER => {
                let outside = finding(&rules::KERN_RANGE_OUTSIDE);
                findings.push(outside.with("end", end).with("length", kern_len));
            }
            _ => findings.push(finding(&rules::KERN_RANGE_WRAPS).with("offset", offset)),
        }
        if size > limits::RECORD {
            findings.push(finding(&rules::RECORD_TOO_LARGE).with("limit", limits::RECORD));
        }
    }
    let total = meta.records.iter().fold(0_u64, |sum, record| sum.saturating_add(record.size));
    if total > limits::RECORDS_TOTAL && findings.is_empty() {
        let finding = Finding::new(&rules::RECORDS_TOO_LARGE, Place::Kern { offset: 0 });
        findings.push(finding.with("size", total).with("limit", limits::RECORDS_TOTAL));
    }
    if ranges.len() == meta.records.len() {
        ranges.retain(|range| range.record.size > 0);
        let shared = share_out(ranges, kern_len);
        // Records without bytes have no place where the others have none.
        if shared.iter().all(|finding| finding.severity() == Severity::Warn) {
            findings.extend(misplaced(meta));
        }
        findings.extend(shared);
    }
    findings
}

/// Records without bytes that are not where bhyve was in `.kern` when it listed them: at the end of
/// a record, and before the record that begins there.
fn misplaced(meta: &Meta) -> Vec<Finding> {
    let mut records: Vec<_> = meta.records.iter().collect();
    records.sort_by_key(|record| record.offset);
    let mut findings = Vec::new();
    let mut end = 0_u64;
    for record in records {
        if record.size == 0 && record.offset != end {
            let finding = Finding::new(&rules::RECORD_EMPTY_MISPLACED, place(record));
            findings.push(finding.with("offset", record.offset).with("expected", end));
        }
        end = end.saturating_add(record.size);
    }
    findings
}

fn share_out(mut ranges: Vec<Range<'_>>, kern_len: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let out_of_order = ranges
        .iter()
        .zip(ranges.iter().skip(1))
        .find(|(before, after)| before.record.offset > after.record.offset)
        .map(|(before, after)| {
            Finding::new(&rules::RECORD_ORDER, place(after.record))
                .with("after", before.record.name.as_str())
                .with("at", before.record.offset)
        });
    ranges.sort_by_key(|range| (range.record.offset, range.end));
    let mut covered = 0;
    let mut last = None;
    for Range { record, end } in ranges {
        if record.offset > covered {
            let gap = Finding::new(&rules::KERN_GAP, Place::Kern { offset: covered });
            let size = record.offset - covered;
            findings.push(gap.with("size", size).with("before", record.name.as_str()));
        } else if let Some(last) = last.filter(|_| record.offset < covered) {
            let overlap = Finding::new(&rules::KERN_OVERLAP, place(record));
            let size = covered.min(end) - record.offset;
            findings.push(overlap.with("size", size).with("with", last));
        }
        if end > covered {
            covered = end;
            last = Some(record.name.as_str());
        }
    }
    if covered < kern_len {
        let trailing = Finding::new(&rules::KERN_TRAILING, Place::Kern { offset: covered });
        findings.push(trailing.with("size", kern_len - covered));
    }
    if findings.is_empty() {
        findings.extend(out_of_order);
    }
    findings
}
