//! `Content-Range` of an upload's chunk.

use registry::ChunkRange;

/// Parses a chunk's range: `a-b`, both inclusive (distribution-spec, "Pushing a blob in chunks").
/// The form of RFC 9110 with a unit and a size, `bytes a-b/*`, is understood too, as some clients
/// send that. `None` when it is neither, or ends before it begins.
#[must_use]
pub fn parse_chunk_range(text: &str) -> Option<ChunkRange> {
    let text = text.trim();
    let range = match text.strip_prefix("bytes") {
        Some(rest) => rest.strip_prefix([' ', '='])?.split('/').next()?.trim(),
        None => text,
    };
    let (start, end) = range.split_once('-')?;
    let (start, end) = (decimal(start)?, decimal(end)?);
    // The length must fit into an integer as well.
    (start <= end && end < u64::MAX).then_some(ChunkRange { start, end })
}

/// A number of plain digits; `str::parse` alone would take a sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(u64, u64)> {
        parse_chunk_range(text).map(|r| (r.start, r.end))
    }

    #[test]
    fn chunks() {
        assert_eq!(parse("0-0"), Some((0, 0)));
        assert_eq!(parse("0-1023"), Some((0, 1023)));
        assert_eq!(parse("1024-2047"), Some((1024, 2047)));
        assert_eq!(parse("bytes 5-9/*"), Some((5, 9)));
        assert_eq!(parse("bytes=5-9"), Some((5, 9)));
        assert_eq!(parse(" 5-9 "), Some((5, 9)));
    }

    #[test]
    fn nonsense() {
        for bad in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "9-5",
            "a-b",
            "+1-2",
            "0x1-2",
            "1-2-3",
            "1 - 2",
            "bytes",
            "bytes5-9",
            "0-18446744073709551615",
            "0-99999999999999999999",
            "items 0-1",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_read_back(start: u32, length: u32) {
            let (start, end) = (u64::from(start), u64::from(start) + u64::from(length));
            proptest::prop_assert_eq!(parse(&format!("{start}-{end}")), Some((start, end)));
        }

        #[test]
        fn no_text_breaks_it(text: String) {
            if let Some((start, end)) = parse(&text) {
                proptest::prop_assert!(start <= end && end.checked_add(1).is_some());
            }
        }
    }
}
