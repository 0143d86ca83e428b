//! The note that a side keeps beside what it sends or holds: of which session, of which machine
//! (§10.2).
//!
//! It says whose memory that is. It says nothing of how much of it there is: that is found out by
//! reading it (§6.3).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use snapfmt::Digest;
use snapfmt::memory::map::{MemoryMap, Segment};
use snapfmt::nvlist::{Options, View, from_view, to_nvlist};
use snapfmt::part::vm::Vm;

use crate::identity::{Epoch, Identity, Session};
use crate::regular;

const MAGIC: [u8; 8] = *b"BHYVNOTE";
/// No note is longer: a name of 255 bytes, 64 segments, a peer's address.
const MOST: usize = 16 << 10;

/// What a side notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which hand-over, at which epoch; nothing for a copy.
    pub session: Option<(Session, Epoch)>,
    /// The machine.
    pub vm: Vm,
    /// Where the peer is, at the source.
    pub peer: Option<String>,
    /// At the target: a sync of memory has begun and, as far as is known, not ended well. What
    /// reads as written may be on no disk, and no later sync would write it.
    pub doubtful: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    #[serde(default, with = "snapfmt::nvlist::serde::binary")]
    session: Vec<u8>,
    epoch: Option<u64>,
    arch: String,
    name: String,
    ncpus: u64,
    memflags: u64,
    gpa: Vec<u64>,
    len: Vec<u64>,
    peer: Option<String>,
    doubtful: bool,
}

/// Why there is no note.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what this program writes.
    #[error("it is damaged, or no note of a migration")]
    Damaged,
}

impl Note {
    /// Whether memory of this machine can go on from what it is of (§10.2).
    #[must_use]
    pub fn is_of(&self, vm: &Vm) -> bool {
        self.vm.name == vm.name && self.vm.memory == vm.memory
    }

    /// Whether it is of this hand-over.
    #[must_use]
    pub fn has(&self, identity: &Identity) -> bool {
        self.session == Some((identity.session, identity.epoch))
    }

    /// Reads the note at `path`; nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is no note.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let mut bytes = Vec::new();
        match regular::read(path) {
            Ok(file) => file.take(MOST as u64 + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Self::decode(&bytes).map(Some).ok_or(Error::Damaged)
    }

    /// Writes the note, durable; a crash leaves the old one or this.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.encode().ok_or(Error::Damaged)?;
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let Vm { arch, name, ncpus, memflags, memory } = &self.vm;
        let (gpa, len) = memory.segments().iter().map(|s| (s.gpa, s.len)).unzip();
        let session = self.session.map(|(session, _)| session.as_bytes().to_vec());
        let pairs = Pairs {
            session: session.unwrap_or_default(),
            epoch: self.session.map(|(_, epoch)| epoch),
            arch: arch.clone(),
            name: name.clone(),
            ncpus: *ncpus,
            memflags: *memflags,
            gpa,
            len,
            peer: self.peer.clone(),
            doubtful: self.doubtful,
        };
        let list = to_nvlist(&pairs).ok()?.pack().ok()?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(list);
        bytes.extend_from_slice(Digest::of(&bytes).as_bytes());
        (bytes.len() <= MOST).then_some(bytes)
    }

    /// The digest first.
    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MOST {
            return None;
        }
        let (covered, digest) = bytes.split_last_chunk::<{ snapfmt::digest::LEN }>()?;
        if Digest::of(covered).as_bytes() != digest {
            return None;
        }
        let list = covered.strip_prefix(&MAGIC)?;
        let pairs: Pairs = from_view(View::parse(list, &Options::new()).ok()?).ok()?;
        let session = match (pairs.session.is_empty(), pairs.epoch) {
            (true, None) => None,
            (false, Some(epoch)) => {
                Some((Session::from_bytes(pairs.session.try_into().ok()?), epoch))
            }
            _ => return None,
        };
        if pairs.gpa.len() != pairs.len.len() {
            return None;
        }
        let segments = pairs.gpa.into_iter().zip(pairs.len);
        let segments = segments.map(|(gpa, len)| Segment { gpa, len }).collect();
        let memory = MemoryMap::new(segments).ok()?;
        let Pairs { arch, name, ncpus, memflags, peer, doubtful, .. } = pairs;
        Some(Self { session, vm: Vm { arch, name, ncpus, memflags, memory }, peer, doubtful })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let session = Some((Session::from_bytes([7; 16]), 3));
        let segments = [(0, 3 << 30), (4 << 30, 1 << 30)];
        let segments = segments.map(|(gpa, len)| Segment { gpa, len }).to_vec();
        let memory = MemoryMap::new(segments).unwrap();
        let (arch, name) = ("amd64".to_owned(), "vm0".to_owned());
        let vm = Vm { arch, name, ncpus: 2, memflags: 0, memory };
        Note { session, vm, peer: Some("ssh://b/vm".to_owned()), doubtful: false }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let dir = std::env::temp_dir().join(format!("note-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("session");
        assert!(Note::read(&path).unwrap().is_none());
        for note in [note(), Note { session: None, peer: None, doubtful: true, ..note() }] {
            note.write(&path).unwrap();
            assert_eq!(Note::read(&path).unwrap(), Some(note));
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_note_with_a_flipped_bit_or_a_cut_is_none() {
        let bytes = note().encode().unwrap();
        assert_eq!(Note::decode(&bytes), Some(note()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            assert_eq!(Note::decode(&bad), None, "byte {at}");
            assert_eq!(Note::decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
