//! The journal on disks that fail as disks do, and the hand-over on top of it.

// The lints know `#[test]` functions, but not their helpers.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod crashes;
mod disk;
mod reading;
mod syncing;

use migrate::identity::SESSION_LEN;
use migrate::journal::{Entry, Kind, Role};
use migrate::{Identity, Session};
use snapfmt::Digest;

fn identity() -> Identity {
    let session = Session::from_bytes([1; SESSION_LEN]);
    Identity { session, epoch: 1, content: Digest::of(b"the state of a machine") }
}

fn entry(role: Role, kind: Kind) -> Entry {
    Entry { role, kind, evidence: None, identity: identity() }
}

/// What the source of a hand-over that went well has written.
fn written() -> [Entry; 3] {
    [Kind::Suspended, Kind::HandedOver, Kind::Done].map(|kind| entry(Role::Source, kind))
}
