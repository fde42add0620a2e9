//! Fuzz target: see `reelmill_fuzz::tegrastats`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::tegrastats::any_bytes(bytes));
