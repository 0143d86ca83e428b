//! Disks: are those of the VM at the target, and are they the same?
//!
//! An identity is `KIND:VALUE`. Two of one kind tell; two of different kinds do not.

use super::Pair;
use super::judge::Judged;
use super::rules::Rule;
use crate::stream::message::{Disk, Finding, Grade};

/// What the subjects of disks begin with; the path follows.
pub const SUBJECT: &str = "disk ";

/// The size of a disk that the VM names and the source does not see.
pub const UNSEEN: u64 = 0;

/// The rule of all disks.
pub const DISK_RULE: Rule = Rule {
    subject: "disk PATH",
    compared: "each disk of the VM with those of the target: identity, else path; size",
    same: "the same disk, by identity, path and size",
    works: Some("the same disk by another path: the start command has to name that one"),
    may_fail: Some("the path is the same, and whether it is the same disk is not known"),
    refused: Some("the guest goes on as if it had its disk, and would damage or miss another one"),
    overridable: true,
    only: None,
    judge: |_| Judged { grade: Grade::Same, source: None, target: None, detail: None, known: true },
};

/// A finding for each disk.
pub(super) fn findings(pair: &Pair<'_>) -> Vec<Finding> {
    let disks = pair.needs.disks.iter();
    let finding = |disk: &Disk| {
        DISK_RULE.finding(format!("{SUBJECT}{}", disk.path), judge(disk, &pair.target.disks))
    };
    disks.map(finding).collect()
}

/// What identities tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Same,
    Other,
    Nothing,
}

fn told(one: &Disk, other: &Disk) -> Told {
    let split = |disk: &Disk| {
        let (kind, value) = disk.identity.as_deref()?.split_once(':')?;
        Some((kind.to_owned(), value.to_owned()))
    };
    match (split(one), split(other)) {
        (Some((a, one)), Some((b, other))) if a == b => {
            if one == other {
                Told::Same
            } else {
                Told::Other
            }
        }
        _ => Told::Nothing,
    }
}

fn judge(disk: &Disk, target: &[Disk]) -> Judged {
    let same = target.iter().filter(|other| told(disk, other) == Told::Same);
    // Several names may lead to one disk.
    let by_identity = same.max_by_key(|other| other.path == disk.path);
    let found = by_identity.or_else(|| target.iter().find(|other| other.path == disk.path));
    let Some(other) = found else {
        let source = Some(shown(disk));
        let detail = Some("the target has no such disk".to_owned());
        return Judged { grade: Grade::Refused, source, target: None, detail, known: true };
    };
    let judged = |grade| Judged::new(grade, shown(disk), shown(other));
    if disk.size == UNSEEN {
        return judged(Grade::MayFail).with("the source does not see it".to_owned());
    }
    if disk.size != other.size {
        return judged(Grade::Refused).with("the sizes differ".to_owned());
    }
    match told(disk, other) {
        Told::Same if disk.path == other.path => judged(Grade::Same),
        Told::Same => judged(Grade::Works),
        Told::Other => judged(Grade::Refused).with("it is another disk by its identity".to_owned()),
        Told::Nothing => judged(Grade::MayFail),
    }
}

fn shown(disk: &Disk) -> String {
    let Disk { path, size, identity } = disk;
    let identity = identity.as_ref().map_or_else(String::new, |identity| format!(", {identity}"));
    if *size == UNSEEN { path.clone() } else { format!("{path}, {size} bytes{identity}") }
}
