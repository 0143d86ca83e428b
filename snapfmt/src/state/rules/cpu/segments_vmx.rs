//! Segments as VM entry checks them.
//!
//! What depends on whether the guest is "unrestricted" is left out: that is not in the record.

use super::super::Chapter;
use super::super::canonical;
use super::super::rule::{Judge, Rule, Subject};
use super::regs::{Access, LMA, PE, Regs};
use super::segments::{ACCESS, ALL, CS, DATA, Keys, LDTR, PROGRAM, SS, Segment, TR, segments};
use super::{SIGN, entry_vmx};

const SDM: &str = "Intel SDM vol. 3, \"Checks on Guest Segment Registers\"";

const TI: u64 = 1 << 2;
const UPPER: u64 = 0xffff_ffff << 32;

const BASES: &[Subject] = &[
    Subject::bits("ES.base", UPPER),
    Subject::bits("CS.base", UPPER),
    Subject::bits("SS.base", UPPER),
    Subject::bits("DS.base", UPPER),
    Subject::bits("FS.base", SIGN),
    Subject::bits("GS.base", SIGN),
    Subject::bits("TR.base", SIGN),
    Subject::bits("LDTR.base", SIGN),
];

const PLACES: &[Subject] = &[
    Subject::field("ES"),
    Subject::field("CS"),
    Subject::field("SS"),
    Subject::field("DS"),
    Subject::field("FS"),
    Subject::field("GS"),
    Subject::field("ES.base"),
    Subject::field("CS.base"),
    Subject::field("SS.base"),
    Subject::field("DS.base"),
    Subject::field("FS.base"),
    Subject::field("GS.base"),
];

const PROGRAM_LIMITS: &[Subject] = &[
    Subject::field("ES.limit"),
    Subject::field("CS.limit"),
    Subject::field("SS.limit"),
    Subject::field("DS.limit"),
    Subject::field("FS.limit"),
    Subject::field("GS.limit"),
];

const PROGRAM_ACCESS: &[Subject] = &[
    Subject::field("ES.access"),
    Subject::field("CS.access"),
    Subject::field("SS.access"),
    Subject::field("DS.access"),
    Subject::field("FS.access"),
    Subject::field("GS.access"),
];

const LIMITS: &[Subject] = &[
    Subject::field("ES.limit"),
    Subject::field("CS.limit"),
    Subject::field("SS.limit"),
    Subject::field("DS.limit"),
    Subject::field("FS.limit"),
    Subject::field("GS.limit"),
    Subject::field("TR.limit"),
    Subject::field("LDTR.limit"),
];

const CS_SS: &[Subject] = &[Subject::field("CS.access"), Subject::field("SS.access")];

/// The access rights of every segment in virtual-8086 mode.
const VM86_ACCESS: u64 = 0xf3;

pub(in super::super) static CHAPTER: Chapter =
    Chapter { title: "`vmcx`: segments, on Intel", rules: RULES, argued: &[], not_rules: &[] };

