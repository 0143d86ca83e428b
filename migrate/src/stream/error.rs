//! What is wrong with a stream, at which item, where, and by which rule.

use snapfmt::state::host::HostError;
use thiserror::Error;

use super::kind::Kind;
use super::message::Trouble;

/// An item that breaks §1 to §3, or says what its rule forbids. Nothing after it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("item {item}{}, offset {at:#x}: {fault}", named(*message))]
pub struct Breach {
    /// The offset in the stream: of the field where it is known, else of the structure.
    pub at: u64,
    /// How many items came before this one.
    pub item: u64,
    /// The type of the message, where its list is wrong.
    pub message: Option<Kind>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first bytes are of no item.
    #[error("neither a message nor a part begins here{} (§1.2)", shown(found.as_deref()))]
    NoItem {
        /// What came instead of the first item, escaped. Later ones are not shown: it may be the
        /// memory of a guest.
        found: Option<String>,
    },
    /// The stream ends within an item.
    #[error("the stream ends early: {left} of {wanted} bytes are here (§1.4)")]
    Truncated {
        /// Bytes that belong here.
        wanted: u64,
        /// Bytes that are here.
        left: u64,
    },
    /// Something follows BYE or ERROR.
    #[error("the stream goes on after its last item (§1.5)")]
    Excess,
    /// A digest that does not match.
    #[error("the digest of the {what} does not match its bytes ({rule})")]
    Digest {
        /// What it covers.
        what: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// A type of message that is not known.
    #[error("there is no message of type {0} (§2.2)")]
    Type(u32),
    /// A list that is too short or too long for its message.
    #[error("the nvlist has {found} bytes, not 19 to {limit} (§2.3)")]
    Size {
        /// Its length.
        found: u64,
        /// The most that this message may have.
        limit: u32,
    },
    /// An item was lost, doubled or moved.
    #[error("the message says that {found} items came before it, and {expected} did (§2.4)")]
    Number {
        /// What it says.
        found: u64,
        /// How many came.
        expected: u64,
    },
    /// A reserved field that is not zero.
    #[error("a reserved field is not zero (§2.5)")]
    Reserved,
    /// A list in another form.
    #[error("the nvlist has not the form it must have: {0} (§2.8)")]
    Form(Box<snapfmt::Fault>),
    /// A pair that is missing, of another type, or not known; and which.
    #[error("the nvlist has not the pairs it must have: {0} (§2.9)")]
    Pairs(String),
    /// A value that its rule forbids.
    #[error("{what} is {found}: {must} ({rule})")]
    Value {
        /// The pair.
        what: &'static str,
        /// Its value, escaped.
        found: String,
        /// What the rule asks for.
        must: &'static str,
        /// The rule's number.
        rule: &'static str,
    },
    /// Facts of a host that no host has.
    #[error("{0} (§5.1)")]
    Host(HostError),
    /// A part that is not what `spec/snapshot.md` asks for.
    #[error("a part that breaks snapshot.md: {0} (§3.1)")]
    Part(snapfmt::Error),
}

fn named(message: Option<Kind>) -> String {
    message.map_or_else(String::new, |kind| format!(" ({kind})"))
}

fn shown(found: Option<&str>) -> String {
    found.map_or_else(String::new, |found| format!(", but \"{found}\""))
}

impl Fault {
    /// The number of the rule that is broken, as in `§2.4`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoItem { .. } => "§1.2",
            Self::Truncated { .. } => "§1.4",
            Self::Excess => "§1.5",
            Self::Digest { rule, .. } | Self::Value { rule, .. } => rule,
            Self::Type(_) => "§2.2",
            Self::Size { .. } => "§2.3",
            Self::Number { .. } => "§2.4",
            Self::Reserved => "§2.5",
            Self::Form(_) => "§2.8",
            Self::Pairs(_) => "§2.9",
            Self::Host(_) => "§5.1",
            Self::Part(_) => "§3.1",
        }
    }

    /// What a person can do about it, where something helps.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoItem { found: Some(_) } => Some(
                "the peer does not speak this protocol, or a shell on the way prints a greeting",
            ),
            Self::Digest { .. } | Self::Number { .. } => {
                Some("the connection damages what it carries")
            }
            _ => None,
        }
    }
}

impl From<&Breach> for Trouble {
    fn from(breach: &Breach) -> Self {
        Self {
            code: "item".to_owned(),
            words: breach.to_string(),
            hint: breach.fault.hint().map(str::to_owned),
            lines: Vec::new(),
        }
    }
}
