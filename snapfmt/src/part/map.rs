//! x
pub const ENTRY_LEN: usize = 96;
