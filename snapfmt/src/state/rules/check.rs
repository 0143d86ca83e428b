//! Holds a machine against all rules.

use std::collections::BTreeMap;
use std::ptr;

use super::finding::{Spot, StateFinding};
use super::machine::{Known, Machine, StateRecord};
use super::memory::GuestRam;
use super::report::{Missing, NotChecked, Report};
use super::rule::{Judge, Needs, Rule, Slots, Span, Subject};
use crate::limits;
use crate::state::host::HostFacts;
use crate::state::value::{little_endian, signed};
use crate::state::{FieldRef, Scope, Shape, Unknown};

/// Holds a machine against every rule. Rules that need guest memory, or facts of the host that is
/// to restore it, are listed as not checked if that is not given.
#[must_use]
pub fn check(
    machine: &Machine<'_>,
    ram: Option<&dyn GuestRam>,
    host: Option<&HostFacts>,
) -> Report {
    let mut report = Report::default();
    for rule in super::all() {
        let mut check = Check::new(machine, ram, host, rule);
        check.run();
        check.close(&mut report);
    }
    report.findings.sort_by_key(|finding| {
        let rule = finding.rule;
        (finding.verdict(), rule.severity, rule.moment, finding.order, finding.offset)
    });
    report
}

/// One rule, and what it has found so far.
pub struct Check<'c, 'a> {
    machine: &'c Machine<'a>,
    ram: Option<&'c dyn GuestRam>,
    host: Option<&'c HostFacts>,
    rule: &'static Rule,
    findings: Vec<StateFinding>,
    /// How many places in each record, by its number.
    places: BTreeMap<usize, usize>,
    more: u64,
    missing: Vec<Missing>,
}

impl<'c, 'a> Check<'c, 'a> {
    fn new(
        machine: &'c Machine<'a>,
        ram: Option<&'c dyn GuestRam>,
        host: Option<&'c HostFacts>,
        rule: &'static Rule,
    ) -> Self {
        let (findings, missing, places) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { machine, ram, host, rule, findings, places, more: 0, missing }
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &'c Machine<'a> {
        self.machine
    }

    /// Guest memory. Rules that need it are not asked without.
    #[must_use]
    pub const fn ram(&self) -> Option<&'c dyn GuestRam> {
        self.ram
    }

