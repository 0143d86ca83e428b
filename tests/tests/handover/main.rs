//! Everything that can happen to a hand-over, within stated bounds: the product's own state
//! machines, in a world that loses, doubles, delays, crashes and asks people.
//!
//! [`world`] is the world and its steps, [`driver`] what does the machines' actions, faithfully or
//! broken in one way, [`laws`] what must hold, [`explore`] the search.
//!
//! The search is our own and not a crate's. What has to be shown is that an end is reached *from*
//! every state, without luck: a run from each state does that. The crate that offers itself
//! (stateright) checks invariants as well, but asks of liveness whether *all* paths arrive, which a
//! world that may lose every message never does; and it brings 44 crates, a web server among them.

// The lints know `#[test]` functions, but not their helpers; numbers of states fit every type.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod driver;
mod explore;
mod host;
mod laws;
mod laws_hold;
mod world;
