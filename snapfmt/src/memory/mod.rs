//! Guest-physical memory: which pages exist (`map`), which are stored (`bitmap`), what all of them
//! hash to (`tree`), one block of them in hand (`block`), what changed in one (`change`), lists of
//! blocks side by side (`area`), pages by address (`pages`), and pages laid out to be changed
//! (`canvas`).
//!
//! Knows pages and addresses. Does not know how extents are framed, nor where RAM comes from.

pub mod area;
pub mod bitmap;
pub mod block;
pub(crate) mod canvas;
pub mod change;
pub mod map;
pub mod pages;
pub mod tree;
