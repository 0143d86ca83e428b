//! The property `state`; see `tests/src/properties/state.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::state(data));
