//! The command line of the snapshot toolkit.

fn main() {}
