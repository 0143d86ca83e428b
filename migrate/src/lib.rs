//! The place where migration between hosts will live: two state machines without I/O, and a thin
//! driver. Nothing is built yet; the README says so too.
