//! One record of a journal, as a type and as its 128 bytes (§5.2).
//!
//! Knows the layout; which record may follow which is the business of the state machines.
//!
//! The layout is fixed and no nvlist. A record then lies inside one sector and cannot straddle two;
//! where each begins follows from its number, so that a torn one at the end and a damaged one in
//! the middle can be told apart; and nothing is parsed before its digest has matched.

use snapfmt::Digest;

use crate::identity::{Identity, SESSION_LEN, Session};

/// The length of a record in bytes. It divides every sector size.
pub const LEN: usize = 128;

/// The first bytes of every record.
const MAGIC: [u8; 8] = *b"BHYVJRNL";
/// The last byte of every record: not zero, so that a write that did not come this far shows.
pub(super) const END: u8 = 0xa5;

const DIGEST_AT: usize = 88;
const DIGEST_END: usize = DIGEST_AT + 32;
const _: () = assert!(8 + 4 + 4 + 8 + 8 + SESSION_LEN + 32 + 8 == DIGEST_AT);
const _: () = assert!(DIGEST_END + 7 + 1 == LEN && 512 % LEN == 0);

/// Which side of a hand-over keeps the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that has the VM at the beginning.
    Source,
    /// The side that is to have it.
    Target,
}

/// What a record says. Numbers are those of §5.3 and are never used anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Source: the VM is suspended and its files are synced; a hand-over may follow.
    Suspended = 1,
    /// Source: from here on the VM is the target's.
    HandedOver = 2,
    /// Source: the target has said that the VM runs there, or is kept there.
    Done = 3,
    /// Source: the VM is the source's again, and is about to be resumed.
    Resuming = 4,
    /// Source: the guest has run here again.
    Resumed = 5,
    /// Target: everything has arrived, is verified and synced.
    Ready = 16,
    /// Target: the VM is the target's.
    Owner = 17,
    /// Target: the VM is about to be started.
    Starting = 18,
    /// Target: the guest has run here.
    Running = 19,
    /// Target: nothing is to be started here; the snapshot is kept.
    Kept = 20,
    /// Target: this copy is given up and will never be started.
    Released = 21,
    /// Both: a person, or a fencing command, made this side the owner.
    Claimed = 32,
    /// Both: the other side's claim stands; this copy is given up.
    Superseded = 33,
    /// Both: the other side can no longer claim the VM.
    Settled = 34,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Suspended,
        Self::HandedOver,
        Self::Done,
        Self::Resuming,
        Self::Resumed,
        Self::Ready,
        Self::Owner,
        Self::Starting,
        Self::Running,
        Self::Kept,
        Self::Released,
        Self::Claimed,
        Self::Superseded,
        Self::Settled,
    ];

    /// Its name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Suspended => "SUSPENDED",
            Self::HandedOver => "HANDED-OVER",
            Self::Done => "DONE",
            Self::Resuming => "RESUMING",
            Self::Resumed => "RESUMED",
            Self::Ready => "READY",
            Self::Owner => "OWNER",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Kept => "KEPT",
            Self::Released => "RELEASED",
            Self::Claimed => "CLAIMED",
            Self::Superseded => "SUPERSEDED",
            Self::Settled => "SETTLED",
        }
    }
}

/// Why a claim was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// A person said that the peer is off.
    PeerIsOff,
    /// A fencing command succeeded.
    Fenced,
}

/// What a state machine wants on the disk. The journal adds the sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Whose journal it belongs to.
    pub role: Role,
    /// What it says.
    pub kind: Kind,
    /// Why; with [`Kind::Claimed`] only.
    pub evidence: Option<Evidence>,
    /// What it is about. The epoch of CLAIMED and SUPERSEDED is the claim's.
    pub identity: Identity,
}

/// An entry in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its number in the file, from 0.
    pub sequence: u64,
    /// What it says.
    pub entry: Entry,
}

/// What is wrong with the bytes of a record. Rule numbers are those of `spec/handover.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Digest and bytes do not fit together.
    #[error("the digest of the record does not match its bytes: they were damaged (§5.2.6)")]
    Digest,
    /// The first bytes are not a record's.
    #[error("no record begins here (§5.2.1)")]
    Magic,
    /// A byte that must be zero is not, or the end mark is missing.
    #[error("reserved bytes of the record are not as they must be (§5.2.5)")]
    Reserved,
    /// A role, kind or evidence that this reader does not know.
    #[error("the record's {what} is {found}, which this version does not know (§5.2.2)")]
    Unknown {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// The sequence number is not the record's place in the file.
    #[error("the record is number {found}, and number {wanted} belongs here (§5.2.3)")]
    Sequence {
        /// The number in the record.
        found: u64,
        /// The number that follows from its place.
        wanted: u64,
    },
}

