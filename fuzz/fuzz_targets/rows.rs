#![no_main]

#[allow(dead_code)]
#[path = "../../tests/proof/target_packing.rs"]
mod target_packing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target_packing::rows(input));
