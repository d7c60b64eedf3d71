//! Values that must never reach a log, an error or the printed configuration.

use std::fmt;

/// A password, key or token. `Debug` shows `***`; there is no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

/// What is shown instead of a secret.
pub const MASK: &str = "***";

impl Secret {
    /// Wraps the text of a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the code that signs or authenticates with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether the secret is the empty string, which counts as not configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// A URL that may hold credentials in its user information. `Debug` and `Display` mask them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps the text of a URL.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The URL with its credentials, for the code that connects to it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&mask_userinfo(&self.0), f)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_userinfo(&self.0))
    }
}

/// Masks the user information of a URL, so that `https://user:pw@host/` shows no password.
pub(crate) fn mask_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn a_url_shows_no_credentials() {
        let url = SecretUrl::new("https://u:hunter2@h/x");
        assert_eq!(format!("{url} {url:?}"), "https://***@h/x \"https://***@h/x\"");
        assert_eq!(url.reveal(), "https://u:hunter2@h/x");
    }

    #[test]
    fn userinfo_is_masked() {
        for (given, shown) in [
            ("https://u:p@h/x", "https://***@h/x"),
            ("https://u@h", "https://***@h"),
            ("https://h/a@b", "https://h/a@b"),
            ("https://u:p@ss@h?x", "https://***@h?x"),
            ("plain", "plain"),
        ] {
            assert_eq!(mask_userinfo(given), shown);
        }
    }
}
