//! What the pairs of messages may say, each looked at by itself (§4 to §8).
//!
//! Knows no bytes, and not what was said before.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use snapfmt::error::quoted;
use snapfmt::layout::header::is_name;
use snapfmt::limits::{EXTENT_MAX, EXTENT_MIN};

use super::error::Fault;
use super::message::{Have, Hello, Message, Operation};
use crate::handover::Body;
use crate::identity::{Epoch, Session};

/// `role` of HELLO.
pub(super) const SOURCE: &str = "source";
/// `role` of HELLO.
pub(super) const TARGET: &str = "target";

/// Versions that a HELLO lists (§4.1.1).
const VERSIONS: usize = 16;
/// The blocks of HAVE are as large as extents (§6.3).
const BLOCKS: RangeInclusive<u64> = EXTENT_MIN..=EXTENT_MAX;
/// Roots of one HAVE (§6.3).
const ROOTS: usize = 4096;

/// What a message of the hand-over says, but for the one that has a number.
const BODIES: [Body; 11] = [
    Body::Offer,
    Body::Ready,
    Body::Commit,
    Body::Owner,
    Body::Running,
    Body::Kept,
    Body::Done,
    Body::Release,
    Body::Released,
    Body::NoRecord,
    Body::Superseded,
];
/// The one that has a number.
const CLAIMED: &str = "claimed";

/// Checks what a struct alone does not.
pub(super) fn check(message: &Message) -> Result<(), Fault> {
    match message {
        Message::Hello(hello) => check_hello(hello),
        Message::Facts(facts) => facts.host.facts.check().map_err(Fault::Host),
        Message::Report(report) => report.host.facts.check().map_err(Fault::Host),
        Message::Have(have) => check_have(have),
        Message::Begin { .. }
        | Message::State { .. }
        | Message::StateEnd(_)
        | Message::StateDone { .. }
        | Message::Round { .. }
        | Message::RoundEnd { .. }
        | Message::RoundDone { .. }
        | Message::Ack { .. }
        | Message::Handover(_)
        | Message::Copied { .. }
        | Message::Status(_)
        | Message::Ping
        | Message::Error(_)
        | Message::Bye => Ok(()),
    }
}

fn check_hello(hello: &Hello) -> Result<(), Fault> {
    let versions = &hello.versions;
    if !(1..=VERSIONS).contains(&versions.len()) || !versions.is_sorted_by(|a, b| a < b) {
        return Err(Fault::Value {
            what: "`versions`",
            found: quoted(&format!("{versions:?}")),
            must: "it has 1 to 16 numbers, ascending",
            rule: "§4.1.1",
        });
    }
    let once = hello.features.iter().collect::<BTreeSet<_>>().len() == hello.features.len();
    if !once || !hello.features.iter().all(|name| is_name(name)) {
        return Err(Fault::Value {
            what: "`features`",
            found: quoted(&hello.features.join(", ")),
            must: "a feature is up to 63 bytes of lower-case words joined by -, and is listed once",
            rule: "§4.1.2",
        });
    }
    Ok(())
}

fn check_have(have: &Have) -> Result<(), Fault> {
    let value = |what, found: String, must| Err(Fault::Value { what, found, must, rule: "§6.3" });
    if !have.block.is_power_of_two() || !BLOCKS.contains(&have.block) {
        let must = "it is a power of two from 65536 to 4194304";
        return value("`block`", have.block.to_string(), must);
    }
    let roots = have.roots.len();
    if roots > ROOTS {
        return value("the number of `roots`", roots.to_string(), "there are 4096 at most");
    }
    if roots == 0 && !(have.last && have.first == 0) {
        let must = "only one that is the first and the last has none: all memory is zero";
        return value("the number of `roots`", roots.to_string(), must);
    }
    Ok(())
}

/// The operation of a source, out of its pairs.
pub(super) fn operation(
    name: Option<&str>,
    (session, epoch): (Option<Session>, Option<Epoch>),
) -> Result<Operation, Fault> {
    let operation = match (name, session, epoch) {
        (Some("migrate"), Some(session), Some(epoch)) => Operation::Migrate { session, epoch },
        (Some("migrate"), ..) => {
            return Err(Fault::Value {
                what: "`session` or `epoch`",
                found: "absent".to_owned(),
                must: "`migrate` has both",
                rule: "§4.1.4",
            });
        }
        (Some("plan"), ..) => Operation::Plan,
        (Some("status"), ..) => Operation::Status,
        (Some("copy"), ..) => Operation::Copy,
        (other, ..) => {
            return Err(Fault::Value {
                what: "`operation`",
                found: other.map_or_else(|| "absent".to_owned(), quoted),
                must: "a source says migrate, plan, status or copy",
                rule: "§4.1.3",
            });
        }
    };
    if !matches!(operation, Operation::Migrate { .. }) {
        absent("`session`", session.is_some(), "§4.1.4")?;
        absent("`epoch`", epoch.is_some(), "§4.1.4")?;
    }
    Ok(operation)
}

/// The name of an operation.
pub(super) fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Migrate { .. } => "migrate",
        Operation::Plan => "plan",
        Operation::Status => "status",
        Operation::Copy => "copy",
    }
}

/// Refuses a pair that this side, or this operation, does not have.
pub(super) fn absent(what: &'static str, there: bool, rule: &'static str) -> Result<(), Fault> {
    if !there {
        return Ok(());
    }
    let must = "it belongs to another role or operation";
    Err(Fault::Value { what, found: "there".to_owned(), must, rule })
}

/// Another `role` than the two.
pub(super) fn role(found: &str) -> Fault {
    let must = "it is source or target";
    Fault::Value { what: "`role`", found: quoted(found), must, rule: "§4.1.6" }
}

/// Refuses bytes behind the last whole root of HAVE.
pub(super) fn whole_roots(rest: usize) -> Result<(), Fault> {
    if rest == 0 {
        return Ok(());
    }
    let found = format!("a row of whole ones and {rest} bytes");
    Err(Fault::Value { what: "`roots`", found, must: "a root has 32 bytes", rule: "§6.3" })
}

/// What a message of the hand-over says.
pub(super) fn body(name: &str, claim: Option<Epoch>) -> Result<Body, Fault> {
    if name == CLAIMED {
        return claim.map(Body::Claimed).ok_or_else(|| Fault::Value {
            what: "`claim`",
            found: "absent".to_owned(),
            must: "it is there exactly with `claimed`",
            rule: "§8.1",
        });
    }
    let named = |body: &Body| body.name().to_ascii_lowercase() == name;
    let Some(body) = BODIES.into_iter().find(named) else {
        return Err(Fault::Value {
            what: "`body`",
            found: quoted(name),
            must: "it is the name of a message of handover.md, in lower case",
            rule: "§8.1",
        });
    };
    if claim.is_some() {
        return Err(Fault::Value {
            what: "`claim`",
            found: "there".to_owned(),
            must: "it is there exactly with `claimed`",
            rule: "§8.1",
        });
    }
    Ok(body)
}
