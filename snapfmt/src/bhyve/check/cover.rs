//! Whether the records share out `.kern` among them: every byte to exactly one.

use std::collections::BTreeSet;

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
    if ranges.len() == meta.records.len() {
        let (ranges, empty): (Vec<_>, Vec<_>) =
            ranges.into_iter().partition(|range| range.record.size > 0);
        let edges: BTreeSet<_> = ranges.iter().map(|range| range.record.offset).collect();
        findings.extend(share_out(ranges, kern_len));
        if findings.iter().all(|finding| finding.severity() == Severity::Warn) {
            let inside =
                |record: &&Record| record.offset != kern_len && !edges.contains(&record.offset);
            let finding = |record| Finding::new(&rules::RECORD_EMPTY_INSIDE, place(record));
            findings.extend(empty.iter().map(|range| range.record).filter(inside).map(finding));
        }
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
