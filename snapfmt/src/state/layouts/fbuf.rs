//! The framebuffer: `fbuf`.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Shape};
use super::pci::pci;

/// 16 or 32 MiB in what is known.
const FBUF: &[Item] = &[shaped("fbuf_sc->fb_base", Shape::Rest).means("what the screen shows")];

pub(super) static LAYOUTS: [Layout; 4] = pci!("fbuf", "", &["fbuf"], [FBUF, &[]], newer);
