//! SHA-256, and nothing else: the only file that names a hash function (spec §1.4).
//!
//! It does not know what is digested, nor which bytes a digest covers.

use std::fmt;
use std::slice;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use sha2::Digest as _;
use sha2::block_api::compress256;

/// The length of a digest in bytes.
pub const LEN: usize = 32;

/// A SHA-256 digest. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; LEN]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest from its 32 stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut bytes = [0; LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotADigest)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    /// As the 32 bytes.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl de::Visitor<'_> for Bytes {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest of 32 bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Digest, E> {
                let array = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Digest(array))
            }
        }

        from.deserialize_bytes(Bytes)
    }
}

/// The bytes of a block, which is what SHA-256 works on.
const BLOCK: usize = 64;

/// The state before the first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The digests of two messages, each `first` and then as many bytes as the other, as
/// [`Hasher`] gives them, but sooner.
///
/// Each round of SHA-256 waits for the one before, so that a processor with instructions for it
/// stands idle half of the time. Block by block in turn, it works on both messages at once: two
/// pages take two thirds of the time of one after the other.
#[must_use]
pub fn pair(first: u8, messages: [&[u8]; 2]) -> [Digest; 2] {
    let alone = |message: &[u8]| {
        let mut hasher = Hasher::new();
        hasher.update(&[first]);
        hasher.update(message);
        hasher.finish()
    };
    let apart = || messages.map(alone);
    let len = messages[0].len();
    let split = messages.map(|message| message.split_at_checked(BLOCK - 1));
    let ([Some(a), Some(b)], true) = (split, messages[1].len() == len) else { return apart() };
    let mut states = [START; 2];
    for (state, (begin, _)) in states.iter_mut().zip([a, b]) {
        let mut block = [first; BLOCK];
        if let Some(rest) = block.get_mut(1..) {
            rest.copy_from_slice(begin);
        }
        compress256(state, &[block]);
    }
    let [(middle, end), (other, other_end)] = [a.1, b.1].map(<[u8]>::as_chunks::<BLOCK>);
    let [one, two] = &mut states;
    for (a, b) in middle.iter().zip(other) {
        compress256(one, slice::from_ref(a));
        compress256(two, slice::from_ref(b));
    }
    for (state, end) in states.iter_mut().zip([end, other_end]) {
        let (blocks, count) = last(end, len.saturating_add(1));
        compress256(state, blocks.get(..count).unwrap_or_default());
    }
    states.map(|state| {
        let mut bytes = [0; LEN];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
            *place = word.to_be_bytes();
        }
        Digest(bytes)
    })
}

/// What is left of a message of `len` bytes behind its whole blocks, padded (FIPS 180-4, 5.1.1),
/// and how many blocks that is.
fn last(rest: &[u8], len: usize) -> ([[u8; BLOCK]; 2], usize) {
    let mut blocks = [[0; BLOCK]; 2];
    let count = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    let bits = (len as u64).wrapping_mul(8).to_be_bytes();
    let flat = blocks.as_flattened_mut();
    let padded = rest.iter().chain(&[0x80]);
    flat.iter_mut().zip(padded).for_each(|(place, byte)| *place = *byte);
    let places = flat.iter_mut().skip(count * BLOCK - 8);
    places.zip(bits).for_each(|(place, byte)| *place = byte);
    (blocks, count)
}

/// A digest taken piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Starts an empty digest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to what is digested.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes given so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        let mut hasher = Hasher::new();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn a_pair_has_the_digests_of_each_alone() {
        let bytes: Vec<u8> = (0..9000_u32).map(|n| (n * n).to_le_bytes()[1]).collect();
        for len in (0..400).chain([4095, 4096, 4097]) {
            for other in [len, len + 1] {
                let messages = [&bytes[..len], &bytes[9000 - other..]];
                let alone = messages.map(|message| Digest::of(&[&[7], message].concat()));
                assert_eq!(pair(7, messages), alone, "{len} and {other} bytes");
            }
        }
    }

    #[test]
    fn text_and_digest_round_trip() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("ba78".parse::<Digest>(), Err(NotADigest));
    }
}
