//! Fuzz target: see `reelmill_fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reelmill_fuzz::message::any_bytes(bytes));
