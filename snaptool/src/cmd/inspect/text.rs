//! Facts for people: blocks of names and values, and tables. Everything from the file is escaped.

use std::io::{self, Write};

use super::facts::{Config, Facts, Header, Index, Link, Memory, Range, Record, Vm};
use super::table::{Table, pairs};
use crate::text::{escape, escape_bytes, size, time};

/// Digits of a digest in a table.
const ABBREVIATED: usize = 16;

/// Shows everything.
pub(super) fn all(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    verdict(facts, out)?;
    if !facts.damage.is_empty() {
        damage(facts, out)?;
        if facts.damage.iter().any(|damage| damage.fault == "not-a-snapshot")
            && facts.layout.iter().all(|range| range.status != "intact")
        {
            return Ok(());
        }
        writeln!(out)?;
    }
    identity(facts, out)?;
    if let Some(claim) = &facts.claims.header {
        writeln!(out, "\nheader block, damaged or of an unknown version")?;
        header("claimed: ", claim, out)?;
    }
    if !facts.chain.is_empty() {
        writeln!(out, "\nchain")?;
        chain(&facts.chain, out)?;
    }
    if let Some(vm) = &facts.vm {
        writeln!(out, "\nmachine")?;
        self::vm(vm, out)?;
    }
    if let Some(config) = &facts.config {
        writeln!(out, "\nconfiguration")?;
        self::config(config, out)?;
    }
    if let Some(memory) = &facts.memory {
        writeln!(out, "\nmemory")?;
        self::memory(memory, out)?;
    }
    if !facts.records.is_empty() {
        let listed = facts.meta.as_ref().and_then(|meta| meta.records);
        let found = facts.records.len();
        match listed.filter(|&listed| listed != found as u64) {
            Some(listed) => {
                writeln!(out, "\nrecords: {found} intact of {listed} that .meta lists")?;
            }
            None => writeln!(out, "\nrecords: {found}")?,
        }
        records(&facts.records.iter().collect::<Vec<_>>(), false, out)?;
    }
    if let Some(index) = &facts.claims.index {
        writeln!(out, "\nindex, intact; it tells of the file as it was written")?;
        self::index(index, out)?;
    }
    if !facts.intact && !facts.layout.is_empty() {
        writeln!(out, "\nlayout")?;
        layout(facts, out)?;
    }
    if !facts.findings.is_empty() {
        writeln!(out, "\nfindings of the structure rules")?;
        findings(facts, out)?;
    }
    if !facts.not_checked.is_empty() {
        writeln!(out, "\nnot checked")?;
        for what in &facts.not_checked {
            writeln!(out, "  {what}")?;
        }
    }
    Ok(())
}

/// What kind of input it is, and whether it is intact.
pub(super) fn verdict_words(facts: &Facts) -> &'static str {
    let fault = |ids: &[&str]| facts.damage.iter().any(|damage| ids.contains(&damage.fault));
    match (facts.kind, facts.intact) {
        ("snapshot", true) => "snapshot file, intact as far as it was checked",
        ("snapshot", false) if facts.layout.iter().all(|range| range.status != "intact") => {
            if fault(&["not-a-snapshot"]) {
                "not a snapshot file"
            } else if fault(&["version", "missing-features"]) {
                "snapshot file that a newer version of this tool wrote"
            } else {
                "snapshot file, DAMAGED"
            }
        }
        ("snapshot", false) => "snapshot file, DAMAGED",
        (_, true) => "bhyve's three files",
        (_, false) => "bhyve's three files, DAMAGED",
    }
}

fn verdict(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    let what = verdict_words(facts);
    // The name of the input is safe already.
    writeln!(out, "{}: {what}", facts.input)?;
    if facts.refused() {
        writeln!(out, "it breaks rules without which it must not be restored: see the findings")?;
    }
    writeln!(out)
}

