//! Fuzz target: see `reelmill_fuzz::movie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::movie::any_bytes(bytes));
