//! The property `nvlist_round_trip`; see `tests/src/properties/nvlist_round_trip.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::nvlist_round_trip(data));
