//! `http.addr` and `http.net`.

use std::fmt;
use std::path::PathBuf;

use crate::options::OptionsError;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `http.net: tcp`: host and port. Without a host, every address of the machine.
    Tcp {
        /// Host name or address; empty for all.
        host: String,
        /// Port; 0 for any that is free.
        port: u16,
    },
    /// `http.net: unix`: the path of a socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Parses `host:port` as Go does: the host may be missing, IPv6 addresses stand in brackets,
    /// and an empty text means any free port.
    ///
    /// # Errors
    /// [`OptionsError::Address`].
    pub fn tcp(text: &str) -> Result<Self, OptionsError> {
        let bad = || OptionsError::Address(text.to_owned());
        if text.is_empty() {
            return Ok(Self::Tcp { host: String::new(), port: 0 });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = match port {
            "" => 0,
            "http" => 80,
            "https" => 443,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad())?
            }
            _ => return Err(bad()),
        };
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bracketed.is_none() && host.contains([':', '[', ']', '/']) {
            return Err(bad());
        }
        Ok(Self::Tcp { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_in_go() {
        for (text, host, port) in [
            (":5000", "", 5000),
            ("", "", 0),
            ("localhost:5000", "localhost", 5000),
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:443", "::1", 443),
            ("0.0.0.0:https", "0.0.0.0", 443),
            ("host:", "host", 0),
        ] {
            let expected = ListenAddress::Tcp { host: host.into(), port };
            assert_eq!(ListenAddress::tcp(text), Ok(expected), "{text}");
        }
        for bad in
            ["5000", "host", "a:b:c", "::1:5000", "host:99999", "host:-1", "http://a:1", "a:x"]
        {
            assert!(ListenAddress::tcp(bad).is_err(), "{bad}");
        }
    }
}
