//! The list of a snapshot's repositories: a line of JSON for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use storage::{ByteStream, Object};

use super::BackupError;
use crate::limits::RECORD_BYTES_MAX;

/// The media type of `snapshots/<time>.json`.
pub(super) const SNAPSHOT_TYPE: &str = "application/vnd.wharf.backup.snapshot.v1+json";

/// The media type of the list of repositories.
pub(super) const REPOSITORIES_TYPE: &str = "application/vnd.wharf.backup.repositories.v1+jsonl";

/// Whether a text can be the name of a snapshot.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A repository of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its name.
    pub(super) name: String,
    /// Its manifests, those without a tag among them; an index behind what it lists.
    pub(super) manifests: Vec<Item>,
    /// Its blobs: what its manifests refer to.
    pub(super) blobs: Vec<Item>,
    /// What its tags name.
    pub(super) tags: BTreeMap<String, String>,
}

/// Something that a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Item {
    /// The digest by which the repository has it.
    #[serde(with = "text")]
    pub(super) digest: Digest,
    /// Its size, in bytes.
    pub(super) size: u64,
    /// Where that digest is not a SHA-256: the SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text_or_none")]
    pub(super) sha256: Option<Digest>,
}

impl Item {
    pub(super) fn new(digest: Digest, canonical: Digest, size: u64) -> Self {
        Self { digest, size, sha256: (digest != canonical).then_some(canonical) }
    }

    /// The SHA-256, under which a registry keeps it.
    pub(super) fn canonical(&self) -> Digest {
        self.sha256.unwrap_or(self.digest)
    }
}

impl Record {
    /// Everything that it names.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.manifests.iter().chain(&self.blobs)
    }

    fn parse(line: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let is_odd = |item: &Item| match item.sha256 {
            Some(sha256) => sha256.algorithm() != Algorithm::Sha256,
            None => item.digest.algorithm() != Algorithm::Sha256,
        };
        let odd = record.items().find(|item| is_odd(item)).map(|item| item.digest);
        match odd {
            Some(digest) => Err(format!("{digest} comes without its SHA-256")),
            None => Ok(record),
        }
    }
}

/// The repositories of a snapshot, one after the other.
pub(super) fn read(
    object: Arc<dyn Object>,
    name: String,
) -> impl Stream<Item = Result<Record, BackupError>> + use<> {
    let size_bytes = object.size_bytes();
    let lines = Lines { stream: object.stream(0..size_bytes), piece: Bytes::new(), name };
    stream::try_unfold(lines, |mut lines| async move {
        let Some(line) = lines.next().await? else { return Ok(None) };
        let record = Record::parse(&line).map_err(|reason| lines.damaged(reason))?;
        Ok(Some((record, lines)))
    })
}

/// Content, line by line.
struct Lines {
    stream: ByteStream,
    piece: Bytes,
    /// The snapshot.
    name: String,
}

impl Lines {
    fn damaged(&self, reason: String) -> BackupError {
        BackupError::SnapshotDamaged { name: self.name.clone(), reason }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut line = Vec::new();
        loop {
            if let Some(at) = self.piece.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&self.piece[..at]);
                self.piece.advance(at + 1);
                return Ok(Some(line));
            }
            line.extend_from_slice(&self.piece);
            if line.len() > RECORD_BYTES_MAX {
                return Err(self.damaged("the record of a repository is too long".into()));
            }
            self.piece = match self.stream.next().await {
                Some(piece) => piece?,
                None if line.is_empty() => return Ok(None),
                None => return Err(self.damaged("its last record is cut off".into())),
            };
        }
    }
}

/// A digest as text.
pub(super) mod text {
    use oci::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(in crate::backup) fn serialize<S: Serializer>(
        digest: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(in crate::backup) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Digest, D::Error> {
        Digest::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A digest as text, where there is one.
mod text_or_none {
    use oci::Digest;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        digest: &Option<Digest>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => serializer.collect_str(digest),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Digest>, D::Error> {
        super::text::deserialize(deserializer).map(Some)
    }
}
