#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensegate::normalise::fuzz::spellings(bytes));
