//! The three files that `bhyvectl --suspend` writes.
