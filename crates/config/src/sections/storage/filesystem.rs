//! `storage.filesystem`.

use std::path::PathBuf;

use crate::{
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::text("rootdirectory", "The directory that holds everything.")
        .default("/var/lib/registry"),
    schema::count("maxthreads", "File operations at the same time; less than 25 counts as 25.")
        .default("100"),
]);

/// Fewest concurrent file operations; Distribution raises a lower value to it.
const MAX_THREADS_MIN: u64 = 25;

/// `storage.filesystem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// The directory that holds everything.
    pub root_directory: PathBuf,
    /// File operations at the same time, at least 25.
    pub max_threads: u64,
}

pub(crate) fn read(parameters: Reader<'_>) -> Filesystem {
    Filesystem {
        root_directory: parameters.text("rootdirectory").into(),
        max_threads: parameters.count("maxthreads").max(MAX_THREADS_MIN),
    }
}
