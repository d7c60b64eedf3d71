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

/// A URL that may hold credentials in its user information or its query. `Debug` and `Display` mask
/// both.
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
        fmt::Debug::fmt(&mask_url(&self.0), f)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_url(&self.0))
    }
}

/// Masks the user information and the query of a URL: `https://user:pw@host/?token=x` shows neither
/// the password nor the token.
pub(crate) fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (userinfo, rest) = match rest[..authority_end].rfind('@') {
        Some(at) => (MASK, &rest[at..]),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((path, _)) => format!("{scheme}://{userinfo}{path}?{MASK}"),
        None => format!("{scheme}://{userinfo}{rest}"),
    }
}

/// Masks what may be credentials in a text that can't be used, and so need not be the URL that it
/// was meant to be: everything before an `@`, as in `htp//user:pw@host`, and the query of a URL.
pub(crate) fn mask_wrong(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(end) if !text[..end].contains('@') => text.split_at(end + "://".len()),
        _ => ("", text),
    };
    let shown = match rest.rfind('@') {
        Some(at) => format!("{scheme}{MASK}{}", &rest[at..]),
        None => text.to_owned(),
    };
    mask_url(&shown)
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
    fn userinfo_and_query_are_masked() {
        for (given, shown) in [
            ("https://u:p@h/x", "https://***@h/x"),
            ("https://u@h", "https://***@h"),
            ("https://h/a@b", "https://h/a@b"),
            ("https://u:p@ss@h?x", "https://***@h?***"),
            ("https://u@h/x?token=a@b#c", "https://***@h/x?***"),
            ("https://h/x?token=p", "https://h/x?***"),
            ("https://h/x#y", "https://h/x#y"),
            ("is this plain?", "is this plain?"),
            ("plain", "plain"),
        ] {
            assert_eq!(mask_url(given), shown);
        }
    }

    #[test]
    fn a_wrong_text_shows_even_less() {
        for (given, shown) in [
            ("https://u:p@h:99999/?token=p", "https://***@h:99999/?***"),
            ("https://u:p/p@h/", "https://***@h/"),
            ("htp//u:p@h", "***@h"),
            ("u:p@h/?next=https://h", "***@h/?next=https://h"),
            ("(?<x", "(?<x"),
            ("plain", "plain"),
        ] {
            assert_eq!(mask_wrong(given), shown);
        }
    }
}
