//! What can be left out of a comparison: data, listed in `spec/diff.md`.

use serde::Serialize;
use snapfmt::state::FieldRef;

/// What is left out when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ignore {
    /// Clocks and counters, which no two snapshots have in common.
    Time,
}

/// Fields that always change, by the name of their records and their key there; of the page of a
/// local APIC, one register.
pub const TIME: &[(&str, &str, Option<&str>)] = &[
    ("vm", "tsc", None),
    ("vm", "vcpu->tsc_offset", None),
    ("vlapic", "ccr", None),
    ("vlapic", "lapic", Some("ccr_timer")),
    ("vhpet", "countbase", None),
    ("vhpet", "vhpet->timer[i].callout_sbt", None),
    ("vatpit", "channel->now_bt.sec", None),
    ("vatpit", "channel->now_bt.frac", None),
    ("vatpit", "channel->callout_bt.sec", None),
    ("vatpit", "channel->callout_bt.frac", None),
    ("vrtc", "vrtc->base_rtctime", None),
    ("vrtc", "vrtc->rtcdev.sec", None),
    ("vrtc", "vrtc->rtcdev.min", None),
    ("vrtc", "vrtc->rtcdev.hour", None),
    ("vrtc", "vrtc->rtcdev.day_of_week", None),
    ("vrtc", "vrtc->rtcdev.day_of_month", None),
    ("vrtc", "vrtc->rtcdev.month", None),
    ("vrtc", "vrtc->rtcdev.year", None),
    ("vrtc", "vrtc->rtcdev.century", None),
    ("xhci", "sc->rtsregs.mfindex", None),
    ("xhci", "sc->prev_evt.tv_sec", None),
    ("xhci", "sc->prev_evt.tv_usec", None),
];

impl Ignore {
    /// Whether a field of a record, or a part of it, is left out.
    #[must_use]
    pub fn covers(self, record: &str, field: &FieldRef<'_, '_>, part: Option<&str>) -> bool {
        match self {
            Self::Time => TIME.contains(&(record, field.key(), part)),
        }
    }
}

#[cfg(test)]
mod tests {
    use snapfmt::state::layouts;

    use super::*;

    #[test]
    fn what_can_be_left_out_is_a_field_of_some_layout() {
        for (record, key, part) in TIME {
            let mut known = layouts::all().filter(|layout| layout.names.contains(record));
            let found = known.any(|layout| {
                let mut fields = layout.definitions().iter().map(|one| one.field);
                fields.any(|field| {
                    let has = |name: &str| field.inside.iter().any(|part| part.name == name);
                    field.key() == *key && part.is_none_or(has)
                })
            });
            assert!(found, "{record} {key} {part:?}");
        }
    }
}
