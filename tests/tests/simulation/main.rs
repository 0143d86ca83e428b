//! Whole migrations in a world that is made of one seed: the product's machines, journals, codec
//! and parts, over disks that lose what was not synced, a network that cuts, stalls and flips, and
//! processes and hosts that die between any two steps.
//!
//! [`runs`] are migrations, [`copies`] what goes one way only.
//!
//! [`world`] decides what happens next, [`process`] is a process of either side, [`source`] and
//! [`target`] do what its machine asks for, [`disk`] and [`link`] are what can fail, [`image`] is
//! the VM, [`fault`] what goes wrong, [`laws`] what must hold whatever does, and [`variant`] what
//! a careless driver could do: each such is found out.
//!
//! `SIM_SEED=n` runs one seed and shows what happens in it; `SIM_SEEDS=n` runs so many.

// The lints know `#[test]` functions, but not their helpers; numbers of these worlds fit all types.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod copies;
mod disk;
mod fault;
mod image;
mod laws;
mod link;
mod process;
mod rng;
mod runs;
mod source;
mod target;
mod variant;
mod world;
