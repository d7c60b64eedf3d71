//! Repository names, tags, digests and references: accepted is exactly what the expressions of the
//! OCI distribution and image specifications accept, and what was accepted reads back as it was.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use regex::Regex;

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    expression("[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*")
});
static TAG: LazyLock<Regex> = LazyLock::new(|| expression("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"));
/// The registered algorithms, and SHA-384, which Distribution knows.
static DIGEST: LazyLock<Regex> =
    LazyLock::new(|| expression("sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"));

fn expression(text: &str) -> Regex {
    Regex::new(&format!("^(?:{text})$")).expect("a fixed expression")
}

fuzz_target!(|text: &str| {
    let name = RepositoryName::parse(text);
    assert_eq!(name.is_ok(), text.len() <= 255 && NAME.is_match(text), "name {text:?}");
    if let Ok(name) = &name {
        assert_eq!(name.as_str(), text);
        assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);
    }

    let tag = Tag::parse(text);
    assert_eq!(tag.is_ok(), TAG.is_match(text), "tag {text:?}");
    if let Ok(tag) = &tag {
        assert_eq!(tag.as_str(), text);
    }

    let digest = Digest::parse(text);
    assert_eq!(digest.is_ok(), DIGEST.is_match(text), "digest {text:?}");
    if let Ok(digest) = &digest {
        check_digest(digest, text);
    }

    let reference = Reference::parse(text);
    assert_eq!(reference.is_ok(), tag.is_ok() || digest.is_ok(), "reference {text:?}");
    if let Ok(reference) = reference {
        assert_eq!(reference.to_string(), text);
        assert_eq!(matches!(reference, Reference::Digest(_)), digest.is_ok());
    }
    for error in [name.err().map(|e| e.to_string()), digest.err().map(|e| e.to_string())] {
        assert!(error.is_none_or(|e| e.len() < 512), "an error repeats its input without a bound");
    }
});

fn check_digest(digest: &Digest, text: &str) {
    assert_eq!(digest.to_string(), text);
    assert_eq!(Digest::from_hex(digest.algorithm(), &digest.hex()).as_ref(), Ok(digest));
    assert_eq!(digest.as_bytes().len(), digest.algorithm().size_bytes());
    assert_eq!(Algorithm::from_name(digest.algorithm().as_str()), Some(digest.algorithm()));
    assert!(Tag::parse(&digest.referrers_tag()).is_ok(), "the fallback tag of {text} is none");
}
