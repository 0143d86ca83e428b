//! The property `three_files`; see `tests/src/properties/three_files.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::three_files(data));
