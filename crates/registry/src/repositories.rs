//! Deletion of whole repositories.

use oci::{Algorithm, RepositoryName};
use storage::{EntryKind, Pages, StorageError, StoragePath};

use crate::descriptors::Gone;
use crate::layout::{self, LAYERS_DIRECTORY, MANIFESTS_DIRECTORY, UPLOADS_DIRECTORY};
use crate::{Error, Registry, Result};

/// What a repository had when it was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedRepository {
    /// Tags.
    pub tags: u64,
    /// Manifests, by each digest that they were pushed under.
    pub manifests: u64,
    /// Links to blobs. The blobs themselves stay until they are collected.
    pub layers: u64,
    /// Unfinished uploads.
    pub uploads: u64,
}

impl Registry {
    /// Deletes a repository: its tags first, then its manifests, its links to blobs, its uploads
    /// and its directory. Repositories below it stay. Should this be cut short, what is left is a
    /// smaller repository, whose deletion can be repeated.
    ///
    /// A push to the repository meanwhile may fail, or be deleted with it. One that had its layers
    /// checked before and was acknowledged after may leave a manifest without layers, which a
    /// repeated deletion or push puts right.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] when there is nothing of it.
    pub async fn delete_repository(&self, name: &RepositoryName) -> Result<DeletedRepository> {
        self.check_there_is(name).await?;
        let outcome = self.delete_all_of(name).await;
        // Whatever came of it, as with manifests and blobs.
        self.referrers.forget(name);
        self.revoke(name, &[], Gone::FromRepository).await;
        outcome
    }

    /// What [`Registry::delete_repository`] would delete now.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] when there is nothing of it.
    pub async fn look_at_repository(&self, name: &RepositoryName) -> Result<DeletedRepository> {
        self.check_there_is(name).await?;
        let mut found = DeletedRepository {
            tags: self.count_directories(&layout::tags(name)).await?,
            uploads: self.count_uploads(name).await?,
            ..DeletedRepository::default()
        };
        for algorithm in Algorithm::ALL {
            found.manifests += self.count_directories(&layout::revisions(name, algorithm)).await?;
            found.layers += self.count_directories(&layout::layers(name, algorithm)).await?;
        }
        Ok(found)
    }

    async fn delete_all_of(&self, name: &RepositoryName) -> Result<DeletedRepository> {
        let mut deleted = DeletedRepository::default();
        self.delete_tags_and_manifests(name, &mut deleted).await?;
        for algorithm in Algorithm::ALL.into_iter().rev() {
            deleted.layers += self.delete_directories(&layout::layers(name, algorithm)).await?;
        }
        // What was just being pushed would otherwise be there without its layers.
        self.delete_tags_and_manifests(name, &mut deleted).await?;
        deleted.uploads = self.count_uploads(name).await?;
        for directory in own_directories(name) {
            self.delete_if_there(&directory).await?;
        }
        self.delete_if_there(&layout::pulls(name)).await?;
        self.delete_empty_directories(name).await?;
        Ok(deleted)
    }

    /// A link never leads to what is gone, should this be cut short.
    async fn delete_tags_and_manifests(
        &self,
        name: &RepositoryName,
        deleted: &mut DeletedRepository,
    ) -> Result<()> {
        deleted.tags += self.delete_directories(&layout::tags(name)).await?;
        for algorithm in Algorithm::ALL.into_iter().rev() {
            let revisions = layout::revisions(name, algorithm);
            deleted.manifests += self.delete_directories(&revisions).await?;
        }
        Ok(())
    }

    /// Deletes a directory; returns how many directories were in it.
    async fn delete_directories(&self, path: &StoragePath) -> Result<u64> {
        let count = self.count_directories(path).await?;
        self.delete_if_there(path).await?;
        Ok(count)
    }

    async fn count_uploads(&self, name: &RepositoryName) -> Result<u64> {
        match layout::repository(name).join(UPLOADS_DIRECTORY) {
            Ok(uploads) => self.count_directories(&uploads).await,
            Err(_) => Ok(0),
        }
    }

    /// How many directories a directory has; none when it is not there.
    async fn count_directories(&self, path: &StoragePath) -> Result<u64> {
        let (mut count, mut pages) = (0, Pages::of(path.clone()));
        while let Some(entries) = pages.next(&*self.driver).await? {
            count += entries.iter().filter(|e| e.kind == EntryKind::Directory).count() as u64;
        }
        Ok(count)
    }

    async fn check_there_is(&self, name: &RepositoryName) -> Result<()> {
        for directory in own_directories(name) {
            match self.driver.stat(&directory).await {
                Ok(_) => return Ok(()),
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::NameUnknown { name: name.clone() })
    }

    /// Deletes the directory of a repository and those above it, as far as nothing else is in them.
    async fn delete_empty_directories(&self, name: &RepositoryName) -> Result<()> {
        let root = layout::repositories();
        let mut directory = Some(layout::repository(name));
        while let Some(path) = directory.filter(|path| *path != root) {
            self.driver.delete_empty(&path).await?;
            directory = path.parent();
        }
        Ok(())
    }
}

/// The directories that are a repository's own, and no repository below it.
fn own_directories(name: &RepositoryName) -> impl Iterator<Item = StoragePath> {
    let repository = layout::repository(name);
    let names = [MANIFESTS_DIRECTORY, LAYERS_DIRECTORY, UPLOADS_DIRECTORY];
    names.into_iter().filter_map(move |directory| repository.join(directory).ok())
}
