//! The file of a day, a server and a repository: a line for each tag or manifest that was pulled.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use oci::Reference;
use storage::{Driver, StorageError, StoragePath};

use crate::limits::PULLS_FILE_BYTES_MAX;

/// The first line, with its version.
const MAGIC: &str = "wharf pulls 1";

/// In which minute since 1970 something was last pulled.
pub(super) type Minutes = HashMap<Reference, u32>;

/// Takes in what was pulled; the later time counts.
pub(super) fn merge(into: &mut Minutes, from: impl IntoIterator<Item = (Reference, u32)>) {
    for (reference, minute) in from {
        let known = into.entry(reference).or_insert(minute);
        *known = (*known).max(minute);
    }
}

/// The content of a file, with `max` entries at most: those that were pulled last.
pub(super) fn encode(minutes: &Minutes, max: usize) -> Bytes {
    let mut lines: Vec<_> = minutes.iter().map(|(r, minute)| (*minute, r.to_string())).collect();
    lines.sort_unstable_by(|a, b| b.cmp(a));
    let mut content = format!("{MAGIC}\n");
    for (minute, reference) in lines.into_iter().take(max) {
        // Writing to a text never fails.
        let _ = writeln!(content, "{minute} {reference}");
    }
    content.into()
}

/// What is in a file. Lines that can't be read are left out, and all of another version.
pub(super) fn decode(content: &[u8]) -> Minutes {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines();
    let mut minutes = Minutes::new();
    if lines.next() != Some(MAGIC) {
        return minutes;
    }
    let entry = |line: &str| {
        let (minute, reference) = line.split_once(' ')?;
        Some((Reference::parse(reference).ok()?, minute.parse().ok()?))
    };
    merge(&mut minutes, lines.filter_map(entry));
    minutes
}

/// Reads a file; one that is not there is empty.
pub(super) async fn read(driver: &dyn Driver, path: &StoragePath) -> Result<Minutes, StorageError> {
    match driver.get(path, PULLS_FILE_BYTES_MAX).await {
        Ok(content) => Ok(decode(&content)),
        Err(StorageError::NotFound { .. }) => Ok(Minutes::new()),
        Err(error) => Err(error),
    }
}
