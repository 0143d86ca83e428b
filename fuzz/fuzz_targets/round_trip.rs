//! The property `round_trip`; see `tests/src/properties/round_trip.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::properties::round_trip(data));
