//! `index.json`: what the tags of the newest snapshot name, for tools that read OCI layouts.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, sniff_media_type};
use serde_json::{Map, Value};
use storage::found;

use super::record::Record;
use super::staged::StagedFile;
use super::{Backup, BackupError, Snapshot};
use crate::limits::{CONCURRENCY, MANIFEST_BYTES_MAX};
use crate::oci_layout::{Entry, REF_NAME};
use crate::{Meter, layout};

const BEGINNING: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#;

impl Backup {
    /// Writes the index of a snapshot.
    pub(super) async fn write_index(
        &self,
        snapshot: &Snapshot,
        meter: &Meter,
    ) -> Result<(), BackupError> {
        let mut file = StagedFile::create(&*self.driver).await?;
        match self.write_entries(snapshot, &mut file, meter).await {
            Ok(()) => {
                file.finish(|_| layout::index()).await?;
                Ok(())
            }
            Err(error) => {
                file.discard().await;
                Err(error)
            }
        }
    }

    async fn write_entries(
        &self,
        snapshot: &Snapshot,
        file: &mut StagedFile<'_>,
        meter: &Meter,
    ) -> Result<(), BackupError> {
        file.write(BEGINNING).await?;
        let mut records = std::pin::pin!(self.records(snapshot, meter).await?);
        let mut is_first = true;
        while let Some(record) = records.try_next().await? {
            let entries = stream::iter(&record.tags);
            let entries = entries.map(|(tag, digest)| self.entry(&record, tag, digest));
            let mut entries = std::pin::pin!(entries.buffered(CONCURRENCY));
            while let Some(entry) = entries.try_next().await? {
                let Some(entry) = entry else { continue };
                if !std::mem::take(&mut is_first) {
                    file.write(b",").await?;
                }
                file.write(serde_json::to_string(&entry).unwrap_or_default().as_bytes()).await?;
            }
        }
        file.write(b"]}").await?;
        Ok(())
    }

    async fn entry(
        &self,
        record: &Record,
        tag: &str,
        digest: &str,
    ) -> Result<Option<Entry>, BackupError> {
        let Ok(parsed) = Digest::parse(digest) else { return Ok(None) };
        let path = layout::blob(&parsed);
        let Some(content) = found(self.driver.get(&path, MANIFEST_BYTES_MAX).await)? else {
            return Ok(None);
        };
        let Some(media_type) = sniff_media_type(&content) else { return Ok(None) };
        let name = Value::from(format!("{}:{tag}", record.name));
        Ok(Some(Entry {
            media_type: media_type.as_str().into(),
            digest: digest.into(),
            size: content.len() as u64,
            annotations: Some(Map::from_iter([(REF_NAME.to_owned(), name)])),
            ..Entry::default()
        }))
    }
}
