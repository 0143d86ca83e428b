//! The fields of the records that were asked for, as text and as JSON.

use std::io::Write;

use serde_json::Value;
use snapfmt::bhyve::Meta;

use super::collect;
use super::facts::{Facts, Raw, Record};
use super::narrow::{Named, Narrow, What};
use super::state::machine::{Given, Machine, Rec};
use super::state::{Ask, json, render, summary};
use crate::exit::Trouble;

/// The records that were kept, with their fields.
fn machine(facts: &Facts) -> Machine<'_> {
    let meta = facts.meta_text.as_ref().and_then(|text| Meta::parse(text).ok());
    let given =
        facts.decoded.iter().map(|Raw { section, name, bytes }| Given { section, name, bytes });
    Machine::new(meta.as_ref(), facts.vm.as_ref().map(|vm| vm.ncpus), given)
}

/// Shows the whole machine on one screen.
pub(super) fn summary(facts: &Facts, out: &mut dyn Write) -> anyhow::Result<()> {
    Ok(summary::render(facts, &machine(facts), out)?)
}

/// Shows what is in the records that were named, or every field if that was asked for.
pub(super) fn records(
    narrow: &Narrow,
    facts: &Facts,
    width: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let one = matches!(narrow.what, What::Record(..));
    if !one && !narrow.fields {
        return Ok(());
    }
    let machine = machine(facts);
    for Record { section, name, .. } in &facts.records {
        let named = match narrow.what {
            What::All => Some(Named::Whole),
            _ => narrow.named(section, name),
        };
        if !matches!(named, Some(Named::Whole | Named::Vcpu(_))) {
            continue;
        }
        writeln!(out, "\n{}", collect::record_name(section, name))?;
        let mut all = machine.records();
        let Some(record) = all.find(|one| one.section == section && one.name == name) else {
            writeln!(out, "its bytes cannot be read, or all records together are too large")?;
            continue;
        };
        let vcpu = match named {
            Some(Named::Vcpu(vcpu)) => Some(slot(record, vcpu)?),
            _ => None,
        };
        let ask = Ask { vcpu, fields: narrow.fields, words: one, width };
        render(&machine, record, ask, out)?;
    }
    Ok(())
}

/// Records as JSON, with bytes or fields if those were asked for.
pub(super) fn with_fields(
    narrow: &Narrow,
    facts: &Facts,
    records: Vec<&Record>,
) -> anyhow::Result<Vec<Value>> {
    let machine = machine(facts);
    let mut shown = Vec::with_capacity(records.len());
    for record in records {
        let mut value = serde_json::to_value(record)?;
        let same = |section: &str, name: &str| section == record.section && name == record.name;
        let raw = facts.raw.iter().find(|raw| same(&raw.section, &raw.name));
        let decoded = machine.records().find(|rec| same(rec.section, rec.name));
        if let (Some(raw), Some(value)) = (raw, value.as_object_mut()) {
            value.insert("bytes".to_owned(), hex::encode(&raw.bytes).into());
        }
        let vcpu = match narrow.named(&record.section, &record.name) {
            Some(Named::Vcpu(vcpu)) => decoded.map(|record| slot(record, vcpu)).transpose()?,
            _ => None,
        };
        if let (true, Some(value)) = (narrow.fields, value.as_object_mut()) {
            let fields = decoded.map(|record| json::fields(record, vcpu)).unwrap_or_default();
            if let Value::Object(fields) = serde_json::to_value(fields)? {
                value.extend(fields);
            }
        }
        shown.push(value);
    }
    Ok(shown)
}

/// A virtual CPU that the record has something of.
fn slot(record: &Rec<'_>, vcpu: u32) -> anyhow::Result<u32> {
    let Some(fields) = record.fields() else { return Ok(vcpu) };
    if fields.vcpu(vcpu).is_some() {
        return Ok(vcpu);
    }
    let name = crate::text::escape(record.name);
    let what = match fields.slots() {
        0 => format!("record {name} is not kept per virtual CPU"),
        slots => format!("record {name} has no virtual CPU {vcpu}: it has {slots}, from 0"),
    };
    Err(Trouble::new(what).into())
}
