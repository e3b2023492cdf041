#![no_main]

#[allow(dead_code)]
#[path = "../../tests/proof/target.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::journal(input));
