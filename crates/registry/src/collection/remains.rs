//! What an earlier collection left, and what this one leaves behind.

use oci::RepositoryName;
use storage::{StorageError, StoragePath};

use super::report::{Event, Problem};
use super::{CollectionError, Run};
use crate::catalog::RepositoryWalk;
use crate::layout;
use crate::trail::Trail;

impl Run<'_> {
    /// Clears away what a collector left that was killed.
    pub(super) async fn clear_remains(&mut self) -> Result<(), CollectionError> {
        for path in
            [layout::collection_batch(), layout::collection_announced(), layout::collection_lists()]
        {
            self.registry.delete_if_there(&path).await?;
        }
        self.expire_pins().await
    }

    /// Removes the uploads that nobody will finish.
    pub(super) async fn purge_uploads(&mut self) -> Result<(), CollectionError> {
        let Some(older_than) = self.options.uploads_older_than else { return Ok(()) };
        let dry_run = self.options.dry_run || self.options.uploads_dry_run;
        let purged = self.registry.purge_uploads(older_than, dry_run).await?;
        for path in &purged.purged {
            self.tell(&Event::Upload { path, dry_run });
        }
        // The report of a dry run counts what would go, and any other one what has gone.
        if dry_run == self.options.dry_run {
            self.tally.uploads(purged.purged.len() as u64);
        }
        for failure in purged.failed {
            self.report(None, failure);
        }
        Ok(())
    }

    /// Removes the directories of repositories that have nothing left, and those above them. A
    /// directory in which somebody is just making something is left alone.
    pub(super) async fn prune(&mut self) -> Result<(), CollectionError> {
        if self.options.dry_run || self.registry.driver.is_remote() {
            // Nothing but what is in it makes a directory on an object store.
            return Ok(());
        }
        for name in self.marks.empty.split_off(0) {
            self.spend(8).await;
            self.prune_repository(&name).await?;
        }
        Ok(())
    }

    async fn prune_repository(&mut self, name: &RepositoryName) -> Result<(), CollectionError> {
        let driver = &self.registry.driver;
        let root = layout::repository(name);
        let mut directories = vec![root.clone()];
        for below in ["_uploads", "_layers", "_manifests"] {
            if let Ok(path) = root.join(below) {
                empty_tree(&**driver, path, &mut directories).await?;
            }
        }
        for path in directories.iter().rev() {
            driver.delete_empty(path).await?;
        }
        let mut above = root;
        while let Some(parent) = above.parent().filter(|path| *path != layout::repositories()) {
            driver.delete_empty(&parent).await?;
            above = parent;
        }
        if driver.stat(&layout::repository(name)).await.is_err() {
            self.registry.delete_if_there(&layout::pulls(name)).await?;
            self.tally.repository_removed();
            self.tell(&Event::RepositoryRemoved { name });
        }
        Ok(())
    }

    pub(super) fn report(&mut self, repository: Option<&RepositoryName>, what: String) {
        let problem = Problem { repository: repository.map(ToString::to_string), what };
        self.tell(&Event::Problem { problem: &problem });
        self.tally.problem(problem);
    }

    /// A walk over everything that may be a repository.
    pub(super) async fn repositories(
        walk: &mut RepositoryWalk<'_>,
    ) -> Result<Option<RepositoryName>, CollectionError> {
        while let Some((name, directories)) = walk.next(&mut Trail::none()).await? {
            let is_one = ["_manifests", "_layers", "_uploads"];
            if directories.is_partial() || is_one.iter().any(|d| directories.contains(d)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Notes a directory and those below it, parents first, as far as a repository may have them when it
/// is empty: of a tag, of a revision and of a layer only the directories above them.
async fn empty_tree(
    driver: &dyn storage::Driver,
    path: StoragePath,
    directories: &mut Vec<StoragePath>,
) -> Result<(), CollectionError> {
    let mut stack = vec![path];
    while let Some(path) = stack.pop() {
        let listing = match driver.list(&path).await {
            Ok(listing) => listing,
            Err(StorageError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        stack.extend(listing.entries.iter().filter_map(|entry| path.join(&entry.name).ok()));
        directories.push(path);
    }
    Ok(())
}
