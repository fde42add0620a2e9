//! Fuzz target: see `reelmill_fuzz::preset`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::preset::any_bytes(bytes));
