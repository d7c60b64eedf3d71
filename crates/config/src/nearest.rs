//! Suggests the known name that an unknown one was probably meant to be.

/// Longest name that is compared, in bytes; longer ones get no suggestion.
const NAME_BYTES_MAX: usize = 128;

/// The nearest of `known` by edit distance, if it is near enough to be a likely slip.
pub(crate) fn nearest<'k>(
    unknown: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    if unknown.len() > NAME_BYTES_MAX {
        return None;
    }
    let unknown = unknown.to_ascii_lowercase();
    // A third of the name may be wrong, and one letter of the shortest.
    let distance_max = (unknown.len() / 3).max(1);
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(unknown.len()) <= distance_max)
        .map(|name| (distance(&unknown, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance in bytes, where two swapped neighbours count as one slip.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let mut best = (above[j] + usize::from(l != r)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_slips_and_nothing_far_fetched() {
        let known = ["addr", "net", "host", "relativeurls", "draintimeout"];
        for (unknown, found) in [
            ("adr", Some("addr")),
            ("relativeurl", Some("relativeurls")),
            ("drainTimeout", Some("draintimeout")),
            ("nte", Some("net")),
            ("xylophone", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown, known), found, "{unknown}");
        }
    }
}
