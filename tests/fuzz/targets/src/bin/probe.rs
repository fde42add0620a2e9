//! Fuzz target: see `reelmill_fuzz::probe`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::probe::any_bytes(bytes));
