//! How far an endpoint is: one small file each.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::limits::CURSOR_FILE_BYTES_MAX;

/// The first line of a cursor file.
const HEADER: &str = "wharf cursor 1";

/// What the names of these files begin with.
const PREFIX: &str = "cursor-";

/// What is known of an endpoint's place from the last time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The sequence number of the first event that was not delivered.
    At(u64),
    /// The endpoint was not there.
    New,
    /// There is a file that says nothing, as after a power cut.
    Damaged,
}

/// The file of one endpoint.
#[derive(Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
    endpoint: String,
}

impl CursorFile {
    /// The file for the endpoint of this name; of several with one name, for the `nth`.
    pub(super) fn of(directory: &Path, endpoint: &str, nth: usize) -> Self {
        let sum = Sha256::new()
            .chain_update(endpoint.as_bytes())
            .chain_update([0])
            .chain_update(nth.to_string())
            .finalize();
        let hash: String = sum[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: directory.join(format!("{PREFIX}{hash}")), endpoint: endpoint.to_owned() }
    }

    /// Whether a directory entry is a cursor, of whatever endpoint, or what remained of saving one.
    pub(super) fn is_named(file_name: &str) -> bool {
        file_name.starts_with(PREFIX)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn load(&self) -> io::Result<Place> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::New),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(CURSOR_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Ok(Place::Damaged);
        }
        let number = lines.next().and_then(|line| line.parse().ok());
        Ok(number.map_or(Place::Damaged, Place::At))
    }

    /// Replaces the file in one step. It is not synced unless `sync`: should the disk not have it
    /// after a power cut, events are delivered again.
    pub(super) fn save(&self, next: u64, sync: bool) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(format!("{HEADER}\n{next}\n{}\n", self.endpoint).as_bytes())?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_and_a_damaged_one_is_told_from_none() {
        let directory = tempfile::tempdir().unwrap();
        let cursor = CursorFile::of(directory.path(), "../a\nb", 0);
        assert_eq!(cursor.load().unwrap(), Place::New);
        cursor.save(42, true).unwrap();
        assert_eq!(cursor.load().unwrap(), Place::At(42));
        for damaged in ["", "wharf cursor 1\n", "wharf cursor 1\nx\n", "\0\0\0\0"] {
            fs::write(cursor.path(), damaged).unwrap();
            assert_eq!(cursor.load().unwrap(), Place::Damaged, "{damaged:?}");
        }
    }

    #[test]
    fn endpoints_of_one_name_have_files_of_their_own() {
        let first = CursorFile::of(Path::new("/x"), "a", 0);
        assert_ne!(first.path(), CursorFile::of(Path::new("/x"), "a", 1).path());
        assert_eq!(first.path(), CursorFile::of(Path::new("/x"), "a", 0).path());
    }
}