static RULES: &[Rule] = &[
    Rule {
        subjects: &[Subject::bits("TR", TI), Subject::bits("LDTR", TI)],
        condition: "must not have TI (bit 2), unless it is unusable",
        reason: "both are in the global descriptor table",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &[TR, LDTR], selector, |keys, segment, _| {
                let counts = segment.access.usable() || keys.selector == TR.selector;
                !counts || segment.selector & TI == 0
            });
        }),
        ..entry_vmx("segment-table")
    },
    Rule {
        subjects: BASES,
        condition: "must be canonical; of CS, and of SS, DS and ES if usable, below 4 GiB",
        reason: "VM entry checks the bases of segments",
        source: SDM,
        judge: Judge::Relation(|check| segments(check, &ALL, base, base_fits)),
        ..entry_vmx("segment-base")
    },
    Rule {
        subjects: PLACES,
        condition: "must be the selector times 16 in virtual-8086 mode",
        reason: "that is what segments are there, and VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &PROGRAM, base, |_, segment, regs| {
                !regs.vm86() || segment.base == segment.selector << 4
            });
        }),
        ..entry_vmx("segment-vm86-base")
    },
    Rule {
        subjects: PROGRAM_LIMITS,
        condition: "must be 0xffff in virtual-8086 mode",
        reason: "that is what segments are there, and VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &PROGRAM, limit, |_, segment, regs| {
                !regs.vm86() || segment.limit == 0xffff
            });
        }),
        ..entry_vmx("segment-vm86-limit")
    },
    Rule {
        subjects: PROGRAM_ACCESS,
        condition: "must be 0xf3 in virtual-8086 mode",
        reason: "that is what segments are there, and VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &PROGRAM, access, |_, segment, regs| {
                !regs.vm86() || segment.access.0 == VM86_ACCESS
            });
        }),
        ..entry_vmx("segment-vm86-access")
    },
    Rule {
        subjects: &[Subject::field("CS.access")],
        condition: "must be a code segment that was accessed (type 9, 11, 13 or 15), or of type 3, \
                    with S (bit 4) and P (bit 7)",
        reason: "VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &[CS], access, |_, segment, regs| {
                let kind = matches!(segment.access.kind(), 3 | 9 | 11 | 13 | 15);
                regs.vm86() || kind && segment.access.code_or_data() && segment.access.present()
            });
        }),
        ..entry_vmx("segment-cs")
    },
    Rule {
        subjects: CS_SS,
        condition: "must have a DPL that goes with that of SS: 0 if of type 3, the same if it does \
                    not conform, no higher if it does",
        reason: "VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| segments(check, &[CS], access, cs_dpl)),
        ..entry_vmx("segment-cs-dpl")
    },
    Rule {
        subjects: &[Subject::field("SS.access"), Subject::field("CS.access")],
        condition: "must be writable and accessed (type 3 or 7) with S (bit 4) and P (bit 7) if \
                    usable, and have DPL 0 in real mode and with CS of type 3",
        reason: "VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &[SS], access, |_, segment, regs| {
                let Segment { access, .. } = segment;
                let kind = matches!(access.kind(), 3 | 7);
                let stack = kind && access.code_or_data() && access.present();
                let lowest = regs.cs.kind() == 3 || regs.cr0 & PE == 0;
                regs.vm86() || (!access.usable() || stack) && (!lowest || access.dpl() == 0)
            });
        }),
        ..entry_vmx("segment-ss")
    },
    Rule {
        subjects: &[
            Subject::field("ES.access"),
            Subject::field("DS.access"),
            Subject::field("FS.access"),
            Subject::field("GS.access"),
        ],
        condition: "must be accessed, and readable if code, with S (bit 4) and P (bit 7), if \
                    usable",
        reason: "VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &DATA, access, |_, segment, regs| {
                let Segment { access, .. } = segment;
                let readable = access.kind() & 1 << 3 == 0 || access.kind() & 1 << 1 != 0;
                let data = access.kind() & 1 != 0 && readable;
                regs.vm86() || !access.usable() || data && access.code_or_data() && access.present()
            });
        }),
        ..entry_vmx("segment-data")
    },
    Rule {
        subjects: ACCESS,
        condition: "must have none of the bits 8 to 11 and 17 to 31, if usable",
        reason: "VM entry checks the reserved bits",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &ALL, access, |keys, segment, regs| {
                let program = PROGRAM.iter().any(|other| other.selector == keys.selector);
                regs.vm86() && program || !counts(keys, segment) || segment.access.reserved() == 0
            });
        }),
        ..entry_vmx("segment-reserved")
    },
    Rule {
        subjects: LIMITS,
        condition: "must end in fff if G (bit 15 of the access rights) is set, and have no more \
                    than 20 bits if not, if usable",
        reason: "a limit counts pages or bytes, and VM entry checks that it fits",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &ALL, limit, |keys, segment, _| {
                let fits = if segment.access.pages() {
                    segment.limit & 0xfff == 0xfff
                } else {
                    segment.limit >> 20 == 0
                };
                !counts(keys, segment) || fits
            });
        }),
        ..entry_vmx("segment-limit")
    },
    Rule {
        subjects: &[Subject::field("TR.access"), Subject::bits("EFER", LMA)],
        condition: "must be a busy TSS (type 11, or 3 outside of long mode), present and usable",
        reason: "a CPU always has a task, and VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &[TR], access, |_, segment, regs| {
                let kind = segment.access.kind();
                (kind == 11 || kind == 3 && !regs.long())
                    && system(segment.access)
                    && segment.access.usable()
            });
        }),
        ..entry_vmx("segment-tr")
    },
    Rule {
        subjects: &[Subject::field("LDTR.access")],
        condition: "must be an LDT (type 2), present, if usable",
        reason: "VM entry checks it",
        source: SDM,
        judge: Judge::Relation(|check| {
            segments(check, &[LDTR], access, |_, segment, _| {
                let table = segment.access.kind() == 2 && system(segment.access);
                !segment.access.usable() || table
            });
        }),
        ..entry_vmx("segment-ldtr")
    },
];

const fn selector(keys: Keys) -> &'static str {
    keys.selector
}

const fn base(keys: Keys) -> &'static str {
    keys.base
}

const fn limit(keys: Keys) -> &'static str {
    keys.limit
}

const fn access(keys: Keys) -> &'static str {
    keys.access
}

const fn system(access: Access) -> bool {
    !access.code_or_data() && access.present()
}

/// Whether the contents of a segment count: CS and TR are never unusable.
fn counts(keys: Keys, segment: Segment) -> bool {
    segment.access.usable() || [CS.selector, TR.selector].contains(&keys.selector)
}

fn base_fits(keys: Keys, segment: Segment, _: &Regs) -> bool {
    let usable = segment.access.usable();
    match keys.selector {
        "CS" => segment.base >> 32 == 0,
        "SS" | "DS" | "ES" => !usable || segment.base >> 32 == 0,
        "LDTR" => !usable || canonical(segment.base),
        _ => canonical(segment.base),
    }
}

fn cs_dpl(_: Keys, segment: Segment, regs: &Regs) -> bool {
    let dpl = segment.access.dpl();
    match segment.access.kind() {
        _ if regs.vm86() => true,
        3 => dpl == 0,
        9 | 11 => dpl == regs.ss.dpl(),
        13 | 15 => dpl <= regs.ss.dpl(),
        _ => true,
    }
}
