//! Segments, as far as VMX and SVM agree; and the table of their names.

use super::super::Chapter;
use super::super::check::Check;
use super::super::rule::{Judge, Rule, Subject, rule};
use super::regs::{Access, LMA, Regs};
use super::{TAKES, VMCX, entry};
use crate::state::Scope;

/// The keys of a segment's fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    pub(super) selector: &'static str,
    pub(super) base: &'static str,
    pub(super) limit: &'static str,
    pub(super) access: &'static str,
}

macro_rules! keys {
    ($name:literal) => {
        Keys {
            selector: $name,
            base: concat!($name, ".base"),
            limit: concat!($name, ".limit"),
            access: concat!($name, ".access"),
        }
    };
}

pub(super) const CS: Keys = keys!("CS");
pub(super) const SS: Keys = keys!("SS");
pub(super) const TR: Keys = keys!("TR");
pub(super) const LDTR: Keys = keys!("LDTR");

/// The segments that hold data in every mode.
pub(super) const DATA: [Keys; 4] = [keys!("ES"), keys!("DS"), keys!("FS"), keys!("GS")];

/// Those of programs.
pub(super) const PROGRAM: [Keys; 6] = [keys!("ES"), CS, SS, keys!("DS"), keys!("FS"), keys!("GS")];

/// All.
pub(super) const ALL: [Keys; 8] =
    [keys!("ES"), CS, SS, keys!("DS"), keys!("FS"), keys!("GS"), TR, LDTR];

/// What is in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) selector: u64,
    pub(super) base: u64,
    pub(super) limit: u64,
    pub(super) access: Access,
}

impl Segment {
    pub(super) fn of(slot: Scope<'_, '_>, keys: Keys) -> Option<Self> {
        Some(Self {
            selector: slot.u64(keys.selector)?,
            base: slot.u64(keys.base)?,
            limit: slot.u64(keys.limit)?,
            access: Access(slot.u64(keys.access)?),
        })
    }
}

/// Judges segments of each virtual CPU, with the registers around. What is wrong with them is in
/// one of their fields, which `at` picks.
pub(super) fn segments(
    check: &mut Check<'_, '_>,
    which: &[Keys],
    at: fn(Keys) -> &'static str,
    good: impl Fn(Keys, Segment, &Regs) -> bool,
) {
    for (known, slot) in check.slots("vmcx") {
        let Some(regs) = Regs::of(slot) else { continue };
        for keys in which {
            let Some(segment) = Segment::of(slot, *keys) else { continue };
            if good(*keys, segment, &regs) {
                continue;
            }
            let key = at(*keys);
            let others = [keys.selector, keys.base, keys.limit, keys.access];
            let others = others.iter().filter(|other| **other != key);
            let others: Vec<_> = others.filter_map(|key| Some((*key, slot.u64(key)?))).collect();
            if let Some(field) = slot.get(key) {
                check.breaks(known.record, &field, &others);
            }
        }
    }
}

/// The access rights of all segments.
pub(super) const ACCESS: &[Subject] = &[
    Subject::field("ES.access"),
    Subject::field("CS.access"),
    Subject::field("SS.access"),
    Subject::field("DS.access"),
    Subject::field("FS.access"),
    Subject::field("GS.access"),
    Subject::field("TR.access"),
    Subject::field("LDTR.access"),
];

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: segments", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        subjects: &[
            Subject::bits("ES", !0xffff),
            Subject::bits("CS", !0xffff),
            Subject::bits("SS", !0xffff),
            Subject::bits("DS", !0xffff),
            Subject::bits("FS", !0xffff),
            Subject::bits("GS", !0xffff),
            Subject::bits("TR", !0xffff),
            Subject::bits("LDTR", !0xffff),
        ],
        condition: "must have 16 bits",
        reason: "selectors have no more, and none but these are restored",
        bhyve: TAKES,
        source: "sys/amd64/vmm/intel/vmcs.c; sys/amd64/vmm/amd/vmcb.c",
        judge: Judge::Number(|selector| selector <= 0xffff),
        ..rule("segment-selector", VMCX)
    },
    Rule {
        subjects: &[Subject::bits("CS.access", 0b11 << 13), Subject::bits("EFER", LMA)],
        condition: "must not have L (bit 13) and D (bit 14) in long mode",
        reason: "a code segment is of 64 bits or of 32, and the CPU checks it",
        judge: Judge::Relation(|check| {
            segments(
                check,
                &[CS],
                |keys| keys.access,
                |_, segment, regs| !(regs.long() && segment.access.long() && segment.access.big()),
            );
        }),
        ..entry("segment-cs-width")
    },
];
