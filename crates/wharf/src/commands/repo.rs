//! `wharf repo`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use oci::RepositoryName;
use registry::{DeletedRepository, Registry};

use super::{on_storage, refuse};
use crate::storage_driver::For;

/// Deletes a repository, or says what there would be to delete.
pub(crate) fn delete(name: &str, config: Option<&Path>, dry_run: bool) -> ExitCode {
    let name = match RepositoryName::parse(name) {
        Ok(name) => name,
        Err(error) => return refuse(format_args!("\"{name}\" names no repository: {error}")),
    };
    if dry_run {
        let look = async |registry: Registry| {
            let found = registry.look_at_repository(&name).await;
            found
                .map(|found| said(&name, "would be deleted", &found))
                .context("nothing was deleted")
        };
        return on_storage::run(config, For::Reading, look);
    }
    let delete = async |registry: Registry| {
        if registry.read_only_note().await?.is_some() {
            anyhow::bail!("the registry is read-only; `wharf readonly status` says why");
        }
        let deleted = registry.delete_repository(&name).await;
        let said = deleted.map(|deleted| said(&name, "deleted", &deleted));
        said.with_context(|| format!("{name} could not be deleted; start it again to go on"))
    };
    on_storage::run(config, For::Writing, delete)
}

fn said(name: &RepositoryName, what: &str, deleted: &DeletedRepository) -> String {
    let DeletedRepository { tags, manifests, layers, uploads } = deleted;
    format!(
        "{name} {what}: {tags} tags, {manifests} manifests, {layers} links to blobs, {uploads} \
         unfinished uploads\n"
    )
}
