//! `struct vm_mtrr`: memory type range registers, which vmm emulates.

use super::super::dsl::part;
use super::super::schema::{Part, Width};

const fn msr(name: &'static str, at: u32) -> Part {
    part(name, at, Width::Eight)
}

/// Its members, in its order.
pub(super) const MTRR: &[Part] = &[
    msr("def_type", 0),
    msr("fixed4k[0]", 8),
    msr("fixed4k[1]", 16),
    msr("fixed4k[2]", 24),
    msr("fixed4k[3]", 32),
    msr("fixed4k[4]", 40),
    msr("fixed4k[5]", 48),
    msr("fixed4k[6]", 56),
    msr("fixed4k[7]", 64),
    msr("fixed16k[0]", 72),
    msr("fixed16k[1]", 80),
    msr("fixed64k", 88),
    msr("var[0].base", 96),
    msr("var[0].mask", 104),
    msr("var[1].base", 112),
    msr("var[1].mask", 120),
    msr("var[2].base", 128),
    msr("var[2].mask", 136),
    msr("var[3].base", 144),
    msr("var[3].mask", 152),
    msr("var[4].base", 160),
    msr("var[4].mask", 168),
    msr("var[5].base", 176),
    msr("var[5].mask", 184),
    msr("var[6].base", 192),
    msr("var[6].mask", 200),
    msr("var[7].base", 208),
    msr("var[7].mask", 216),
    msr("var[8].base", 224),
    msr("var[8].mask", 232),
    msr("var[9].base", 240),
    msr("var[9].mask", 248),
];

/// Its length.
pub(super) const MTRR_LEN: u32 = 256;
