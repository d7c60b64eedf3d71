//! What can be wrong with an htpasswd file.

use std::io;
use std::path::PathBuf;

use super::users::BadLine;
use crate::limits::HTPASSWD_BYTES_MAX;

/// What can be wrong with an htpasswd file. No message holds what is in the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// It can't be read.
    #[error("the htpasswd file {} can't be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, or something else that isn't a file.
    #[error("the htpasswd file {} is not a regular file", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than any is.
    #[error("the htpasswd file {} is larger than {} bytes", .path.display(), HTPASSWD_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is neither a comment nor an entry.
    #[error(
        "the htpasswd file {} has a bad line, line {line}: {what}; a line is `user:hash`, or begins \
         with #", .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: BadLine,
    },
    /// There is no file, and none could be made.
    #[error("the htpasswd file {} is missing and can't be made: {source}", .path.display())]
    Provision {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file that was to be changed can't be.
    #[error("the htpasswd file {} can't be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The owner of the file can't be kept, and somebody else's file might not be readable any
    /// more.
    #[error(
        "the htpasswd file {} belongs to user {uid} and group {gid}, which only they or root can \
         keep; run the command as one of them", .path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A name that no user can have.
    #[error("that user name can't be used: {0}")]
    User(&'static str),
    /// A password that no user can have.
    #[error("that password can't be used: {0}")]
    Password(&'static str),
    /// The password could not be hashed.
    #[error("the password can't be hashed: {0}")]
    Hash(#[from] bcrypt::BcryptError),
}
