//! `Range` of a download (RFC 9110, section 14).

use std::ops::Range;

use crate::content_range::decimal;
use crate::limits::RANGES_MAX;

/// What a `Range` header asks for, given the size of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// All of it: no range, an unknown unit, an empty blob, or so many pieces that all of it is
    /// less work.
    Whole,
    /// One part.
    One(Range<u64>),
    /// Several parts, in the order they were asked for.
    Many(Vec<Range<u64>>),
    /// Nothing that could be served: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `size_bytes`.
///
/// Like Distribution (and unlike the letter of RFC 9110, which lets a server ignore it), a range
/// of bytes that can't be read or ends before it begins is refused rather than answered with
/// gigabytes that nobody asked for.
#[must_use]
pub fn parse_range(text: &str, size_bytes: u64) -> Requested {
    let Some((unit, set)) = text.split_once('=') else {
        return Requested::Unsatisfiable;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Requested::Whole;
    }
    if size_bytes == 0 {
        return Requested::Whole;
    }
    let mut parts = Vec::new();
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        match parse_spec(spec, size_bytes) {
            Some(part) if part.is_empty() => {}
            Some(_) if parts.len() == RANGES_MAX => return Requested::Whole,
            Some(part) => parts.push(part),
            None => return Requested::Unsatisfiable,
        }
    }
    let total: u64 = parts.iter().fold(0, |sum, part| sum.saturating_add(part.end - part.start));
    match parts.len() {
        0 => Requested::Unsatisfiable,
        1 => Requested::One(parts.swap_remove(0)),
        // Overlapping parts would make the response larger than the blob.
        _ if total > size_bytes => Requested::Whole,
        _ => Requested::Many(parts),
    }
}

/// One element of the set: an empty range when it lies behind the end, `None` when it is nonsense.
fn parse_spec(spec: &str, size_bytes: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = decimal(last)?.min(size_bytes);
        return Some(size_bytes - suffix..size_bytes);
    }
    let first = decimal(first)?;
    let end = match last {
        "" => size_bytes,
        last => {
            let last = decimal(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(size_bytes)
        }
    };
    Some(first.min(end)..end)
}

/// Whether `If-Range` lets the range be served: it must be the strong entity tag of what is there.
/// A date never matches, as blobs have none (RFC 9110, section 13.1.5).
#[must_use]
pub(crate) fn if_range_matches(text: &str, etag: &str) -> bool {
    text.trim() == etag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_conformance_suite_asks() {
        for (text, expected) in [
            ("bytes=500-1499", Requested::One(500..1500)),
            ("bytes=500-", Requested::One(500..2048)),
            ("bytes=-500", Requested::One(1548..2048)),
            ("bytes=2000-5000", Requested::One(2000..2048)),
            ("bytes=500-0", Requested::Unsatisfiable),
            ("bytes=5000-10000", Requested::Unsatisfiable),
        ] {
            assert_eq!(parse_range(text, 2048), expected, "{text}");
        }
    }

    #[test]
    fn the_rest() {
        let many = |parts: &[Range<u64>]| Requested::Many(parts.to_vec());
        for (text, size, expected) in [
            ("bytes=0-0", 10, Requested::One(0..1)),
            ("BYTES = 0-0", 10, Requested::One(0..1)),
            ("bytes=-99", 10, Requested::One(0..10)),
            ("bytes=-0", 10, Requested::Unsatisfiable),
            ("bytes=10-", 10, Requested::Unsatisfiable),
            ("bytes=9-", 10, Requested::One(9..10)),
            ("bytes=0-18446744073709551615", 10, Requested::One(0..10)),
            ("bytes=0-1,5-6", 10, many(&[0..2, 5..7])),
            ("bytes=0-1, 50-60 ,,8-", 10, many(&[0..2, 8..10])),
            ("bytes=0-1,50-60", 10, Requested::One(0..2)),
            ("bytes=0-8,0-8", 10, Requested::Whole),
            ("bytes=0-1,x", 10, Requested::Unsatisfiable),
            ("bytes=", 10, Requested::Unsatisfiable),
            ("bytes=,", 10, Requested::Unsatisfiable),
            ("bytes=+1-2", 10, Requested::Unsatisfiable),
            ("bytes=--1", 10, Requested::Unsatisfiable),
            ("bytes 0-1", 10, Requested::Unsatisfiable),
            ("items=0-1", 10, Requested::Whole),
            ("bytes=0-", 0, Requested::Whole),
            ("bytes=5-9", 0, Requested::Whole),
        ] {
            assert_eq!(parse_range(text, size), expected, "{text} of {size}");
        }
        let crowd = (0..=RANGES_MAX).map(|i| format!("{i}-{i}")).collect::<Vec<_>>().join(",");
        assert_eq!(parse_range(&format!("bytes={crowd}"), 1000), Requested::Whole);
    }

    #[test]
    fn if_range() {
        assert!(if_range_matches("\"sha256:a\"", "\"sha256:a\""));
        for other in
            ["W/\"sha256:a\"", "sha256:a", "\"sha256:b\"", "Wed, 21 Oct 2015 07:28:00 GMT", ""]
        {
            assert!(!if_range_matches(other, "\"sha256:a\""), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_outside_the_content_is_ever_asked_for(
            text in "(bytes=)?[0-9,\\- ]{0,40}", size in 0_u64..100,
        ) {
            let parts = match parse_range(&text, size) {
                Requested::One(part) => vec![part],
                Requested::Many(parts) => parts,
                Requested::Whole | Requested::Unsatisfiable => Vec::new(),
            };
            for part in &parts {
                proptest::prop_assert!(part.start < part.end && part.end <= size);
            }
            proptest::prop_assert!(parts.len() <= RANGES_MAX);
        }

        #[test]
        fn no_text_breaks_it(text: String, size: u64) {
            let _ = parse_range(&text, size);
        }
    }
}
