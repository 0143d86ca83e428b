//! The property `hostile_target`; see `tests/src/properties/hostile.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::hostile_target(data));
