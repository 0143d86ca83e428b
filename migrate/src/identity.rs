//! What one hand-over is about: which session, which epoch, which machine state.
//!
//! Knows no phases and no rules. Every message and every record names all three, so that nothing
//! of one hand-over can be taken for a part of another.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use snapfmt::Digest;

/// The length of a session id in bytes.
pub const SESSION_LEN: usize = 16;

/// A random id that both sides know a hand-over by. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session([u8; SESSION_LEN]);

impl Session {
    /// A session id from its 16 bytes, which the caller drew at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SESSION_LEN]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SESSION_LEN] {
        &self.0
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({self})")
    }
}

impl Serialize for Session {
    /// As the 16 bytes.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl de::Visitor<'_> for Bytes {
            type Value = Session;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a session id of 16 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Session, E> {
                let array = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Session(array))
            }
        }

        from.deserialize_bytes(Bytes)
    }
}

/// The counter of attempts to hand a VM over, and of claims. It only rises; of two that contradict
/// each other, the higher one is the younger.
pub type Epoch = u64;

/// What one hand-over is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Which hand-over this is.
    pub session: Session,
    /// The epoch at which the target is to own the VM.
    pub epoch: Epoch,
    /// The machine state that is handed over (`spec/snapshot.md` §8.2).
    pub content: Digest,
}