impl Record {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let Entry { role, kind, evidence, identity } = self.entry;
        let role: u16 = match role {
            Role::Source => 1,
            Role::Target => 2,
        };
        let evidence: u32 = match evidence {
            None => 0,
            Some(Evidence::PeerIsOff) => 1,
            Some(Evidence::Fenced) => 2,
        };
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        bytes.extend(role.to_le_bytes());
        bytes.extend((kind as u16).to_le_bytes());
        bytes.extend(evidence.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(identity.epoch.to_le_bytes());
        bytes.extend(identity.session.as_bytes());
        bytes.extend(identity.content.as_bytes());
        bytes.extend([0; 8]);
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        bytes.extend([0; 7]);
        bytes.push(END);
        let mut array = [0; LEN];
        array.copy_from_slice(&bytes);
        array
    }

    /// The record in `bytes`, which stand where number `wanted` belongs.
    ///
    /// # Errors
    /// What is wrong with them. Nothing but the magic is looked at before the digest.
    pub fn decode(bytes: &[u8; LEN], wanted: u64) -> Result<Self, Flaw> {
        let mut fields = Fields(bytes);
        if fields.array() != MAGIC {
            return Err(Flaw::Magic);
        }
        let (covered, rest) = bytes.split_at(DIGEST_AT);
        let (stored, end) = rest.split_at(32);
        if Digest::of(covered).as_bytes() != stored {
            return Err(Flaw::Digest);
        }
        if end != [0, 0, 0, 0, 0, 0, 0, END] {
            return Err(Flaw::Reserved);
        }
        let role = u16::from_le_bytes(fields.array());
        let kind = u16::from_le_bytes(fields.array());
        let evidence = u32::from_le_bytes(fields.array());
        let sequence = u64::from_le_bytes(fields.array());
        let epoch = u64::from_le_bytes(fields.array());
        let session = Session::from_bytes(fields.array());
        let content = Digest::from_bytes(fields.array());
        if fields.array() != [0; 8] {
            return Err(Flaw::Reserved);
        }
        let unknown = |what, found| Flaw::Unknown { what, found };
        let role = match role {
            1 => Role::Source,
            2 => Role::Target,
            other => return Err(unknown("role", other.into())),
        };
        let known = Kind::ALL.into_iter().find(|known| *known as u16 == kind);
        let kind = known.ok_or(unknown("kind", kind.into()))?;
        let evidence = match (evidence, kind) {
            (1, Kind::Claimed) => Some(Evidence::PeerIsOff),
            (2, Kind::Claimed) => Some(Evidence::Fenced),
            (0, kind) if kind != Kind::Claimed => None,
            (other, _) => return Err(unknown("evidence", other.into())),
        };
        if sequence != wanted {
            return Err(Flaw::Sequence { found: sequence, wanted });
        }
        let identity = Identity { session, epoch, content };
        Ok(Self { sequence, entry: Entry { role, kind, evidence, identity } })
    }
}

/// Takes fields off the front; what is taken is bounded by the array's length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        if let Some((taken, rest)) = self.0.split_at_checked(N) {
            array.copy_from_slice(taken);
            self.0 = rest;
        }
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind) -> Record {
        let identity = Identity {
            session: Session::from_bytes([7; SESSION_LEN]),
            epoch: 3,
            content: Digest::of(b"state"),
        };
        let evidence = (kind == Kind::Claimed).then_some(Evidence::Fenced);
        Record { sequence: 5, entry: Entry { role: Role::Target, kind, evidence, identity } }
    }

    #[test]
    fn every_kind_comes_back_as_it_was() {
        for kind in Kind::ALL {
            assert_eq!(Record::decode(&record(kind).encode(), 5), Ok(record(kind)));
        }
    }

    #[test]
    fn no_flipped_bit_passes() {
        let good = record(Kind::Owner).encode();
        for bit in 0..LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bad, 5).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_place_is_refused() {
        let flaw = Flaw::Sequence { found: 5, wanted: 4 };
        assert_eq!(Record::decode(&record(Kind::Ready).encode(), 4), Err(flaw));
    }

    #[test]
    fn an_unknown_kind_is_named_although_its_digest_matches() {
        let mut bytes = record(Kind::Ready).encode();
        bytes[10] = 99;
        let digest = Digest::of(&bytes[..DIGEST_AT]);
        bytes[DIGEST_AT..DIGEST_END].copy_from_slice(digest.as_bytes());
        let flaw = Flaw::Unknown { what: "kind", found: 99 };
        assert_eq!(Record::decode(&bytes, 5), Err(flaw));
    }
}
