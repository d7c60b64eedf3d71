//! What a repository has, all of it: for those who copy it.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use storage::{EntryKind, StorageError, StoragePath};

use crate::{Registry, Result, layout, link};

/// The tags and manifests of a repository, about 150 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The tags and what they name, sorted. That need not be there any more.
    pub tags: Vec<(Tag, Digest)>,
    /// The digests of its manifests, the canonical ones first; also those of manifests that were
    /// deleted, where Distribution has left their directories.
    pub manifests: Vec<Digest>,
}

impl Registry {
    /// The tags of a repository and its manifests, those that no tag names among them. The tags are
    /// read before the manifests are listed, the other way round as a push writes them: what a tag
    /// names is in the list, unless it was deleted in between.
    ///
    /// # Errors
    /// [`crate::Error::Storage`]. A repository that is not there has nothing.
    pub async fn inventory(&self, name: &RepositoryName) -> Result<Inventory> {
        let tags = self.directory_names(&layout::tags(name)).await?;
        let tags: Vec<_> = tags.iter().filter_map(|tag| Tag::parse(tag).ok()).collect();
        let read = stream::iter(tags).map(async |tag| {
            let digest = link::read(&*self.driver, &layout::tag_current(name, &tag)).await?;
            Ok::<_, crate::Error>(digest.map(|digest| (tag, digest)))
        });
        let read = read.buffered(self.requests_at_once());
        let tags = read.try_filter_map(async |tag| Ok(tag)).try_collect().await?;
        let mut manifests = Vec::new();
        for algorithm in Algorithm::ALL {
            let names = self.directory_names(&layout::revisions(name, algorithm)).await?;
            manifests.extend(names.iter().filter_map(|hex| Digest::from_hex(algorithm, hex).ok()));
        }
        Ok(Inventory { tags, manifests })
    }

    /// The names of the directories within a directory; none when it is not there.
    async fn directory_names(&self, path: &StoragePath) -> Result<Vec<Box<str>>> {
        let entries = match self.driver.list(path).await {
            Ok(listing) => listing.entries,
            Err(StorageError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let directories = entries.into_iter().filter(|e| e.kind == EntryKind::Directory);
        Ok(directories.map(|entry| entry.name).collect())
    }
}