fn identity(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    let mut list = Vec::new();
    if let Some(bytes) = facts.size {
        list.push(("size", exact(bytes)));
    }
    if let Some(files) = &facts.files {
        list.push(("memory file", exact(files.ram)));
        list.push((".kern", exact(files.kern)));
    }
    if let Some(meta) = &facts.meta {
        let generation = match meta.generation {
            Some('A') => ", of FreeBSD 13",
            Some('B') => ", of FreeBSD 14 or later",
            _ => "",
        };
        list.push((".meta", format!("{}{generation}", exact(meta.size))));
    }
    pairs(list, out)?;
    if let Some(found) = &facts.header {
        header("", found, out)?;
    }
    let digests =
        [("root", &facts.root), ("content", &facts.content), ("memory root", &facts.memory_root)];
    let value = |digest: &Option<String>| digest.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let shown = |(name, digest): &(&'static str, &Option<String>)| {
        (facts.kind == "snapshot" || *name != "root").then(|| (*name, value(digest)))
    };
    pairs(digests.iter().filter_map(shown), out)?;
    for part in &facts.optional {
        let what = format!("type {:#x}, {} at {:#x}", part.number, size(part.length), part.offset);
        pairs([("other part", what)], out)?;
    }
    Ok(())
}

const UNKNOWN: &str = "not computed";

/// Shows a header block; `mark` says that it is only claimed.
pub(super) fn header(mark: &str, header: &Header, out: &mut dyn Write) -> io::Result<()> {
    let created = i64::try_from(header.created).map_or_else(|_| "never".to_owned(), time);
    let mut list = vec![
        ("version", header.version.to_string()),
        ("producer", escape(&header.producer)),
        ("uuid", escape(&header.uuid)),
        ("vm", escape(&header.vm_name)),
    ];
    if let Some(uuid) = &header.vm_uuid {
        list.push(("vm uuid", escape(uuid)));
    }
    list.push(("created", created));
    if let Some(parent) = &header.parent {
        list.push(("parent", parent.content.clone()));
        list.extend(parent.uuid.as_ref().map(|uuid| ("parent uuid", escape(uuid))));
    }
    for (name, features) in [("needs", &header.incompatible), ("may use", &header.compatible)] {
        if !features.is_empty() {
            list.push((name, escape(&features.join(", "))));
        }
    }
    pairs(list.into_iter().map(|(name, value)| (name, format!("{mark}{value}"))), out)
}

/// Shows the files of a chain.
fn chain(links: &[Link], out: &mut dyn Write) -> io::Result<()> {
    let heading = ["file", "created", "size", "data pages", "content"];
    let mut table = Table::new(&heading, &[false, false, true, true, false]);
    for link in links {
        table.row([
            // The name of the input is safe already.
            link.input.clone(),
            i64::try_from(link.created).map_or_else(|_| "never".to_owned(), time),
            size(link.size),
            link.data_pages.to_string(),
            abbreviated(&link.content).to_owned(),
        ]);
    }
    table.print(out)
}

/// Shows the machine.
pub(super) fn vm(vm: &Vm, out: &mut dyn Write) -> io::Result<()> {
    let flags = [(1, "in core"), (2, "wired")];
    let mut names: Vec<_> =
        flags.iter().filter(|(bit, _)| vm.memflags & bit != 0).map(|(_, name)| *name).collect();
    if vm.memflags & !3 != 0 {
        names.push("others unknown");
    }
    if names.is_empty() {
        names.push("none set");
    }
    let list = [
        ("name", escape(&vm.name)),
        ("vcpus", vm.ncpus.to_string()),
        ("memory", exact(vm.memsize)),
        ("memflags", format!("{:#x} ({})", vm.memflags, names.join(", "))),
    ];
    pairs(list, out)
}