    /// Facts of the host. Rules that need them are not asked without.
    #[must_use]
    pub const fn host(&self) -> Option<&'c HostFacts> {
        self.host
    }

    /// A fact of the host, by its name in a file of facts. If it is not known, that is noted.
    pub fn fact<T>(
        &mut self,
        name: &'static str,
        of: impl Fn(&'c HostFacts) -> Option<T>,
    ) -> Option<T> {
        let host = self.host?;
        let fact = of(host);
        if fact.is_none() {
            self.lacks(Missing::Fact { name, why: host.why_unknown(name).to_owned() });
        }
        fact
    }

    /// The records of a family whose fields are known.
    pub fn records(
        &self,
        family: &'static str,
    ) -> impl Iterator<Item = Known<'c, 'a>> + use<'c, 'a> {
        self.machine.family(family)
    }

    /// The records of all families of the rule whose fields are known.
    pub fn own(&self) -> impl Iterator<Item = Known<'c, 'a>> + use<'c, 'a> {
        let (machine, families) = (self.machine, self.rule.records);
        families.iter().flat_map(move |family| machine.family(family))
    }

    /// The slots of the virtual CPUs that the rule speaks of, in the records of a family.
    pub fn slots(
        &self,
        family: &'static str,
    ) -> impl Iterator<Item = (Known<'c, 'a>, Scope<'c, 'a>)> + use<'c, 'a> {
        let (machine, which) = (self.machine, self.rule.slots);
        self.records(family).flat_map(move |known| {
            let slots = known.fields.vcpus();
            let slots = slots.filter(move |slot| spoken_of(machine, which, slot.index()));
            slots.map(move |slot| (known, slot))
        })
    }

    /// Notes that a field breaks the rule, and what else was looked at.
    pub fn breaks(
        &mut self,
        record: &StateRecord<'_>,
        field: &FieldRef<'_, '_>,
        others: &[(&'static str, u64)],
    ) {
        self.breaks_at(record, field, Spot::whole(field), others);
    }

    /// As [`breaks`](Self::breaks), of some bytes of a field.
    pub fn breaks_at(
        &mut self,
        record: &StateRecord<'_>,
        field: &FieldRef<'_, '_>,
        spot: Spot,
        others: &[(&'static str, u64)],
    ) {
        let order = self.machine.records.iter().position(|own| ptr::eq(own.entry, record.entry));
        let order = order.unwrap_or_default();
        let places = self.places.entry(order).or_default();
        if *places >= limits::FINDINGS {
            self.more += 1;
            return;
        }
        *places += 1;
        self.findings.push(StateFinding::new(self.rule, (order, record), field, spot, others));
    }

    /// Notes that the rule could not be checked, or not everywhere.
    pub fn lacks(&mut self, missing: Missing) {
        if !self.missing.contains(&missing) && self.missing.len() < limits::FINDINGS {
            self.missing.push(missing);
        }
    }

    /// Whether the machine has what the rule speaks of.
    fn concerned(&self) -> bool {
        let mut subjects = self.rule.subjects.iter();
        subjects.any(|subject| {
            let has = |known: Known<'_, '_>| {
                let layout = known.fields.layout();
                subject.speaks_of(layout) && layout.has(subject.key)
            };
            self.own().any(has)
        })
    }

    fn run(&mut self) {
        let rule = self.rule;
        if let Judge::Layout = rule.judge {
            return self.layouts();
        }
        for record in &self.machine.records {
            let absent = matches!(record.fields, Err(Unknown::Absent)) && record.entry.size == 0;
            if rule.records.contains(&record.family) && record.fields.is_err() && !absent {
                let (section, record) = (record.entry.section, record.entry.name.clone());
                self.lacks(Missing::Fields { section, record });
            }
        }
        if !self.concerned() {
            return;
        }
        let vendor = self.machine.vendor;
        match (rule.vendor, vendor) {
            (Some(_), None) => return self.lacks(Missing::Vendor),
            (Some(wanted), Some(found)) if wanted != found => return,
            _ => {}
        }
        match rule.needs {
            Needs::Ram if self.ram.is_none() => return self.lacks(Missing::Ram),
            Needs::Host if self.host.is_none() => return self.lacks(Missing::Host),
            _ => {}
        }
        match rule.judge {
            Judge::Number(good) => {
                self.each(|bytes| little_endian(bytes).is_none_or(good));
            }
            Judge::Signed(good) => {
                self.each(|bytes| signed(bytes).is_none_or(good));
            }
            Judge::Relation(judge) => judge(self),
            Judge::Layout => {}
        }
    }

    /// Judges records as a whole: which have none of the layouts that are known of their name.
    fn layouts(&mut self) {
        for (order, record) in self.machine.records.iter().enumerate() {
            if !self.rule.records.contains(&record.family) {
                continue;
            }
            let Err(unknown) = &record.fields else { continue };
            match unknown.nearest() {
                Some((_, misfit)) => {
                    self.findings.push(StateFinding::misfit(self.rule, (order, record), misfit));
                }
                None if record.entry.size == 0 => {}
                None => {
                    let (section, record) = (record.entry.section, record.entry.name.clone());
                    self.lacks(Missing::Fields { section, record });
                }
            }
        }
    }

    /// Judges every subject of the rule alone.
    fn each(&mut self, good: impl Fn(&[u8]) -> bool) {
        let (machine, which) = (self.machine, self.rule.slots);
        for known in self.own() {
            for subject in self.rule.subjects {
                if !subject.speaks_of(known.fields.layout()) {
                    continue;
                }
                for field in known.fields.root().all(subject.key) {
                    let other = |wanted| field.occurrence() != wanted;
                    if field.vcpu().is_some_and(|vcpu| !spoken_of(machine, which, vcpu))
                        || subject.occurrence.is_some_and(other)
                    {
                        continue;
                    }
                    self.values(known.record, &field, subject, &good);
                }
            }
        }
    }

    fn values(
        &mut self,
        record: &StateRecord<'_>,
        field: &FieldRef<'_, '_>,
        subject: &Subject,
        good: impl Fn(&[u8]) -> bool,
    ) {
        let spot = match (subject.span, field.definition().shape) {
            (Span::Part(name), _) => Spot::part(field, name),
            (Span::Range(at, len), _) => Spot::bytes(at.into(), len.into()),
            (Span::All, Shape::Ints(width, _)) => {
                let width = width.bytes();
                for (index, bytes) in (0..).zip(field.bytes().chunks_exact(width as usize)) {
                    if !good(bytes) {
                        let width = u64::from(width);
                        let spot = Spot::bytes(index * width, width);
                        self.breaks_at(record, field, spot, &[("index", index)]);
                    }
                }
                return;
            }
            (Span::All | Span::Rest, _) => Spot::whole(field),
        };
        let range = usize::try_from(spot.at).ok().zip(usize::try_from(spot.at + spot.len).ok());
        let bytes = range.and_then(|(start, end)| field.bytes().get(start..end));
        if bytes.is_some_and(|bytes| !good(bytes)) {
            self.breaks_at(record, field, spot, &[]);
        }
    }

    fn close(self, report: &mut Report) {
        let rule = self.rule;
        report.findings.extend(self.findings);
        if self.more > 0 {
            report.more.push((rule, self.more));
        }
        report.not_checked.extend(self.missing.into_iter().map(|why| NotChecked { rule, why }));
    }
}

/// Whether a rule speaks of a virtual CPU.
fn spoken_of(machine: &Machine<'_>, slots: Slots, vcpu: u32) -> bool {
    match slots {
        Slots::Running => machine.runs(vcpu),
        Slots::Used => vcpu < machine.ncpus,
        Slots::All => true,
    }
}
