//! What is configured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;

/// A password, which no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Where Redis is and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `host:port` of the one server, of a cluster's, or of the sentinels if there is a
    /// `master_name`.
    pub addresses: Vec<String>,
    /// The master that the sentinels are asked for.
    pub master_name: Option<String>,
    /// The user at Redis.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Password>,
    /// The user at the sentinels.
    pub sentinel_username: Option<String>,
    /// Its password.
    pub sentinel_password: Option<Password>,
    /// The number of the database; a cluster has only 0.
    pub database: i64,
    /// What the connection is called at the server; not in a cluster.
    pub client_name: Option<String>,
    /// Whether version 3 of the protocol is spoken, and not 2.
    pub is_resp3: bool,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// The shortest pause between two attempts.
    pub retry_pause_min: Duration,
    /// The longest pause between two attempts.
    pub retry_pause_max: Duration,
    /// TLS to Redis and to the sentinels; `None` is plain TCP.
    pub tls: Option<Tls>,
}

/// The files of TLS, all of them optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the client's certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// PEM files with the servers' authorities; with none, those of the system are trusted.
    pub authorities: Vec<PathBuf>,
}

impl Options {
    /// Plain connections to these addresses, without a password.
    #[must_use]
    pub fn new(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            master_name: None,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            database: 0,
            client_name: None,
            is_resp3: false,
            connect_timeout: limits::CONNECT_TIMEOUT,
            response_timeout: limits::RESPONSE_TIMEOUT,
            retries: limits::RETRIES,
            retry_pause_min: limits::RETRY_PAUSE_MIN,
            retry_pause_max: limits::RETRY_PAUSE_MAX,
            tls: None,
        }
    }
}
