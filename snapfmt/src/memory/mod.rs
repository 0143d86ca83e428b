//! Guest-physical memory: which pages exist (`map`), which are stored (`bitmap`), what all of them
//! hash to (`tree`), and one block of them in hand (`block`).
//!
//! Knows pages and addresses. Does not know how extents are framed, nor where RAM comes from.

pub mod bitmap;
pub mod block;
pub mod map;
pub mod tree;
