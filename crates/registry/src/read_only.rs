//! Read-only mode that is switched while servers run: a note on the storage, which each of them
//! looks for. It is there or it is not; what it says only explains it.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use storage::StorageError;

use crate::limits::{READ_ONLY_NOTE_BYTES_MAX, READ_ONLY_REASON_CHARS_MAX};
use crate::{Registry, Result, layout};

/// What the note says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOnlyNote {
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why; empty when nobody said so.
    pub reason: String,
}

/// The note as it is kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    since: String,
    reason: String,
}

impl ReadOnlyNote {
    fn parse(content: &[u8]) -> Self {
        let kept: Kept = serde_json::from_slice(content).unwrap_or_default();
        Self { since: kept.since.parse().ok(), reason: plain(&kept.reason) }
    }

    fn content(&self) -> Bytes {
        let since = self.since.map(|since| since.to_string()).unwrap_or_default();
        let kept = Kept { since, reason: self.reason.clone() };
        // Never fails: two texts.
        serde_json::to_vec(&kept).unwrap_or_default().into()
    }
}

/// A text on one line, and not a long one.
fn plain(reason: &str) -> String {
    let reason = reason.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    reason.take(READ_ONLY_REASON_CHARS_MAX).collect()
}

impl Registry {
    /// The note, if there is one. One that can't be understood counts all the same.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn read_only_note(&self) -> Result<Option<ReadOnlyNote>> {
        match self.driver.get(&layout::read_only(), READ_ONLY_NOTE_BYTES_MAX).await {
            Ok(content) => Ok(Some(ReadOnlyNote::parse(&content))),
            Err(StorageError::TooLarge { .. }) => Ok(Some(ReadOnlyNote::default())),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the note, durably. A long reason is cut.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn make_read_only(&self, reason: &str) -> Result<ReadOnlyNote> {
        let now = Timestamp::now();
        let since = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let note = ReadOnlyNote { since: Some(since), reason: plain(reason) };
        self.driver.put(&layout::read_only(), note.content()).await?;
        Ok(note)
    }

    /// Removes the note. Returns whether there was one.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn make_writable(&self) -> Result<bool> {
        match self.driver.delete(&layout::read_only()).await {
            Ok(()) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
