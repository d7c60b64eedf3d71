//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// Why notifications can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The URL of an endpoint can't be used. The URL itself is not shown, as it may hold a password.
    #[error("notification endpoint \"{endpoint}\": {reason}; set its url to http://… or https://…")]
    Url {
        /// Name of the endpoint.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header can't be sent.
    #[error(
        "notification endpoint \"{endpoint}\": \"{header}\" can't be sent as a header: its name or \
         value has characters that HTTP does not allow"
    )]
    Header {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the header.
        header: String,
    },
    /// The HTTP client can't be made.
    #[error("notification endpoint \"{endpoint}\": no HTTP client: {reason}")]
    Client {
        /// Name of the endpoint.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// Another process uses the outbox.
    #[error(
        "the outbox {} is in use by another process: give each process its own \
         notifications.outbox.path", path.display()
    )]
    Locked {
        /// Directory of the outbox.
        path: PathBuf,
    },
    /// The outbox was written by a version that came later.
    #[error(
        "{} is not of a version that this program reads: deliver its events with the program that \
         wrote it, or move the file away to lose them", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
    },
    /// The outbox can't be read or written.
    #[error("the outbox can't be opened: {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why an event was not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The outbox can't be written, for example because its disk is full. The event is lost, which
    /// has been counted and logged.
    #[error("the event could not be written to the outbox: {reason}")]
    Write {
        /// Why not.
        reason: String,
    },
    /// The outbox's disk took too long. The event may still be written and delivered.
    #[error("the event was not on stable storage in time")]
    TimedOut,
    /// The notifier has been shut down. The event is lost, which has been counted.
    #[error("the event came after the shutdown")]
    Closed,
}
