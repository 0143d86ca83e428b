//! The property `hostile_source`; see `tests/src/properties/hostile.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::hostile_source(data));
