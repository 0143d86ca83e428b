//! The property `split`; see `tests/src/properties/split.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::split(data));
