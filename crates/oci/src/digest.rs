//! Content digests: the algorithms a registry must know, their text form and their running state.

use std::fmt;

use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A registered digest algorithm (OCI image-spec, "Digests"), plus `sha384`, which Distribution
/// accepts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the canonical algorithm: every blob is stored under its SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the canonical one first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name before the colon of a digest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Finds an algorithm by the name before the colon.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// Length of the raw digest, in bytes.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha384 => Hasher::Sha384(Sha384::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest, `algorithm:hex` as text. Small and `Copy`; compares and hashes by value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The raw digest, padded with zeros behind `algorithm.size_bytes()`.
    bytes: [u8; 64],
}

impl Digest {
    /// Parses `algorithm:hex`. The hexadecimal digits must be lower case and of the exact number
    /// (OCI image-spec, "Registered algorithms").
    ///
    /// # Errors
    /// [`DigestError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Malformed)?;
        if !is_algorithm_name(name) || encoded.is_empty() {
            return Err(DigestError::Malformed);
        }
        let algorithm = Algorithm::from_name(name)
            .ok_or_else(|| DigestError::UnsupportedAlgorithm(name.chars().take(32).collect()))?;
        Self::from_hex(algorithm, encoded)
    }

    /// Builds a digest from the part behind the colon.
    ///
    /// # Errors
    /// [`DigestError::Encoding`] when `hex` is not lower-case hexadecimal of the right length.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Result<Self, DigestError> {
        let size = algorithm.size_bytes();
        let wrong = DigestError::Encoding { algorithm, digits: size * 2 };
        if hex.len() != size * 2 {
            return Err(wrong);
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(wrong),
            }
        }
        Ok(Self { algorithm, bytes })
    }

    /// The digest of `content`.
    #[must_use]
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = algorithm.hasher();
        hasher.update(content);
        hasher.finish()
    }

    fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..raw.len()].copy_from_slice(raw);
        Self { algorithm, bytes }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The part behind the colon: lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = String::with_capacity(self.algorithm.size_bytes() * 2);
        for byte in self.as_bytes() {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        out
    }

    /// The raw digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size_bytes()]
    }

    /// The tag under which clients keep the referrers of this digest on registries without a
    /// referrers API (distribution-spec, "Referrers Tag Schema"): `alg-encoded`, each side
    /// truncated to 32 and 64 characters.
    #[must_use]
    pub fn referrers_tag(&self) -> String {
        let hex = self.hex();
        format!("{}-{}", self.algorithm, &hex[..hex.len().min(64)])
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// `component (separator component)*` with `[a-z0-9]+` and one of `+._-` between.
fn is_algorithm_name(name: &str) -> bool {
    name.split(['+', '.', '_', '-']).all(|component| {
        !component.is_empty()
            && component.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a digest this registry can work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Not of the form `algorithm:encoded`.
    #[error("not a digest: expected the form \"sha256:<64 hexadecimal digits>\"")]
    Malformed,
    /// A well-formed digest of an algorithm that is not supported.
    #[error("digest algorithm \"{0}\" is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm(String),
    /// The wrong number of digits, upper case, or other characters.
    #[error("a {algorithm} digest has {digits} lower-case hexadecimal digits behind the colon")]
    Encoding {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many digits it takes.
        digits: usize,
    },
}

/// A running digest. Its state can be saved and resumed, so that an upload which arrives in many
/// requests is never read again.
#[derive(Clone)]
pub enum Hasher {
    /// A running SHA-256.
    Sha256(Sha256),
    /// A running SHA-384.
    Sha384(Sha384),
    /// A running SHA-512.
    Sha512(Sha512),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm())
    }
}

impl Hasher {
    /// The algorithm of this hasher.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha384(_) => Algorithm::Sha384,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes in more content.
    pub fn update(&mut self, content: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(content),
            Self::Sha384(h) => h.update(content),
            Self::Sha512(h) => h.update(content),
        }
    }

    /// The digest of everything taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self {
            Self::Sha256(h) => Digest::from_raw(algorithm, &h.finalize()),
            Self::Sha384(h) => Digest::from_raw(algorithm, &h.finalize()),
            Self::Sha512(h) => Digest::from_raw(algorithm, &h.finalize()),
        }
    }

    /// The running state: 104 bytes for SHA-256, 208 for the others. The bytes are those of the
    /// `sha2` crate's major version in use and must be stored with a version of one's own.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        match self {
            Self::Sha256(h) => h.serialize().to_vec(),
            Self::Sha384(h) => h.serialize().to_vec(),
            Self::Sha512(h) => h.serialize().to_vec(),
        }
    }

    /// Resumes from what [`Hasher::save`] returned; `None` when the bytes are not such a state.
    #[must_use]
    pub fn resume(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::deserialize(state.try_into().ok()?).ok()?),
            Algorithm::Sha384 => Self::Sha384(Sha384::deserialize(state.try_into().ok()?).ok()?),
            Algorithm::Sha512 => Self::Sha512(Sha512::deserialize(state.try_into().ok()?).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_SHA256: &str =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_answers() {
        assert_eq!(Digest::of(Algorithm::Sha256, b"").to_string(), EMPTY_SHA256);
        assert!(
            Digest::of(Algorithm::Sha512, b"abc")
                .to_string()
                .starts_with("sha512:ddaf35a193617aba")
        );
        assert!(
            Digest::of(Algorithm::Sha384, b"abc")
                .to_string()
                .starts_with("sha384:cb00753f45a35e8b")
        );
    }

    #[test]
    fn text_round_trips() {
        for algorithm in Algorithm::ALL {
            let digest = Digest::of(algorithm, b"wharf");
            assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        }
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        for text in ["", ":", "sha256", "sha256:", ":abc", "SHA256:00", "sha256+:00", "a b:00"] {
            assert_eq!(Digest::parse(text), Err(DigestError::Malformed), "{text:?}");
        }
        for text in [
            "sha256:baddigeststring".to_owned(),
            EMPTY_SHA256.to_uppercase().replace("SHA256", "sha256"),
            format!("{EMPTY_SHA256}0"),
            format!("{EMPTY_SHA256}\n"),
            EMPTY_SHA256.replace("sha256", "sha512"),
        ] {
            assert!(matches!(Digest::parse(&text), Err(DigestError::Encoding { .. })), "{text:?}");
        }
        assert_eq!(
            Digest::parse("blake3:00"),
            Err(DigestError::UnsupportedAlgorithm("blake3".into()))
        );
    }

    #[test]
    fn a_saved_state_goes_on_where_it_stopped() {
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 63, 64, 65, 127, 128, 129, 1000] {
                let content = vec![7; 1000];
                let mut first = algorithm.hasher();
                first.update(&content[..cut]);
                let mut second = Hasher::resume(algorithm, &first.save()).unwrap();
                second.update(&content[cut..]);
                assert_eq!(second.finish(), Digest::of(algorithm, &content), "{algorithm} {cut}");
            }
            assert!(Hasher::resume(algorithm, b"short").is_none());
        }
    }

    #[test]
    fn the_referrers_tag_is_cut_to_its_limits() {
        let long = Digest::of(Algorithm::Sha512, b"");
        assert_eq!(long.referrers_tag().len(), "sha512-".len() + 64);
        assert_eq!(
            Digest::parse(EMPTY_SHA256).unwrap().referrers_tag(),
            EMPTY_SHA256.replace(':', "-")
        );
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_only_accepts_its_own_form(text in ".{0,140}") {
            if let Ok(digest) = Digest::parse(&text) {
                assert_eq!(digest.to_string(), text);
            }
        }
    }
}
