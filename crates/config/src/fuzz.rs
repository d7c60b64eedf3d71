//! The entry point for fuzzing.

use crate::{
    environment::Environment,
    load::{Source, build},
};

/// Loads arbitrary bytes: text up to the first NUL is the file, each further NUL-terminated
/// piece is a variable `NAME=value`. Must never panic, whatever the bytes are.
pub fn fuzz_bytes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut pieces = text.split('\0');
    let source = Source::new("fuzz.yml", pieces.next().unwrap_or_default());
    let environment = Environment::from_iter(pieces.filter_map(|piece| piece.split_once('=')));
    let (config, findings) = build(&source, &environment);
    for finding in &findings {
        let _line = finding.to_string();
    }
    let _refused = config.unsupported();
    let _printed = config.print();
}
