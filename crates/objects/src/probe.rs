//! What a store really does, found out at the start.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::{GetOptions, PutMode, PutOptions, PutPayload, UpdateVersion};
use storage::{Driver as _, StorageError, StoragePath};
use tracing::{info, warn};

use crate::Objects;
use crate::azure::has_names_of_distribution_2;
use crate::failure::{storage_error, write_error};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Findings {
    /// A write whose condition is not met is refused. Where it is not, two replicas that continue
    /// one upload at once notice it at its end, when its parts don't fit together.
    pub conditional_writes: bool,
    /// What was written is listed at once.
    pub lists_after_writes: bool,
    /// A part of an object can be read.
    pub ranges: bool,
}

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It refuses what a registry has to do, or can't be reached.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// It answered something else than what was written.
    #[error("the store gave back something else than what was written to it")]
    Garbled,
    /// It does not say of an absent object that it is absent.
    #[error(
        "the store refuses to say that an object is not there: the credentials need permission to \
         list the bucket ({0})"
    )]
    NoList(StorageError),
    /// A registry is there under names that are not looked for, so that it would look empty.
    #[error(
        "the names of the blobs in this container begin with a slash, as Distribution 2.8 wrote \
         them: neither Distribution 3 nor wharf finds them, and the registry would look empty; \
         docs/object-stores.md says under \"Azure and Google\" what to do"
    )]
    NamesOfDistribution2,
}

impl ProbeError {
    /// Whether the store may just be away for a moment.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Unavailable { .. }))
    }
}

/// Looked for where no registry keeps anything.
const DIRECTORY: &str = "/.wharf-probe";

impl Objects {
    /// Writes a small object beside the registry's, looks at what the store makes of it, and
    /// deletes it again. With `read_only` nothing is written, and the careful way is taken.
    ///
    /// # Errors
    /// [`ProbeError`] when the store can't be used.
    pub async fn probe(&self, read_only: bool) -> Result<Findings, ProbeError> {
        let directory = StoragePath::parse(DIRECTORY).map_err(StorageError::from)?;
        let name = uuid::Uuid::new_v4().to_string();
        let path = directory.join(&name).map_err(StorageError::from)?;
        match self.get(&path, 16).await {
            Err(StorageError::NotFound { .. }) => {}
            Err(error @ StorageError::Denied { .. }) => {
                // Without the right to list, S3 says so of what is not there.
                return Err(match self.list_page(&StoragePath::root(), None, 1).await {
                    Ok(_) => ProbeError::Storage(error),
                    Err(_) => ProbeError::NoList(error),
                });
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(ProbeError::Garbled),
        }
        if has_names_of_distribution_2(&self.client).await? {
            return Err(ProbeError::NamesOfDistribution2);
        }
        if read_only {
            self.list_page(&directory, None, 1).await?;
            return Ok(Findings {
                conditional_writes: false,
                lists_after_writes: false,
                ranges: false,
            });
        }
        let found = self.probe_by_writing(&directory, &path, &name).await;
        let key = self.client.root.key("delete", &path)?;
        self.client.delete(&path, &key).await?;
        let found = found?;
        self.client.is_conditional.store(found.conditional_writes, Ordering::Relaxed);
        self.client.lists_late.store(!found.lists_after_writes, Ordering::Relaxed);
        report(&found);
        Ok(found)
    }

    async fn probe_by_writing(
        &self,
        directory: &StoragePath,
        path: &StoragePath,
        name: &str,
    ) -> Result<Findings, ProbeError> {
        let content = Bytes::from_static(b"0123456789");
        self.put(path, content.clone()).await?;
        if self.get(path, 16).await? != content {
            return Err(ProbeError::Garbled);
        }
        let listed = self.list_page(directory, None, 1000).await?;
        let lists_after_writes = listed.iter().any(|entry| &*entry.name == name);
        let key = self.client.root.key("read", path)?;
        let options = GetOptions { range: Some((2..5).into()), ..GetOptions::default() };
        let part = self.client.store.objects.get_opts(&key, options).await;
        let part = part.map_err(|error| storage_error("read", path, error))?;
        let ranges = part.bytes().await.is_ok_and(|bytes| bytes == content[2..5]);
        let created = self.is_refused(path, PutMode::Create).await?;
        let stale = UpdateVersion {
            e_tag: Some("\"0123456789abcdef0123456789abcdef\"".into()),
            version: None,
        };
        let conditional_writes = created && self.is_refused(path, PutMode::Update(stale)).await?;
        Ok(Findings { conditional_writes, lists_after_writes, ranges })
    }

    /// Whether a write to what is there is refused under a condition that it does not meet.
    async fn is_refused(&self, path: &StoragePath, mode: PutMode) -> Result<bool, ProbeError> {
        use object_store::Error as E;
        let key = self.client.root.key("write", path)?;
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.client.store.objects.put_opts(&key, PutPayload::from_static(b"x"), options).await
        {
            Ok(_) | Err(E::NotSupported { .. } | E::NotImplemented { .. }) => Ok(false),
            Err(E::AlreadyExists { .. } | E::Precondition { .. }) => Ok(true),
            Err(error) => match write_error("write", path, error) {
                error @ (StorageError::Unavailable { .. } | StorageError::Denied { .. }) => {
                    Err(error.into())
                }
                _ => Ok(false),
            },
        }
    }
}

fn report(found: &Findings) {
    let Findings { conditional_writes, lists_after_writes, ranges } = *found;
    info!(conditional_writes, lists_after_writes, ranges, "what the store can do");
    if !conditional_writes {
        info!(
            "the store takes writes whose condition is not met: two replicas that continue the same \
             upload at once are told at its end that it has to be sent anew"
        );
    }
    if !lists_after_writes {
        warn!(
            "the store does not list at once what was written: tags may appear late in lists, and \
             nothing is collected, since a push that is under way could be overlooked"
        );
    }
    if !ranges {
        warn!("the store does not give parts of objects: clients can't continue broken downloads");
    }
}
