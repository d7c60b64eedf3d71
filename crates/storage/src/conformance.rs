//! What every driver must do, as a suite of tests that each one runs.
//!
//! [`conformance_tests!`](crate::conformance_tests) turns the cases into tests of a driver:
//!
//! ```
//! # use std::sync::Arc;
//! # use storage::memory::Memory as MyDriver;
//! storage::conformance_tests!(every: (Arc::new(MyDriver::new()), ()));
//! storage::conformance_tests!(local: (Arc::new(MyDriver::new()), ()));
//! storage::conformance_tests!(tree: (Arc::new(MyDriver::new()), ()));
//! ```
//!
//! The expression makes a driver of its own for each case, as `Arc<dyn Driver>`, beside a value
//! that is kept for as long as the test runs, such as a temporary directory. The cases under
//! `every:` hold for all drivers, those under `local:` for the ones that hold a file open and write
//! each byte at once, those under `tree:` for the ones that have real directories.
//! The crate that runs them needs tokio with its macros and its multi-threaded runtime.

#![expect(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

mod appending;
mod content;
mod directories;
mod races;
mod tree;
mod watching;

use bytes::Bytes;
use futures_util::StreamExt;

use std::ops::Range;
use std::sync::Arc;

pub use appending::*;
pub use content::*;
pub use directories::*;
pub use races::*;
pub use tree::*;
pub use watching::*;

use crate::{Driver, Object, Result, StorageError, StoragePath};

/// Makes a test of each case of the [conformance suite](crate::conformance).
#[macro_export]
macro_rules! conformance_tests {
    (every: $make:expr) => {
        $crate::conformance_tests! { @each $make;
            content_is_kept content_is_replaced empty_files names_of_all_kinds
            limits_are_kept what_is_absent_is_not_found the_other_kind_is_not_found
            large_files_stream_in_bounded_pieces every_range_streams
            ranges_beyond_the_end_fail
            streams_can_be_dropped stat_tells_the_time changes_are_made_together

            appending_goes_on_where_it_ended appending_takes_many_pieces
            truncating_undoes_an_append
            what_is_fed_is_appended
            there_is_one_writer_at_a_time writers_of_different_files_are_independent
            what_is_kept_can_be_read pages_of_listings
            publishing_moves publishing_replaces publishing_needs_a_source
            publishing_works_under_an_open_appender publishing_an_empty_file

            listings_are_sorted listings_have_one_level listings_skip_temporary_files
            deleting_takes_what_is_below deleting_spares_siblings
            only_empty_directories_are_deleted_as_empty the_root_stays
            listing_versions_change_with_the_listing

            puts_to_one_path_are_atomic publishes_to_one_path_are_atomic
            one_of_many_writers_gets_in streams_are_independent

            a_watch_ends_with_its_sources a_followed_directory_tells_of_its_changes
        }
    };
    (local: $make:expr) => {
        $crate::conformance_tests! { @each $make;
            open_files_outlive_their_path what_is_appended_can_be_read_at_once
            a_deleted_file_starts_anew new_files_are_free a_dropped_append_leaves_a_prefix
            appending_nothing_makes_an_empty_file files_are_truncated
        }
    };
    (tree: $make:expr) => {
        $crate::conformance_tests! { @each $make;
            directories_stay_until_deleted files_and_directories_exclude_each_other
            writers_survive_the_deletion_of_empty_parents
            deletion_survives_writers
        }
    };
    (@each $make:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (driver, _kept) = $make;
                $crate::conformance::$case(driver).await;
            }
        )*
    };
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// Bytes of which no two stretches are alike, so that misplaced pieces are noticed.
fn pattern(length: usize) -> Bytes {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn read(object: &Arc<dyn Object>, range: Range<u64>) -> Result<Vec<u8>> {
    let mut stream = Arc::clone(object).stream(range);
    let mut content = Vec::new();
    while let Some(piece) = stream.next().await {
        content.extend_from_slice(&piece?);
    }
    Ok(content)
}

async fn read_whole(driver: &Arc<dyn Driver>, at: &StoragePath) -> Vec<u8> {
    let object = driver.open(at).await.unwrap();
    read(&object, 0..object.size_bytes()).await.unwrap()
}

async fn read_staged(driver: &Arc<dyn Driver>, at: &StoragePath) -> Vec<u8> {
    let object = driver.open_staged(at).await.unwrap();
    read(&object, 0..object.size_bytes()).await.unwrap()
}

async fn names(driver: &Arc<dyn Driver>, at: &str) -> Vec<String> {
    match driver.list(&path(at)).await {
        Ok(listing) => listing.entries.into_iter().map(|entry| entry.name.into()).collect(),
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => panic!("listing {at}: {error}"),
    }
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(result: Result<T>, at: &StoragePath) {
    match result {
        Err(StorageError::NotFound { path }) => assert_eq!(&path, at),
        other => panic!("{at}: not found was expected, and there was {other:?}"),
    }
}

/// It failed, and did not say that nothing is there.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T>) {
    match result {
        Err(error) if !error.is_not_found() => {}
        other => panic!("a refusal was expected, and there was {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_run() {
        let suite = include_str!("conformance.rs");
        let files = [
            include_str!("conformance/appending.rs"),
            include_str!("conformance/content.rs"),
            include_str!("conformance/directories.rs"),
            include_str!("conformance/races.rs"),
            include_str!("conformance/tree.rs"),
            include_str!("conformance/watching.rs"),
        ];
        let cases = files.iter().flat_map(|file| file.split("pub async fn ").skip(1));
        let names: Vec<_> = cases.filter_map(|case| case.split('(').next()).collect();
        assert!(names.len() > 30);
        for name in names {
            assert!(suite.split_whitespace().any(|word| word == name), "{name} is not run");
        }
    }
}
