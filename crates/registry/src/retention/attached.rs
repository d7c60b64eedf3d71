//! Tags that are only there to attach something to a manifest: `sha256-<hex>`, as registries without
//! referrers have them, and cosign's `sha256-<hex>.sig`, `.att` and `.sbom`.

use oci::{Algorithm, Digest, Tag};

/// The manifest that a tag attaches something to.
pub(crate) fn subject_of(tag: &Tag) -> Option<Digest> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let algorithm = Algorithm::from_name(algorithm)?;
    let (hex, behind) =
        rest.split_at_checked(rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len()))?;
    if !(behind.is_empty() || behind.starts_with('.')) {
        return None;
    }
    Digest::from_hex(algorithm, hex).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_from_others() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let hex = digest.hex();
        for (tag, is_one) in [
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha256-{hex}-1"), false),
            (format!("sha256-{}", &hex[1..]), false),
            (format!("md5-{hex}"), false),
            ("sha256-latest".to_owned(), false),
            ("latest".to_owned(), false),
        ] {
            let found = subject_of(&Tag::parse(&tag).unwrap());
            assert_eq!(found, is_one.then_some(digest), "{tag}");
        }
    }
}
