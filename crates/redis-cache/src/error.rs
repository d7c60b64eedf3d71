//! What can go wrong: with the options, and with a call. The latter nobody gets to see but the log.

use std::io;
use std::path::PathBuf;

use redis::{ErrorKind, RedisError};

/// Why a cache can't be made of its options. That Redis does not answer is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no address.
    #[error("redis.addrs is empty; name the server as host:port")]
    NoAddress,
    /// An address is none. It is not quoted: people paste URLs with passwords there.
    #[error("redis.addrs: entry {index} is not host:port, such as redis.example.com:6379")]
    Address {
        /// Its index, from 0.
        index: usize,
    },
    /// A file of `redis.tls` can't be read.
    #[error("{key}: {path} can't be read: {source}", path = path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of `redis.tls` is too large to be what it should be.
    #[error("{key}: {path} has more than {max} bytes; it should be a PEM file", path = path.display())]
    FileTooLarge {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        max: u64,
    },
    /// A certificate without its key, or the other way round.
    #[error("{key} must be set too: a certificate needs its key, and a key its certificate")]
    Half {
        /// The key that is missing.
        key: &'static str,
    },
    /// The client library does not take the options.
    #[error("redis: {reason}; look at redis.tls and redis.addrs")]
    Client {
        /// What it says, without what a server said.
        reason: String,
    },
}

/// Why Redis did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no answer in time")]
    TimedOut,
    #[error("{}", describe(.0))]
    Redis(#[from] RedisError),
}

impl CallError {
    /// Whether the connection is not to be used again: it is broken, or leads to a server that is
    /// no longer the master, or that wants another password by now.
    pub(crate) fn spoils_connection(&self) -> bool {
        let Self::Redis(error) = self else { return true };
        use redis::ServerErrorKind::{MasterDown, ReadOnly};
        error.is_io_error()
            || error.is_unrecoverable_error()
            || matches!(error.code(), Some("NOAUTH"))
            || matches!(
                error.kind(),
                ErrorKind::AuthenticationFailed
                    | ErrorKind::Parse
                    | ErrorKind::Server(ReadOnly | MasterDown)
            )
    }

    /// Whether another attempt may help, and costs no more than a moment.
    pub(crate) fn is_worth_another(&self) -> bool {
        let Self::Redis(error) = self else { return false };
        self.spoils_connection()
            && !error.is_timeout()
            && error.kind() != ErrorKind::AuthenticationFailed
    }
}

/// An error in words that are the client's own: a server's may repeat what it was sent, passwords
/// included.
pub(crate) fn describe(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Io => error.to_string(),
        ErrorKind::AuthenticationFailed => {
            "authentication failed; look at redis.username and redis.password".to_owned()
        }
        ErrorKind::MasterNameNotFoundBySentinel => {
            "no sentinel knows the master; look at redis.mastername".to_owned()
        }
        _ => match error.code() {
            Some(code @ ("NOAUTH" | "WRONGPASS")) => {
                format!("{code}; look at redis.username and redis.password")
            }
            Some(code @ "NOPERM") => {
                format!("{code}; the user may not do what wharf does, see docs/configuration.md")
            }
            // The first word of an error is its code, and no argument.
            Some(code) => format!("the server answered {code}"),
            None => error.category().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_is_not_shown() {
        let text = "unknown command 'AUTH', with args beginning with: 'hidden'";
        let error = redis::make_extension_error("ERR".to_owned(), Some(text.to_owned()));
        let call = CallError::from(error);
        assert_eq!(call.to_string(), "the server answered ERR");
        assert!(!call.spoils_connection());
        let denied = redis::make_extension_error("NOAUTH".to_owned(), None);
        let call = CallError::from(denied);
        assert!(call.spoils_connection());
        assert!(call.to_string().contains("redis.password"), "{call}");
    }
}
