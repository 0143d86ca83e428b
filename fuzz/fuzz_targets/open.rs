//! The property `open`; see `tests/src/properties/open.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::open(data));
