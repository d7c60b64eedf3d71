//! Directories, which are what keys have in common up to a slash.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::list::PaginatedListOptions;
use object_store::{ListResult, ObjectMeta};
use storage::{Entry, EntryKind, Result, StorageError, StoragePath};

use crate::client::Client;
use crate::failure::{broken, storage_error, write_error};
use crate::keys::is_record;
use crate::limits::{LIST_ENTRIES_MAX, LIST_KEYS_MAX};

/// One page of what the store lists.
struct Page {
    result: ListResult,
    next: Option<String>,
}

/// What is listed.
struct Query<'a> {
    path: &'a StoragePath,
    /// What all keys begin with.
    prefix: String,
    /// Whether what lies deeper is shown by its directory alone.
    one_level: bool,
    /// The key behind which the listing begins.
    after: Option<String>,
    keys_max: usize,
}

impl Query<'_> {
    async fn page(&self, client: &Client, token: Option<String>) -> Result<Page> {
        let options = PaginatedListOptions {
            offset: self.after.clone().filter(|_| token.is_none()),
            delimiter: self.one_level.then_some("/".into()),
            max_keys: Some(self.keys_max),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        let prefix = Some(&*self.prefix).filter(|prefix| !prefix.is_empty());
        let page = client.store.pages.list_paginated(prefix, options).await;
        let page = page.map_err(|error| storage_error("list", self.path, error))?;
        Ok(Page { result: page.result, next: page.page_token })
    }

    /// The names of a page's entries, as far as they can be names.
    fn names(&self, page: &ListResult, into: &mut BTreeMap<Box<str>, EntryKind>) {
        let name = |key: &str| {
            let name = key.strip_prefix(&*self.prefix)?.trim_end_matches('/');
            let is_name = !name.contains('/') && StoragePath::root().join(name).is_ok();
            is_name.then(|| Box::from(name))
        };
        for object in &page.objects {
            let Some(name) = name(object.location.as_ref()) else { continue };
            if !is_record(&name) && !storage::is_temporary_file(&name) {
                into.insert(name, EntryKind::File);
            }
        }
        for directory in &page.common_prefixes {
            if let Some(name) = name(directory.as_ref()) {
                into.insert(name, EntryKind::Directory);
            }
        }
    }
}

fn entries(names: BTreeMap<Box<str>, EntryKind>) -> Vec<Entry> {
    names.into_iter().map(|(name, kind)| Entry { name, kind }).collect()
}

/// Everything directly below a directory.
pub(crate) async fn all(client: &Client, path: &StoragePath) -> Result<Vec<Entry>> {
    let query = Query {
        path,
        prefix: client.root.below(path),
        one_level: true,
        after: None,
        keys_max: LIST_KEYS_MAX,
    };
    let (mut names, mut token, mut is_there) = (BTreeMap::new(), None, path.is_root());
    loop {
        let page = query.page(client, token).await?;
        is_there |= !page.result.objects.is_empty() || !page.result.common_prefixes.is_empty();
        query.names(&page.result, &mut names);
        if names.len() > LIST_ENTRIES_MAX {
            return Err(broken("list", path, "it has more entries than are read at once"));
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    if !is_there {
        return Err(StorageError::NotFound { path: path.clone() });
    }
    Ok(entries(names))
}

/// The first `limit` entries behind `after`.
///
/// The store sorts keys, and names are sorted otherwise: `a-b` comes behind `a`, but what is below
/// it before what is below `a`, since `-` is less than `/`. So what belongs into the page may lie
/// behind what was read for it; that can only be a name which the page's last one begins with.
pub(crate) async fn some(
    client: &Client,
    path: &StoragePath,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Entry>> {
    let prefix = client.root.below(path);
    let query = Query {
        path,
        one_level: true,
        after: after.map(|name| format!("{prefix}{name}")),
        prefix,
        keys_max: limit.saturating_add(2).clamp(1, LIST_KEYS_MAX),
    };
    let (mut names, mut token) = (BTreeMap::new(), None);
    let is_whole = loop {
        let page = query.page(client, token).await?;
        query.names(&page.result, &mut names);
        names.retain(|name, _| after.is_none_or(|after| &**name > after));
        token = page.next;
        if token.is_none() {
            break true;
        }
        if names.len() >= limit {
            break false;
        }
    };
    if !is_whole {
        let last = names.keys().nth(limit.saturating_sub(1)).cloned().unwrap_or_default();
        for name in shorter(&last) {
            if after.is_none_or(|after| name > after)
                && !names.contains_key(name)
                && let Some(kind) = kind(client, &path.join(name)?).await?
            {
                names.insert(name.into(), kind);
            }
        }
    }
    let mut entries = entries(names);
    entries.truncate(limit);
    Ok(entries)
}

/// The names that `name` begins with and whose keys may still come behind its own.
fn shorter(name: &str) -> impl Iterator<Item = &str> {
    name.char_indices().filter(|(at, c)| *at > 0 && *c < '/').map(|(at, _)| &name[..at])
}

/// What lies at a path.
async fn kind(client: &Client, path: &StoragePath) -> Result<Option<EntryKind>> {
    if first_below(client, path).await?.is_some() {
        return Ok(Some(EntryKind::Directory));
    }
    match client.stat(path).await {
        Ok(_) => Ok(Some(EntryKind::File)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first object anywhere below a directory: there is no directory without one.
pub(crate) async fn first_below(client: &Client, path: &StoragePath) -> Result<Option<ObjectMeta>> {
    let prefix = client.root.below(path);
    let query = Query { path, prefix, one_level: false, after: None, keys_max: 1 };
    Ok(query.page(client, None).await?.result.objects.into_iter().next())
}

/// Whether there is any key that begins like this.
pub(crate) async fn has_any(client: &Client, prefix: String) -> Result<bool> {
    let root = StoragePath::root();
    let query = Query { path: &root, prefix, one_level: false, after: None, keys_max: 1 };
    Ok(!query.page(client, None).await?.result.objects.is_empty())
}

/// Deletes everything below a directory and says whether there was anything. Uploads that had been
/// begun are given up first.
pub(crate) async fn delete_below(client: &Client, path: &StoragePath) -> Result<bool> {
    let prefix = client.root.below(path);
    let query = Query { path, prefix, one_level: false, after: None, keys_max: LIST_KEYS_MAX };
    let (mut token, mut had_any) = (None, false);
    loop {
        let page = query.page(client, token).await?;
        let keys: Vec<_> = page.result.objects.into_iter().map(|o| o.location).collect();
        had_any |= !keys.is_empty();
        for record in keys.iter().filter(|key| is_record(key.as_ref())) {
            crate::staging::abort(client, path, record).await?;
        }
        let deleted =
            client.store.objects.delete_stream(stream::iter(keys.into_iter().map(Ok)).boxed());
        let outcomes = deleted.map(|one| match one {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(write_error("delete", path, error)),
        });
        outcomes.try_collect::<()>().await?;
        token = page.next;
        if token.is_none() {
            return Ok(had_any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_come_later() {
        assert_eq!(shorter("v1.2-rc").collect::<Vec<_>>(), ["v1", "v1.2"]);
        assert_eq!(shorter("latest").count(), 0);
        assert_eq!(shorter(".a").count(), 0);
    }
}
