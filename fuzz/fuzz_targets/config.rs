//! A configuration file and environment variables, from anyone: text up to the first NUL is the
//! file, each further NUL-terminated piece is a variable `NAME=value`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| config::fuzz_bytes(bytes));
