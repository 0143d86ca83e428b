//! Shows a comparison while RAM is still being read, for people or for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::facts::{Difference, Facts, Input};
use super::memory::{Range, Totals};
use super::records::{Record, Records};
use crate::cmd::inspect::table::Table;
use crate::text::escape;

/// So many ranges of RAM are shown to people who did not ask for all.
const RANGES: u64 = 100;

/// So many fields of a record, too.
const FIELDS: usize = 100;

/// What is known at the end.
#[derive(Debug, Serialize)]
pub(super) struct End {
    /// Whether both have the same `content`.
    pub(super) same: bool,
    pub(super) not_checked: Vec<&'static str>,
}

/// One of the two outputs.
pub(super) enum Printer {
    /// All ranges, if so.
    Text {
        all: bool,
        ranges: u64,
    },
    Json {
        ranges: u64,
    },
}

impl Printer {
    /// Shows all but RAM.
    pub(super) fn begin(&self, facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text { all, .. } => text(facts, *all, out),
            Self::Json { .. } => {
                open_ended(facts, out)?;
                write!(out, ",\n\"memory\":{{\"ranges\":[")
            }
        }
    }

    /// Shows a range of pages.
    pub(super) fn range(&mut self, range: &Range, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text { all, ranges } => {
                if *ranges == 0 {
                    writeln!(out, "\nmemory")?;
                }
                *ranges += 1;
                if !*all && *ranges > RANGES {
                    return Ok(());
                }
                let Range { gpa, pages, change } = range;
                let last = gpa.saturating_add(pages.saturating_mul(4096)).saturating_sub(1);
                let words = change.words();
                writeln!(out, "  {gpa:#011x}-{last:#011x}  {pages:>8}  {words}")
            }
            Self::Json { ranges } => {
                out.write_all(if *ranges == 0 { b"\n" } else { b",\n" })?;
                *ranges += 1;
                serde_json::to_writer(out, range).map_err(io::Error::from)
            }
        }
    }

    /// Shows the totals and the answer.
    pub(super) fn end(
        &self,
        facts: &Facts,
        totals: &Totals,
        end: &End,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Self::Text { all, ranges } => {
                let left = ranges.saturating_sub(RANGES);
                if left > 0 && !all {
                    writeln!(out, "  and {left} more ranges; --all shows them")?;
                }
                summary(facts, totals, end, out)
            }
            Self::Json { .. } => {
                writeln!(out, "],")?;
                continued(totals, out)?;
                writeln!(out, "}},")?;
                continued(end, out)?;
                writeln!(out, "}}")
            }
        }
    }
}

/// An object without its last brace, so that more can follow.
fn open_ended(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    out.write_all(text.strip_suffix('}').unwrap_or(&text).as_bytes())
}

/// The pairs of an object.
fn continued(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    let pairs = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    out.write_all(pairs.unwrap_or(&text).as_bytes())
}

fn text(facts: &Facts, all: bool, out: &mut dyn Write) -> io::Result<()> {
    for (side, input) in [("a", &facts.a), ("b", &facts.b)] {
        // The name of the input is safe already.
        let Input { input, kind, content, .. } = input;
        let content = content.as_ref().map(|content| format!(", content {content}"));
        writeln!(out, "{side}: {input}: {kind}{}", content.unwrap_or_default())?;
    }
    differences("header", &facts.header, out)?;
    differences("machine", &facts.machine, out)?;
    differences("configuration", &facts.config, out)?;
    differences(".meta", &facts.meta, out)?;
    records(&facts.records, out)?;
    for record in &facts.records.changed {
        fields(record, all, out)?;
    }
    Ok(())
}

fn differences(title: &str, list: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let mut table = Table::new(&["", "a", "b", ""], &[false; 4]);
    for one in list {
        let [a, b] = one.words.clone();
        let decides = if one.decides { "" } else { "(does not count)" };
        table.row([escape(&one.what), a, b, decides.to_owned()]);
    }
    table.print(out)
}