/// Shows what the configuration says; its text is shown only when asked for.
fn config(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let mut list = vec![("kind", format!("{}, {}", escape(&config.kind), size(config.size)))];
    if let Some(settings) = &config.settings {
        let texts = [
            ("name", &settings.name),
            ("vm uuid", &settings.uuid),
            ("bootrom", &settings.bootrom),
            ("bootvars", &settings.bootvars),
        ];
        for (name, value) in texts {
            list.extend(value.as_ref().map(|value| (name, escape(value))));
        }
        list.extend(settings.ncpus.map(|ncpus| ("vcpus", ncpus.to_string())));
        list.extend(settings.memsize.map(|bytes| ("memory", exact(bytes))));
        for disk in &settings.disks {
            let place = format!("{} at {}", escape(&disk.device), escape(&disk.slot));
            list.push(("disk", format!("{} ({place})", escape(&disk.path))));
        }
    }
    for file in &config.files {
        let digest = file.sha256.as_ref().map(|d| format!(", sha256 {}", abbreviated(d)));
        let what = format!("{}, {}", escape(&file.role), size(file.size));
        let digest = digest.unwrap_or_default();
        list.push(("file", format!("{}: {what}{digest}", escape(&file.path))));
    }
    pairs(list, out)
}

/// Shows the memory map.
pub(super) fn memory(memory: &Memory, out: &mut dyn Write) -> io::Result<()> {
    // What a full file does not store is zero; what a delta does not store is mostly inherited.
    let delta = memory.inherited_pages.is_some();
    let mut heading = vec!["addresses", "size", "data pages", "zero pages"];
    heading.extend(delta.then_some("inherited"));
    heading.extend(["extents", "in file", "ratio"]);
    let right: Vec<_> = (0..heading.len()).map(|column| column > 0).collect();
    let mut table = Table::new(&heading, &right);
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for segment in &memory.segments {
        let last = segment.gpa.saturating_add(segment.len).saturating_sub(1);
        let data = segment.data_pages.map(|pages| pages.saturating_mul(4096));
        let mut row = vec![
            format!("{:#011x}-{last:#011x}", segment.gpa),
            size(segment.len),
            count(segment.data_pages),
            count(segment.zero_pages),
        ];
        row.extend(delta.then(|| count(segment.inherited_pages)));
        row.push(count(segment.extents));
        row.push(segment.part_bytes.map_or_else(|| "-".to_owned(), size));
        row.push(ratio(data, segment.part_bytes));
        table.row(row);
    }
    table.print(out)?;
    if let (Some(stored), Some(data)) = (memory.stored_bytes, memory.data_pages) {
        let data = size(data.saturating_mul(4096));
        pairs([("stored", format!("{data} of data in {}", size(stored)))], out)?;
    }
    if let Some(pages) = memory.xor_pages.filter(|_| delta) {
        let words = format!("{pages} data pages, from those of the parent");
        pairs([("differences", words)], out)?;
    }
    if memory.verified_extents > 0 {
        let (extents, pages) = (memory.verified_extents, memory.verified_pages);
        pairs([("intact", format!("{extents} extents with {pages} data pages"))], out)?;
    }
    Ok(())
}

