//! Fuzz target: see `reelmill_fuzz::boxes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::boxes::any_bytes(bytes));
