//! What has to hold for whatever bytes: one property a file, each a function of bytes that panics
//! where it does not hold. Fuzzing calls them, and `tests/corpora.rs` replays what fuzzing kept.

// A property that does not hold panics; that is what it is for. Numbers of a test are small.
#![allow(clippy::panic, clippy::cast_possible_truncation, clippy::unwrap_used)]

mod chain;
mod edits;
mod hostile;
mod nvlist_decode;
mod nvlist_round_trip;
mod open;
mod round_trip;
mod said;
mod split;
mod state;
mod stream;
mod three_files;

pub use chain::chain;
pub use edits::RECORDS_AS_FIELDS;
pub use hostile::{hostile_source, hostile_target};
pub use nvlist_decode::nvlist_decode;
pub use nvlist_round_trip::nvlist_round_trip;
pub use open::open;
pub use round_trip::round_trip;
pub use split::split;
pub use state::state;
pub use stream::stream;
pub use three_files::three_files;

/// A property and its name, which is that of its target and of its corpus.
pub type Property = (&'static str, fn(&[u8]));

/// All properties.
pub const ALL: [Property; 11] = [
    ("chain", chain),
    ("hostile_source", hostile_source),
    ("hostile_target", hostile_target),
    ("nvlist_decode", nvlist_decode),
    ("nvlist_round_trip", nvlist_round_trip),
    ("open", open),
    ("round_trip", round_trip),
    ("split", split),
    ("state", state),
    ("stream", stream),
    ("three_files", three_files),
];

/// What an error may quote of a file, at most: a pair's name, escaped.
const LINE: usize = 10 << 10;

/// Whatever is shown is one line, and not endless, whatever a file says (§11.6).
fn one_line(shown: &impl ToString) {
    let shown = shown.to_string();
    assert!(shown.len() <= LINE, "{} bytes are shown: {shown:.200}", shown.len());
    assert!(!shown.contains(char::is_control), "control characters are shown: {shown:?}");
}
