//! What can be wrong with a token.

use crate::limits::TOKEN_QUOTE_CHARS_MAX;

/// What was wrong with a token, or with there being none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which check failed.
    pub(crate) kind: Kind,
    /// For the log and the client. Holds names and numbers that the token claims, never the token.
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    Malformed,
    Algorithm,
    Key,
    Signature,
    Issuer,
    Audience,
    Expired,
    NotYetValid,
    Scope,
}

impl Kind {
    /// The word for metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Scope => "scope",
        }
    }

    /// The `error` of the challenge (RFC 6750, section 3.1). As in Distribution there is none when
    /// the signature does not fit.
    pub(crate) const fn error(self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::Signature => None,
            Self::Scope => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        }
    }
}

/// Something that a token says, fit for a log line: quoted, escaped and not too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(TOKEN_QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
