//! `Range` of a download, and `Content-Range` of an upload's chunk. The first eight bytes are the
//! size of the blob.
#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use server::fuzzing::{Requested, parse_chunk_range, parse_range};
use server::limits::RANGES_MAX;

fuzz_target!(|input: (u64, &str)| {
    let (size_bytes, text) = input;
    // Small sizes, near whose end mistakes are made, and all that a file can have.
    for size_bytes in [size_bytes % 100, size_bytes >> 1] {
        match parse_range(text, size_bytes) {
            Requested::One(part) => check_parts(&[part], size_bytes),
            Requested::Many(parts) => {
                assert!(parts.len() >= 2);
                check_parts(&parts, size_bytes);
            }
            Requested::Whole | Requested::Unsatisfiable => {}
        }
    }
    if let Some(chunk) = parse_chunk_range(text) {
        assert!(chunk.start <= chunk.end && (chunk.end - chunk.start).checked_add(1).is_some());
        assert_eq!(parse_chunk_range(&format!("{}-{}", chunk.start, chunk.end)), Some(chunk));
    }
});

/// No part is empty or outside the content, and together they are not more than it.
fn check_parts(parts: &[Range<u64>], size_bytes: u64) {
    assert!(parts.len() <= RANGES_MAX);
    let mut total_bytes = 0_u64;
    for part in parts {
        assert!(part.start < part.end && part.end <= size_bytes, "{part:?} of {size_bytes}");
        total_bytes = total_bytes.checked_add(part.end - part.start).expect("a sum below the size");
    }
    assert!(total_bytes <= size_bytes);
}
