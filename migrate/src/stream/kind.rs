//! The types of messages: their numbers, their names, and how long their lists may be (§2, §12).

use std::fmt;

/// The nvlist of messages that hold a few numbers.
const SMALL: u32 = 4 << 10;
/// The nvlist of messages for people: findings and disks are some hundreds.
const LARGE: u32 = 64 << 10;
/// The nvlist of HAVE: the roots of 4096 blocks.
const ROOTS: u32 = 160 << 10;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "they are those of `Message`")]
pub enum Kind {
    Hello = 1,
    Facts = 2,
    Report = 3,
    Begin = 4,
    Have = 5,
    State = 6,
    StateEnd = 7,
    StateDone = 8,
    Round = 9,
    RoundEnd = 10,
    RoundDone = 11,
    Ack = 12,
    Handover = 13,
    Copied = 14,
    Status = 15,
    Ping = 16,
    Error = 17,
    Bye = 18,
}

impl Kind {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::Hello,
        Self::Facts,
        Self::Report,
        Self::Begin,
        Self::Have,
        Self::State,
        Self::StateEnd,
        Self::StateDone,
        Self::Round,
        Self::RoundEnd,
        Self::RoundDone,
        Self::Ack,
        Self::Handover,
        Self::Copied,
        Self::Status,
        Self::Ping,
        Self::Error,
        Self::Bye,
    ];

    /// The type of a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Facts => "FACTS",
            Self::Report => "REPORT",
            Self::Begin => "BEGIN",
            Self::Have => "HAVE",
            Self::State => "STATE",
            Self::StateEnd => "STATE-END",
            Self::StateDone => "STATE-DONE",
            Self::Round => "ROUND",
            Self::RoundEnd => "ROUND-END",
            Self::RoundDone => "ROUND-DONE",
            Self::Ack => "ACK",
            Self::Handover => "HANDOVER",
            Self::Copied => "COPIED",
            Self::Status => "STATUS",
            Self::Ping => "PING",
            Self::Error => "ERROR",
            Self::Bye => "BYE",
        }
    }

    /// The most bytes its nvlist may have (§12).
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::Have => ROOTS,
            Self::Facts
            | Self::Report
            | Self::Begin
            | Self::StateDone
            | Self::Status
            | Self::Error => LARGE,
            Self::Hello
            | Self::State
            | Self::StateEnd
            | Self::Round
            | Self::RoundEnd
            | Self::RoundDone
            | Self::Ack
            | Self::Handover
            | Self::Copied
            | Self::Ping
            | Self::Bye => SMALL,
        }
    }

    /// Whether nothing follows it (§1.5, §11.1).
    #[must_use]
    pub const fn is_last(self) -> bool {
        matches!(self, Self::Error | Self::Bye)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_types_are_one_to_one() {
        assert_eq!(Kind::ALL.map(Kind::number).to_vec(), (1..=18).collect::<Vec<_>>());
        assert!((1..=18).all(|number| Kind::from_number(number).is_some()));
        assert_eq!((Kind::from_number(0), Kind::from_number(19)), (None, None));
    }
}
