//! The property `stream`; see `tests/src/properties/stream.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::stream(data));
