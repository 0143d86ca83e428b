//! The property `nvlist_decode`; see `tests/src/properties/nvlist_decode.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::nvlist_decode(data));
