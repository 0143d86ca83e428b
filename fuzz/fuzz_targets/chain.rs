//! The property `chain`; see `tests/src/properties/chain.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::chain(data));
