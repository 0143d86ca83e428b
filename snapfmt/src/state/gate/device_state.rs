//! What may be restored (law 4).

use crate::bhyve::{Meta, Section};
use crate::state::rules::StateFinding;

/// The state of the virtual CPUs and devices of a machine that may be handed to what restores it:
/// every digest over it has matched, if it came out of a snapshot file; and no rule fails it, of
/// those of the files' structure and those of the values in its records, but those that a person
/// has [accepted](Self::accepted).
///
/// [`Judged::clear`](super::Judged::clear) alone makes it: there is no constructor, `Default`,
/// `From` or deserialisation. Records alone are not enough, whatever they came out of:
///
/// ```compile_fail,E0451
/// use snapfmt::bhyve::Meta;
/// use snapfmt::state::gate::DeviceState;
/// fn unchecked(meta: Meta) -> DeviceState {
///     DeviceState { text: Vec::new(), meta, records: Vec::new(), accepted: Vec::new() }
/// }
/// ```
///
/// ```compile_fail,E0277
/// use snapfmt::part::device::Record;
/// use snapfmt::state::gate::DeviceState;
/// fn converted(records: Vec<Record>) -> DeviceState {
///     records.into()
/// }
/// ```
///
/// Neither is a file that was checked, before the rules were asked:
///
/// ```compile_fail,E0277
/// use snapfmt::read::Verified;
/// use snapfmt::state::gate::DeviceState;
/// fn converted(file: Verified) -> DeviceState {
///     file.into()
/// }
/// ```
///
/// ```compile_fail,E0308
/// use snapfmt::state::gate::{DeviceState, Judged};
/// fn judged(state: Judged) -> DeviceState {
///     state
/// }
/// ```
///
/// The same signatures compile where the rules and a policy stand between:
///
/// ```
/// use snapfmt::part::device::Record;
/// use snapfmt::read::Verified;
/// use snapfmt::state::gate::{DeviceState, Policy};
/// fn checked(file: &Verified, records: Vec<Record>, policy: &Policy) -> Option<DeviceState> {
///     file.judge(records, None, None).ok()?.clear(policy).ok()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct DeviceState {
    pub(super) text: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) records: Vec<DeviceRecord>,
    pub(super) accepted: Vec<StateFinding>,
}

impl DeviceState {
    /// `.meta`, as bhyve wrote it.
    #[must_use]
    pub fn meta_text(&self) -> &[u8] {
        &self.text
    }

    /// What it says.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The records in the order of `.kern`, which is all of them one after another.
    #[must_use]
    pub fn records(&self) -> &[DeviceRecord] {
        &self.records
    }

    /// What a person has taken responsibility for.
    #[must_use]
    pub fn accepted(&self) -> &[StateFinding] {
        &self.accepted
    }
}

/// One record of a [`DeviceState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub(super) section: Section,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl DeviceRecord {
    /// The list of `.meta` in which it stands.
    #[must_use]
    pub const fn section(&self) -> Section {
        self.section
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes, as bhyve wrote them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