fn records(records: &Records, out: &mut dyn Write) -> io::Result<()> {
    let left_out = match records.ignored.len() {
        0 => String::new(),
        count => format!(", {count} only in what is left out"),
    };
    if records.changed.is_empty() && left_out.is_empty() {
        return Ok(());
    }
    let (changed, same) = (records.changed.len(), records.same);
    writeln!(out, "\nrecords: {changed} differ, {same} do not{left_out}")?;
    let heading = ["section", "name", "a", "b", "bytes", "where"];
    let mut table = Table::new(&heading, &[false, false, true, true, true, false]);
    for record in &records.changed {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        table.row([
            escape(&record.section),
            escape(&record.name),
            number(record.a.as_ref().map(|a| a.size)),
            number(record.b.as_ref().map(|b| b.size)),
            number(record.bytes),
            place(record),
        ]);
    }
    table.print(out)
}

fn place(record: &Record) -> String {
    match record.change {
        "only-a" => return "only in a".to_owned(),
        "only-b" => return "only in b".to_owned(),
        _ => {}
    }
    if let Some(fields) = &record.fields {
        let count = fields.len();
        return format!("{count} {}", if count == 1 { "field" } else { "fields" });
    }
    let shown = record.ranges.iter().map(|range| match range.length {
        1 => format!("{:#x}", range.offset),
        length => format!("{:#x}-{:#x}", range.offset, range.offset + length - 1),
    });
    let mut words = shown.collect::<Vec<_>>().join(" ");
    if record.range_count.is_some_and(|count| count > record.ranges.len() as u64) {
        words.push_str(" ...");
    }
    words
}

/// The fields of a record that differ.
fn fields(record: &Record, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let (Some(layout), Some(fields)) = (record.layout, &record.fields) else { return Ok(()) };
    let name = format!("{}/{}", escape(&record.section), escape(&record.name));
    let left_out = match record.ignored {
        Some(count @ 1..) => format!(", {count} left out"),
        _ => String::new(),
    };
    writeln!(out, "\n{name}, by layout {layout}{left_out}")?;
    let mut table = Table::new(&["vcpu", "field", "a -> b"], &[true, false, false]);
    let shown = if all { fields.len() } else { FIELDS };
    for change in fields.iter().take(shown) {
        let vcpu = change.vcpu.map_or_else(String::new, |vcpu| vcpu.to_string());
        let part = change.part.map_or_else(String::new, |part| format!(".{part}"));
        table.row([vcpu, format!("{}{part}", change.field), change.words.clone()]);
    }
    table.print(out)?;
    match fields.len().saturating_sub(shown) {
        0 => Ok(()),
        left => writeln!(out, "  and {left} more fields; --all shows them"),
    }
}

fn not_checked(end: &End, out: &mut dyn Write) -> io::Result<()> {
    end.not_checked.iter().try_for_each(|what| writeln!(out, "not checked: {what}"))
}

fn summary(facts: &Facts, totals: &Totals, end: &End, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    if end.same {
        let same = match facts.records.ignored.len() {
            0 => "same content",
            _ => "the contents differ in nothing but what is left out",
        };
        writeln!(out, "{same}")?;
        return not_checked(end, out);
    }
    let machine = facts.machine.iter().any(|one| one.decides);
    let what = if machine { "the machine, " } else { "" };
    let (records, pages) = (facts.records.changed.len(), totals.pages);
    writeln!(out, "the contents differ: {what}{records} records, {pages} pages")?;
    if pages > 0 {
        let Totals { zero_to_data, data_to_zero, data_to_data, bytes, range_count, .. } = totals;
        let mut table = Table::new(&["pages", "", ""], &[true, false, false]);
        for (count, what) in [
            (zero_to_data, "zero -> data"),
            (data_to_zero, "data -> zero"),
            (data_to_data, "data -> other data"),
        ] {
            table.row([count.to_string(), what.to_owned(), String::new()]);
        }
        table.print(out)?;
        writeln!(out, "  {bytes} bytes of them in {range_count} ranges")?;
    }
    for (count, side) in [(totals.only_a, "a"), (totals.only_b, "b")] {
        if count > 0 {
            writeln!(out, "  {count} pages of RAM only in {side}")?;
        }
    }
    not_checked(end, out)
}
