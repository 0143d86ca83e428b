//! Rules of the timer of the ISA bus: `vatpit`.

use super::Chapter;
use super::check::Check;
use super::class::{Argued, Class};
use super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`vatpit`: the 8254 timer",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const VATPIT: &[&str] = &["vatpit"];
const SEC: &str = "vatpit->freq_bt.sec";
const FRAC: &str = "vatpit->freq_bt.frac";
const MODE: &str = "channel->mode";
const INITIAL: &str = "channel->initial";

/// 1193182 Hz in units of 2^-64 s.
const TICK: u64 = (1 << 63) / 1_193_182 * 2;
const SQWAVE: u64 = 6;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(FRAC)],
        condition: "must not be 0",
        reason: "the kernel divides by it",
        bhyve: "restores it; when the guest reads a counter or port 0x61, that is a division by \
                zero in the kernel",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_delta_ticks",
        judge: Judge::Number(|frac| frac != 0),
        ..rule("pit-tick-zero", VATPIT)
    },
    Rule {
        subjects: &[Subject::field(FRAC)],
        condition: "must be 2^64/1193182, the time of a tick",
        reason: "the rate is a constant",
        bhyve: "restores it; the timer runs at the wrong rate",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_init",
        judge: Judge::Number(|frac| frac == TICK || frac == 0),
        ..rule("pit-tick", VATPIT)
    },
    Rule {
        subjects: &[Subject::field(SEC)],
        condition: "must be 0: a tick is far below a second",
        reason: "the rate is a constant",
        bhyve: "restores it and does not use it",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_init",
        judge: Judge::Number(|sec| sec == 0),
        ..rule("pit-tick-seconds", VATPIT)
    },
    Rule {
        subjects: &[Subject::field(MODE)],
        condition: "must be 0 (INTTC), 4 (RATEGEN), 6 (SQWAVE) or 8 (SWSTROBE)",
        reason: "the kernel refuses to set any other mode",
        bhyve: "restores it; the channel does nothing",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_update_mode",
        judge: Judge::Number(|mode| matches!(mode, 0 | 4 | 6 | 8)),
        ..rule("pit-mode", VATPIT)
    },
    Rule {
        severity: Severity::Panic,
        subjects: &[Subject::field(MODE), Subject::field(INITIAL)],
        condition: "must not be a square wave (6) with the count 0",
        reason: "older kernels divide by the count to tell the level of the output; the kernel \
                 puts another count in place of a 0 that the guest writes, so that it is 0 only \
                 until the guest has written one",
        bhyve: "restores it; when the guest reads port 0x61, that is a division by zero in the \
                kernel of FreeBSD 13 and of some releases after it",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_get_out",
        judge: Judge::Relation(square_wave),
        ..rule("pit-square-wave", VATPIT)
    },
    Rule {
        severity: Severity::Corrupt,
        subjects: &[Subject::field("channel->crbyte"), Subject::field("channel->frbyte")],
        condition: "must be 0 or 1",
        reason: "it is an index into two bytes, and is not checked",
        bhyve: "restores it; when the guest writes a count, a byte of its choice is written \
                somewhere into kernel memory",
        source: "sys/amd64/vmm/io/vatpit.c vatpit_handler",
        judge: Judge::Number(|index| index <= 1),
        ..rule("pit-byte-index", VATPIT)
    },
    Rule {
        subjects: &[Subject::field("channel->slatched")],
        condition: "must be 0 or 1",
        reason: "it is a C `bool`, of which any other value has no meaning",
        bhyve: "restores it; what follows is up to the compiler",
        source: "sys/amd64/vmm/io/vatpit.c struct channel",
        judge: Judge::Number(|flag| flag <= 1),
        ..rule("pit-bool", VATPIT)
    },
];

fn square_wave(check: &mut Check<'_, '_>) {
    for known in check.records("vatpit") {
        for channel in known.fields.root().groups("channels") {
            if channel.u64(MODE) == Some(SQWAVE)
                && let Some(field) = channel.get(INITIAL)
                && field.u64() == Some(0)
            {
                check.breaks(known.record, &field, &[("mode", SQWAVE)]);
            }
        }
    }
}

static ARGUED: &[Argued] = &[
    Argued {
        records: VATPIT,
        subjects: &[
            Subject::field("channel->cr"),
            Subject::field("channel->ol"),
            Subject::field("channel->status"),
        ],
        class: Class::Free,
        because: "bytes that the guest writes, or reads once",
    },
    Argued {
        records: VATPIT,
        subjects: &[
            Subject::field("channel->now_bt.sec"),
            Subject::field("channel->now_bt.frac"),
            Subject::field("channel->callout_bt.sec"),
            Subject::field("channel->callout_bt.frac"),
        ],
        class: Class::HostSpecific,
        because: "uptimes of the host that wrote it: counts are wrong until the guest loads them \
                  anew, and a time in the past is replaced",
    },
];

static NOT_RULES: &[NotRule] = &[
    NotRule {
        about: "channel->initial",
        fact: "is not 0",
        because: "0 is a channel that was never used; only a square wave divides by it",
    },
    NotRule {
        about: "channel->now_bt, channel->callout_bt",
        fact: "are times of the host that restores",
        because: "every snapshot has those of the host that wrote it: bhyve does not convert them, \
                  and says so on the console",
    },
];
