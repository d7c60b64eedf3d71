//! `storage.gcs`.

use std::path::PathBuf;

use crate::{
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::text("bucket", "The bucket; required."),
    schema::text("keyfile", "File with the service account's key."),
    schema::text_map("credentials", true, "The service account's key, inline."),
    schema::text("rootdirectory", "Prefix of every object in the bucket."),
    schema::count("chunksize", "Bytes of one piece of an upload; a multiple of 256 KiB.")
        .default("16777216"),
    schema::count("maxconcurrency", "Operations at the same time; less than 25 counts as 25.")
        .default("50"),
    schema::text("useragent", "User agent towards the store."),
]);

/// Fewest concurrent operations; Distribution raises a lower value to it.
const MAX_CONCURRENCY_MIN: u64 = 25;

/// `storage.gcs`.
#[derive(Clone, Debug)]
pub struct Gcs {
    /// The bucket.
    pub bucket: String,
    /// File with the service account's key.
    pub key_file: Option<PathBuf>,
    /// The service account's key, field by field.
    pub credentials: Vec<(String, Secret)>,
    /// Prefix of every object.
    pub root_directory: String,
    /// One piece of an upload, in bytes.
    pub chunk_size_bytes: u64,
    /// Operations at the same time, at least 25.
    pub max_concurrency: u64,
    /// User agent.
    pub user_agent: Option<String>,
}

pub(crate) fn read(parameters: Reader<'_>) -> Gcs {
    Gcs {
        bucket: parameters.text("bucket"),
        key_file: parameters.set_path("keyfile"),
        credentials: parameters
            .entries("credentials")
            .filter_map(|(name, node)| Some((name.to_owned(), Secret::new(node.as_text()?))))
            .collect(),
        root_directory: parameters.text("rootdirectory"),
        chunk_size_bytes: parameters.count("chunksize"),
        max_concurrency: parameters.count("maxconcurrency").max(MAX_CONCURRENCY_MIN),
        user_agent: parameters.set_text("useragent"),
    }
}
