//! Every bound this crate puts on its input, each with its reason.
//!
//! A bound exists so that the work and the memory an input can ask for are known before the input
//! is. None of them is met by anything a bhyve host writes.

// Name/value lists.

/// Bytes of a packed list. Device state is far below this; guest memory is never in a list.
pub const NVLIST_SIZE: usize = 64 << 20;

/// Lists inside each other, the outermost counted. Bounds the recursion of everything that follows
/// the shape of a list (drop, clone, pack, print); libnv's own recursion has no bound and overflows
/// the stack. Real lists have fewer than ten levels.
pub const NVLIST_DEPTH: usize = 128;

/// Pairs of a packed list, those of nested lists, elements of list arrays and elements of string
/// arrays counted: everything that costs the reader an allocation of its own. With
/// [`NVLIST_DEPTH`] it also bounds the work of walking a list level by level.
pub const NVLIST_PAIRS: usize = 1 << 18;

/// Bytes of a pair's name without its NUL. libnv's `NV_NAME_MAX` less the NUL.
pub const NVLIST_NAME: usize = 2047;
