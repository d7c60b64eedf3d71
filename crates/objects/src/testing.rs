//! A store in memory, with the library's own objects and uploads.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attributes, ListResult, ObjectMeta, ObjectStore as _};

use crate::client::Store;
use crate::copying::InOne;
use crate::guard::Guard;
use crate::{Objects, OpenOptions, Transport};

/// Lists as S3 does: by the order of whole keys, with what comes before a delimiter as one entry,
/// a few at a time.
struct Pages(Arc<InMemory>);

/// What a page consists of, in the order of the keys.
enum Found {
    Object(ObjectMeta),
    Prefix(String),
}

#[async_trait]
impl PaginatedListStore for Pages {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> object_store::Result<PaginatedListResult> {
        let prefix = prefix.unwrap_or_default();
        let mut all: Vec<ObjectMeta> = self.0.list(None).try_collect().await?;
        all.sort_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
        let after = options.page_token.or(options.offset).unwrap_or_default();
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        for object in all {
            let key = object.location.as_ref().to_owned();
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let slash = rest.find('/').filter(|_| options.delimiter.is_some());
            let (name, entry) = match slash {
                Some(slash) => {
                    let directory = format!("{prefix}{}", &rest[..=slash]);
                    (directory.clone(), Found::Prefix(directory))
                }
                None => (key, Found::Object(object)),
            };
            if name > after && seen.insert(name.clone()) {
                found.push((name, entry));
            }
        }
        let limit = options.max_keys.unwrap_or(1000).min(3);
        let more = found.len() > limit;
        found.truncate(limit);
        let page_token = found.last().map(|(name, _)| name.clone()).filter(|_| more);
        let mut result = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
            extensions: Default::default(),
        };
        for (_, entry) in found {
            match entry {
                Found::Object(object) => result.objects.push(object),
                Found::Prefix(prefix) => result.common_prefixes.push(Path::from(prefix)),
            }
        }
        Ok(PaginatedListResult { result, page_token })
    }
}

/// A driver of its own bucket, and another one of the same bucket, as a second replica has it.
#[must_use]
pub fn replicas() -> (Objects, Objects) {
    let store = Arc::new(InMemory::new());
    (driver(&store), driver(&store))
}

fn driver(store: &Arc<InMemory>) -> Objects {
    let opened = Store {
        name: "s3",
        objects: store.clone(),
        multipart: store.clone(),
        pages: Arc::new(Pages(Arc::clone(store))),
        redirects: None,
        copier: Arc::new(InOne(store.clone())),
        attributes: Attributes::new(),
    };
    let open = OpenOptions {
        root_directory: "/root/of/it".into(),
        part_bytes: 5 << 20,
        redirects: false,
        transport: Transport::default(),
    };
    Objects::assemble(opened, &open, Arc::new(Guard::new(None)))
}
