//! Upload ids.

use std::fmt;

use crate::limits::UPLOAD_ID_BYTES_MAX;

/// The id of an upload: a UUID when wharf or Distribution made it, but anything that is a path
/// component of letters, digits, `-`, `_` and `.` is looked up.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UploadId(Box<str>);

impl UploadId {
    /// A new id (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// Parses an id; `None` for what can't be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=UPLOAD_ID_BYTES_MAX).contains(&text.len())
            && text != "."
            && text != ".."
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        good.then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_directory() {
        let random = UploadId::random();
        assert_eq!(UploadId::parse(random.as_str()), Some(random));
        assert!(UploadId::parse("a-b_c.d").is_some());
        for bad in ["", ".", "..", "a/b", "a=b", "ä", "a b", &"a".repeat(129)] {
            assert_eq!(UploadId::parse(bad), None, "{bad:?}");
        }
    }
}
