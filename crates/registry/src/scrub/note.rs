//! The note on the storage that says how far the scrub is.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use oci::Digest;
use serde::{Deserialize, Serialize};
use storage::{Driver, StorageError};

use crate::layout;
use crate::limits::{SCRUB_CORRUPT_BLOBS_MAX, SCRUB_NOTE_BYTES_MAX};

/// How far the scrub is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// Who is at it.
    pub(super) holder: Option<String>,
    /// When it was last written.
    pub(super) noted: Option<SystemTime>,
    /// When the pass began; also of the last one when it has ended.
    pub(super) begun: Option<SystemTime>,
    pub(super) is_in_pass: bool,
    /// The blob that was read last in this pass.
    pub(super) position: Option<Digest>,
    pub(super) structure_errors: u64,
    /// When the last pass ended.
    pub(super) last_pass: Option<SystemTime>,
    /// When what is damaged was last looked at again.
    pub(super) rechecked: Option<SystemTime>,
    /// The blobs that are damaged.
    pub(super) corrupt: BTreeSet<Digest>,
}

/// The same in JSON. Times are in seconds since 1970.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    version: u32,
    holder: Option<String>,
    noted: Option<u64>,
    begun: Option<u64>,
    is_in_pass: bool,
    position: Option<String>,
    structure_errors: u64,
    last_pass: Option<u64>,
    rechecked: Option<u64>,
    corrupt: Vec<String>,
}

const VERSION: u32 = 1;

fn secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn time(secs: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(secs))
}

impl Note {
    /// Remembers that a blob is damaged; whether that is new.
    pub(super) fn add_corrupt(&mut self, digest: &Digest) -> bool {
        self.corrupt.len() < SCRUB_CORRUPT_BLOBS_MAX && self.corrupt.insert(*digest)
    }

    pub(super) fn encode(&self) -> Bytes {
        let written = Written {
            version: VERSION,
            holder: self.holder.clone(),
            noted: self.noted.map(secs),
            begun: self.begun.map(secs),
            is_in_pass: self.is_in_pass,
            position: self.position.map(|digest| digest.to_string()),
            structure_errors: self.structure_errors,
            last_pass: self.last_pass.map(secs),
            rechecked: self.rechecked.map(secs),
            corrupt: self.corrupt.iter().map(ToString::to_string).collect(),
        };
        // A structure of texts and numbers always serialises.
        serde_json::to_vec(&written).unwrap_or_default().into()
    }

    /// What was written; nothing when it is torn, or of another version: then it begins anew.
    fn decode(content: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(content).ok()?;
        (written.version == VERSION).then(|| Self {
            holder: written.holder,
            noted: written.noted.and_then(time),
            begun: written.begun.and_then(time),
            is_in_pass: written.is_in_pass,
            position: written.position.and_then(|text| Digest::parse(&text).ok()),
            structure_errors: written.structure_errors,
            last_pass: written.last_pass.and_then(time),
            rechecked: written.rechecked.and_then(time),
            corrupt: written
                .corrupt
                .iter()
                .take(SCRUB_CORRUPT_BLOBS_MAX)
                .filter_map(|text| Digest::parse(text).ok())
                .collect(),
        })
    }
}

pub(super) async fn read(driver: &dyn Driver) -> Result<Option<Note>, StorageError> {
    match driver.get(&layout::scrub(), SCRUB_NOTE_BYTES_MAX).await {
        Ok(content) => Ok(Note::decode(&content)),
        Err(StorageError::NotFound { .. } | StorageError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the note. A loss of power may take it: then the pass begins anew.
pub(super) async fn write(driver: &dyn Driver, content: Bytes) -> Result<(), StorageError> {
    driver.put_unsynced(&layout::scrub(), content).await
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_torn_begins_anew() {
        let digests = [b"a", b"b"].map(|content| Digest::of(Algorithm::Sha256, content));
        let note = Note {
            holder: Some("me".into()),
            noted: time(5),
            begun: time(4),
            is_in_pass: true,
            position: Some(digests[0]),
            structure_errors: 3,
            last_pass: time(2),
            rechecked: None,
            corrupt: digests.into_iter().collect(),
        };
        assert_eq!(Note::decode(&note.encode()), Some(note.clone()));
        for torn in ["", "{", "[]", "{\"version\":2}", "\0\0"] {
            assert_eq!(Note::decode(torn.as_bytes()), None, "{torn}");
        }
        let mut note = note;
        for number in 0..2000_u32 {
            note.add_corrupt(&Digest::of(Algorithm::Sha512, &number.to_le_bytes()));
        }
        assert_eq!(note.corrupt.len(), SCRUB_CORRUPT_BLOBS_MAX);
        assert!((note.encode().len() as u64) < SCRUB_NOTE_BYTES_MAX);
    }
}
