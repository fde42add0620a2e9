//! Fuzz target: see `reelmill_fuzz::playlist`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::playlist::any_bytes(bytes));
