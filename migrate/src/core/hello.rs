//! HELLO, both ways (§4.1).

use super::trouble::{Code, trouble};
use crate::stream::message::{By, Hello, Trouble};

/// Versions of the stream that these machines speak.
const VERSIONS: [u64; 1] = [1];

/// What this side says first.
pub(super) fn say(producer: &str, by: By) -> Hello {
    Hello { versions: VERSIONS.to_vec(), producer: producer.to_owned(), features: Vec::new(), by }
}

/// Refuses a peer with no version in common (§4.1.1).
pub(super) fn check(hello: &Hello) -> Result<(), Trouble> {
    if hello.versions.iter().any(|version| VERSIONS.contains(version)) {
        return Ok(());
    }
    let words =
        format!("the peer speaks {:?}, and this side {VERSIONS:?} (§4.1.1)", hello.versions);
    Err(trouble(Code::Version, words))
}
