//! What a store's error means to a driver.

use std::error::Error as StdError;
use std::io;

use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};
use storage::{StorageError, StoragePath};

use crate::limits::ERROR_TEXT_CHARS_MAX;

/// What a store answered that was no success, or why it was not asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    /// It answered with an error.
    #[error("the store answered {status}{}", told(.code, .text))]
    Answered {
        /// The answer's status.
        status: StatusCode,
        /// The store's own code for it (`SlowDown`), when there was one.
        code: Option<String>,
        /// What it said.
        text: String,
    },
    /// It has failed so often that it is left alone for a moment.
    #[error("the store has failed {failures} times in a row and is left alone for a moment")]
    LeftAlone {
        /// How often.
        failures: u32,
    },
}

fn told(code: &Option<String>, text: &str) -> String {
    let text: String = text.chars().take(ERROR_TEXT_CHARS_MAX).collect();
    match code {
        Some(code) if text.is_empty() => format!(", {code}"),
        Some(code) => format!(", {code}: {text}"),
        None if text.is_empty() => String::new(),
        None => format!(": {text}"),
    }
}

impl StoreFailure {
    /// Which setting is likely to be wrong, by the code that S3, Azure or Google gives.
    fn hint(&self) -> Option<&'static str> {
        let Self::Answered { status, code, .. } = self else { return None };
        Some(match code.as_deref().unwrap_or_default() {
            "NoSuchBucket" | "InvalidBucketName" => "look at `bucket`",
            "ContainerNotFound" | "InvalidResourceName" => "look at `container`",
            "InvalidAccessKeyId" | "XAdminUserNotFound" => "look at `accesskey`",
            "SignatureDoesNotMatch" => "look at `secretkey`, and at `region`",
            "AuthenticationFailed" => "look at `accountname` and `accountkey`",
            "ExpiredToken" | "InvalidToken" => "look at `sessiontoken`, or at the role",
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException" => "look at `region`",
            "RequestTimeTooSkewed" | "RequestExpired" => "set this machine's clock",
            "AccessDenied" | "AuthorizationPermissionMismatch" | "AllAccessDisabled" => {
                "the credentials need to read, write, delete and list in the bucket"
            }
            _ if *status == StatusCode::MOVED_PERMANENTLY => "look at `region`",
            _ if *status == StatusCode::FORBIDDEN => {
                "look at the credentials: they need to read, write, delete and list in the bucket"
            }
            _ => return None,
        })
    }

    /// Whether the same request may succeed later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Answered { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::LeftAlone { .. } => true,
        }
    }

    fn is_refusal(&self) -> bool {
        let refused = [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED];
        matches!(self, Self::Answered { status, .. } if refused.contains(status))
    }
}

/// Everything that an error was caused by, itself first.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        error.source()
    })
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

/// What kinds of errors of the network an error was caused by. One that is not to be repeated has
/// another one inside.
fn kinds(error: &(dyn StdError + 'static)) -> impl Iterator<Item = HttpErrorKind> {
    causes(error).filter_map(|cause| cause.downcast_ref::<HttpError>()).map(HttpError::kind)
}

/// The text of what went wrong, innermost: the layers above repeat it with their own words around.
fn text_of(error: &(dyn StdError + 'static)) -> String {
    if let Some(failure) = find::<StoreFailure>(error) {
        return match failure.hint() {
            Some(hint) => format!("{failure} ({hint})"),
            None => failure.to_string(),
        };
    }
    let text = causes(error).last().map_or_else(String::new, ToString::to_string);
    let text: String = text.chars().take(ERROR_TEXT_CHARS_MAX).collect();
    if kinds(error).any(|kind| kind == HttpErrorKind::Connect) {
        return format!("no connection to the store: {text}");
    }
    if kinds(error).any(|kind| kind == HttpErrorKind::Timeout) {
        return "the store did not answer in time".to_owned();
    }
    text
}

/// Whether the same may succeed later.
fn is_passing(error: &(dyn StdError + 'static)) -> bool {
    if let Some(failure) = find::<StoreFailure>(error) {
        return failure.is_passing();
    }
    use HttpErrorKind as K;
    kinds(error).any(|kind| matches!(kind, K::Connect | K::Request | K::Timeout | K::Interrupted))
}

/// Sorts what a store said. `operation` is a verb.
pub(crate) fn storage_error(
    operation: &'static str,
    path: &StoragePath,
    error: object_store::Error,
) -> StorageError {
    let path = path.clone();
    if let object_store::Error::NotFound { .. } = error {
        return StorageError::NotFound { path };
    }
    let source = io::Error::other(text_of(&error));
    if is_passing(&error) {
        return StorageError::Unavailable { operation, path, source };
    }
    let refused = find::<StoreFailure>(&error).is_some_and(StoreFailure::is_refusal)
        || matches!(
            error,
            object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. }
        );
    if refused {
        return StorageError::Denied { operation, path, source };
    }
    StorageError::Io { operation, path, source }
}

/// The same for what writes: there, nothing is "not found".
pub(crate) fn write_error(
    operation: &'static str,
    path: &StoragePath,
    error: object_store::Error,
) -> StorageError {
    match storage_error(operation, path, error) {
        StorageError::NotFound { path } => {
            let source = io::Error::new(io::ErrorKind::NotFound, "what it belongs to is gone");
            StorageError::Io { operation, path, source }
        }
        error => error,
    }
}

/// An error of our own.
pub(crate) fn broken(operation: &'static str, path: &StoragePath, why: &str) -> StorageError {
    let source = io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    StorageError::Io { operation, path: path.clone(), source }
}
