//! One manifest of a snapshot, with everything it is made of.

use std::collections::HashSet;

use oci::{Algorithm, Digest, Manifest, ManifestError, Reference, RepositoryName};
use registry::Error;

use super::Creation;
use super::blobs::Found;
use crate::backup::BackupError;
use crate::backup::record::Item;

/// What became of a manifest.
pub(super) enum Outcome {
    /// It is in the backup, with everything that it is made of.
    Kept(Kept),
    /// It was deleted.
    Gone,
    /// Its content, or that of something it is made of, is damaged.
    Damaged(String),
}

/// A manifest that is in the backup.
pub(super) struct Kept {
    pub(super) item: Item,
    pub(super) blobs: Vec<Item>,
    /// The manifests it refers to, as far as the repository has them.
    pub(super) children: Vec<Digest>,
    /// What the registry lacks of it.
    pub(super) lacks: Option<String>,
}

impl Creation<'_> {
    /// Copies a manifest and its blobs. `listed` are the manifests of the repository.
    pub(super) async fn back_up_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        listed: &HashSet<Digest>,
    ) -> Result<Outcome, BackupError> {
        let Ok(_turn) = self.turns.acquire().await else { return Err(BackupError::Stopped) };
        if self.meter.is_stopped() {
            return Err(BackupError::Stopped);
        }
        let content = match self.registry.get_manifest(name, &Reference::Digest(*digest)).await {
            Ok(stored) => stored.content,
            Err(Error::ManifestUnknown { .. }) => return Ok(Outcome::Gone),
            Err(error @ Error::Corrupt { .. }) => return Ok(Outcome::Damaged(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        // What was read under its SHA-256 is checked by now, but not under another digest.
        let canonical = Digest::of(Algorithm::Sha256, &content);
        let actual = Digest::of(digest.algorithm(), &content);
        if actual != *digest {
            return Ok(Outcome::Damaged(format!("its content has the digest {actual}")));
        }
        let manifest = match Manifest::parse_stored(&content) {
            Ok(manifest) => Some(manifest),
            // It is kept as it lies.
            Err(ManifestError::Shape) => None,
            Err(_) => return Ok(Outcome::Damaged("its content is no manifest".into())),
        };
        let is_index = manifest.as_ref().is_some_and(|manifest| manifest.media_type.is_index());
        self.keep_bytes(digest, &content).await?;
        let mut kept = Kept {
            item: Item::new(*digest, canonical, content.len() as u64),
            blobs: Vec::new(),
            children: Vec::new(),
            lacks: manifest.is_none().then(|| "what it refers to is not known".into()),
        };
        for part in manifest.iter().flat_map(Manifest::references) {
            let Ok(part_digest) = part.parsed_digest() else {
                kept.lacks = Some(format!("{:?} is no digest that is supported", part.digest));
                continue;
            };
            // BuildKit's cache is an index whose children are layers.
            if is_index && listed.contains(&part_digest) {
                kept.children.push(part_digest);
                continue;
            }
            match self.keep_blob(name, &part_digest).await? {
                Found::Kept(items) => kept.blobs.extend(items),
                Found::Damaged(reason) => return Ok(Outcome::Damaged(reason)),
                Found::Nothing if part.is_foreign() && !part.urls.is_empty() => {}
                Found::Nothing => {
                    // Deleted, and collected: then the manifest was deleted before.
                    if !self.is_there(name, digest).await? {
                        return Ok(Outcome::Gone);
                    }
                    // Or both, and pushed again.
                    match self.keep_blob(name, &part_digest).await? {
                        Found::Kept(items) => kept.blobs.extend(items),
                        Found::Damaged(reason) => return Ok(Outcome::Damaged(reason)),
                        Found::Nothing => {
                            kept.lacks = Some(format!("{part_digest} is not there"));
                        }
                    }
                }
            }
        }
        Ok(Outcome::Kept(kept))
    }
}