fn ratio(data: Option<u64>, stored: Option<u64>) -> String {
    let (Some(data), Some(stored)) = (data, stored) else { return "-".to_owned() };
    if stored == 0 {
        return "-".to_owned();
    }
    let tenths = (u128::from(data) * 10 + u128::from(stored) / 2) / u128::from(stored);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Shows records, with whole digests if `narrowed`.
pub(super) fn records(records: &[&Record], narrowed: bool, out: &mut dyn Write) -> io::Result<()> {
    let heading = ["section", "name", "offset", "size", "stored", "sha256", "fields"];
    let mut table = Table::new(&heading, &[false, false, true, true, true, false, false]);
    for record in records {
        let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let digest = record
            .sha256
            .as_ref()
            .map_or("not computed", |digest| if narrowed { digest } else { abbreviated(digest) });
        let scanned = if record.scanned { " (found by searching)" } else { "" };
        table.row([
            escape(&record.section),
            escape(&record.name),
            record.offset.map_or_else(|| "-".to_owned(), |offset| format!("{offset:#x}")),
            record.size.to_string(),
            number(record.stored),
            format!("{digest}{scanned}"),
            form(record),
        ]);
    }
    table.print(out)
}

/// Of what layout the fields of a record are, or that it has none, and why.
fn form(record: &Record) -> String {
    match (&record.layout, &record.no_fields) {
        (Some(layout), _) => {
            let known = if layout.known { "" } else { ", which is not known here" };
            format!("{} {}{known}", escape(&layout.name), layout.version)
        }
        (None, Some(why)) => {
            let whole = record.stored_as.map_or("none", |_| "whole");
            format!("{whole}: {}", escape(why))
        }
        (None, None) => "whole".to_owned(),
    }
}

fn abbreviated(digest: &str) -> &str {
    digest.get(..ABBREVIATED).unwrap_or(digest)
}

fn index(index: &Index, out: &mut dyn Write) -> io::Result<()> {
    let claimed = |value: String| format!("claimed: {value}");
    let pages = format!("{} data, {} zero", index.data_pages, index.zero_pages);
    let stored = format!("{} in {} extents", size(index.stored_bytes), index.extents);
    let list = [
        ("root", claimed(index.root.clone())),
        ("content", claimed(index.content.clone())),
        ("memory root", claimed(index.memory_root.clone())),
        ("pages", claimed(pages)),
        ("stored", claimed(stored)),
    ];
    pairs(list, out)
}

/// Shows what every byte of the file is.
pub(super) fn layout(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    let mut table =
        Table::new(&["offset", "length", "status", "what"], &[true, true, false, false]);
    for range in &facts.layout {
        let Range { offset, length, what, status } = range;
        let claims = facts.claims.parts.iter().filter(|claim| claim.offset == *offset);
        let claims: String = claims
            .map(|claim| {
                let label = claim.label.as_ref().unwrap_or(&claim.kind);
                format!("; claimed: {}, {} bytes", escape(label), claim.length)
            })
            .collect();
        table.row([
            format!("{offset:#x}"),
            length.map_or_else(|| "-".to_owned(), |length| length.to_string()),
            (*status).to_owned(),
            format!("{what}{claims}"),
        ]);
    }
    table.print(out)
}

/// Shows what is wrong with the file.
pub(super) fn damage(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    let mut hints: Vec<&str> = Vec::new();
    for damage in &facts.damage {
        let lost = match (damage.start, damage.length) {
            (Some(start), Some(length)) if length > 0 => {
                format!("; {start:#x}-{:#x} are lost", start.saturating_add(length - 1))
            }
            _ => String::new(),
        };
        writeln!(out, "  {} at {:#x}{lost}", damage.section, damage.offset)?;
        writeln!(out, "    {}", damage.message)?;
        // Whoever reads this has followed the hint to inspect the file.
        let hint = damage.hint.filter(|hint| !hint.contains("inspect") && !hints.contains(hint));
        hints.extend(hint);
    }
    hints.iter().try_for_each(|hint| writeln!(out, "  hint: {hint}"))
}

/// Shows which structure rules are broken.
pub(super) fn findings(facts: &Facts, out: &mut dyn Write) -> io::Result<()> {
    for finding in &facts.findings {
        writeln!(out, "  {} {}", finding.severity, finding.rule)?;
        writeln!(out, "    {}", finding.message)?;
        writeln!(out, "    advice: {}", finding.advice)?;
    }
    Ok(())
}

/// Shows a text of the file: as it is, or line by line and harmless if for a terminal.
pub(super) fn verbatim(text: &[u8], terminal: bool, out: &mut dyn Write) -> io::Result<()> {
    if !terminal {
        return out.write_all(text);
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for line in text.split(|&byte| byte == b'\n') {
        let indent = line.iter().take_while(|&&byte| byte == b'\t').count();
        let words = line.get(indent..).unwrap_or_default();
        writeln!(out, "{}{}", "\t".repeat(indent), escape_line(words))?;
    }
    Ok(())
}

/// Backslashes are part of JSON and of shell commands, and stay readable.
fn escape_line(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(line) => crate::text::one_line(line),
        Err(_) => escape_bytes(line),
    }
}

fn exact(bytes: u64) -> String {
    if bytes < 1024 { size(bytes) } else { format!("{} ({bytes} bytes)", size(bytes)) }
}
