//! The few ways in which a fact of two hosts can be compared.

use snapfmt::state::host::{Hex, HostFacts};

use super::Pair;
use crate::stream::message::{Grade, Host};

/// What a rule says of two hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How well they fit.
    pub grade: Grade,
    /// What the source has, or the VM wants.
    pub source: Option<String>,
    /// What the target has.
    pub target: Option<String>,
    /// Which bits and the like; or why it is not known.
    pub detail: Option<String>,
    /// Whether both sides were known.
    pub known: bool,
}

impl Judged {
    pub(super) fn new(grade: Grade, source: impl ToString, target: impl ToString) -> Self {
        let (source, target) = (Some(source.to_string()), Some(target.to_string()));
        Self { grade, source, target, detail: None, known: true }
    }

    pub(super) fn with(self, detail: String) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// At least one side is not known.
    fn unknown(
        name: &str,
        pair: &Pair<'_>,
        source: Option<String>,
        target: Option<String>,
    ) -> Self {
        let why = |host: &Host| host.facts.unknown.get(name).map(|why| format!(": {why}"));
        let side = |is: &str, host: &Host, value: &Option<String>| {
            let why = why(host).unwrap_or_default();
            value.is_none().then(|| format!("it is not known of the {is}{why}"))
        };
        let sides = [side("source", pair.source, &source), side("target", pair.target, &target)];
        let detail = sides.into_iter().flatten().collect::<Vec<_>>().join("; ");
        Self { grade: Grade::MayFail, source, target, detail: Some(detail), known: false }
    }
}

/// Compares a fact that both hosts have, if both are known.
pub(super) fn both<T: ToString>(
    name: &str,
    pair: &Pair<'_>,
    read: impl Fn(&Host) -> Option<T>,
    grade: impl FnOnce(&T, &T) -> Grade,
) -> Judged {
    match (read(pair.source), read(pair.target)) {
        (Some(source), Some(target)) => Judged::new(grade(&source, &target), source, target),
        (source, target) => {
            let show = |value: Option<T>| value.map(|value| value.to_string());
            Judged::unknown(name, pair, show(source), show(target))
        }
    }
}

/// Equal, or not and that is `otherwise`.
pub(super) fn equal<T: ToString + PartialEq>(
    name: &str,
    pair: &Pair<'_>,
    otherwise: Grade,
    read: impl Fn(&Host) -> Option<T>,
) -> Judged {
    both(name, pair, read, |source, target| if source == target { Grade::Same } else { otherwise })
}

/// The target has as much or more, or that is `short`.
pub(super) fn at_least<T: ToString + PartialOrd>(
    name: &str,
    pair: &Pair<'_>,
    short: Grade,
    read: impl Fn(&Host) -> Option<T>,
) -> Judged {
    both(name, pair, read, |source, target| {
        if source == target {
            Grade::Same
        } else if source < target {
            Grade::Works
        } else {
            short
        }
    })
}

/// The target has every bit of the source, or that is `short`.
pub(super) fn bits(
    name: &str,
    pair: &Pair<'_>,
    short: Grade,
    read: impl Fn(&HostFacts) -> Option<Hex>,
) -> Judged {
    let mut missing = 0;
    let judged = both(
        name,
        pair,
        |host| read(&host.facts),
        |source, target| {
            missing = source.0 & !target.0;
            if source == target {
                Grade::Same
            } else if missing == 0 {
                Grade::Works
            } else {
                short
            }
        },
    );
    if missing == 0 { judged } else { judged.with(format!("it lacks {missing:#x}")) }
}

/// What must be 1 at the target must be 1 at the source, or the state may not fit.
pub(super) fn demands(
    name: &str,
    pair: &Pair<'_>,
    read: impl Fn(&HostFacts) -> Option<Hex>,
) -> Judged {
    let mut more = 0;
    let judged = both(
        name,
        pair,
        |host| read(&host.facts),
        |source, target| {
            more = target.0 & !source.0;
            if source == target {
                Grade::Same
            } else if more == 0 {
                Grade::Works
            } else {
                Grade::MayFail
            }
        },
    );
    if more == 0 { judged } else { judged.with(format!("it wants {more:#x} besides")) }
}

/// A capability MSR of VMX controls: what the source allows is allowed at the target, or the state
/// may not fit.
pub(super) fn controls(
    name: &str,
    pair: &Pair<'_>,
    read: impl Fn(&HostFacts) -> Option<Hex>,
) -> Judged {
    use snapfmt::state::host::Allowed;
    both(
        name,
        pair,
        |host| read(&host.facts),
        |source, target| {
            let (from, to) = (Allowed::of_msr(source.0), Allowed::of_msr(target.0));
            if source == target {
                Grade::Same
            } else if to.must & !from.must == 0 && from.may & !to.may == 0 {
                Grade::Works
            } else {
                Grade::MayFail
            }
        },
    )
}

/// A need of the VM held against what the target has: all of it is enough, at least `least` of it
/// may be, less is not.
pub(super) fn need(
    name: &str,
    pair: &Pair<'_>,
    (least, all): (u64, u64),
    target: Option<u64>,
) -> Judged {
    match target {
        None => Judged::unknown(name, pair, Some(all.to_string()), None),
        Some(has) if has >= all => Judged::new(Grade::Works, all, has),
        Some(has) if has >= least => Judged::new(Grade::MayFail, all, has),
        Some(has) => Judged::new(Grade::Refused, all, has),
    }
}
