//! The file, read again when it changed.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::HtpasswdError;
use super::users::{Users, log_remarks};
use crate::limits::{HTPASSWD_BYTES_MAX, HTPASSWD_CHECK_INTERVAL, HTPASSWD_CHECK_TIMEOUT};

/// A file whose time of change is younger than this may be changed again without a change of the
/// time: the clocks of file systems are coarse. It is read again until it is older.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Which version of the file was read. A new link target, as a Kubernetes volume gets, is another
/// inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    settled: bool,
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age_secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX) - metadata.ctime();
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            settled: age_secs > SETTLED_AFTER.as_secs().cast_signed(),
        }
    }
}

/// SHA-256 of a text.
type Digest = [u8; 32];

/// What the last look at the file found.
#[derive(Debug)]
struct Seen {
    /// What was read; none if it was no good, or nothing was there.
    good: Option<(Version, Digest)>,
    /// What was wrong, as it was logged.
    error: Option<String>,
    /// When that was.
    at: Instant,
    /// A look that did not come back in time. No second one is begun before it does.
    pending: Option<JoinHandle<Result<Found, HtpasswdError>>>,
}

/// What a look at the file brings.
#[derive(Debug)]
enum Found {
    /// It is as it was.
    Same,
    /// It was written again with the same text.
    SameText(Version),
    /// Another text.
    New(Version, Digest, Users),
}

/// An htpasswd file and its users.
#[derive(Debug)]
pub(super) struct UsersFile {
    path: Arc<Path>,
    users: RwLock<Arc<Users>>,
    seen: Mutex<Seen>,
}

impl UsersFile {
    /// Reads the file for the first time. Blocks.
    pub(super) fn open(path: PathBuf) -> Result<Self, HtpasswdError> {
        let (version, text) = read(&path)?;
        let users = parse(&path, &text)?;
        let good = Some((version, Sha256::digest(&text).into()));
        Ok(Self {
            path: path.into(),
            users: RwLock::new(Arc::new(users)),
            seen: Mutex::new(Seen { good, error: None, at: Instant::now(), pending: None }),
        })
    }

    /// The users as they are now, or were about a second ago.
    ///
    /// A new version that can't be read changes nothing and is logged, once. Whoever was removed
    /// by it can still log in, which is better than that nobody can: a file that is written in
    /// place is broken for a moment each time.
    pub(super) async fn users(&self) -> Arc<Users> {
        // One request looks; the others go on with what is known.
        if let Ok(mut seen) = self.seen.try_lock()
            && seen.at.elapsed() >= HTPASSWD_CHECK_INTERVAL
        {
            self.look(&mut seen).await;
            seen.at = Instant::now();
        }
        Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn look(&self, seen: &mut Seen) {
        let (path, good) = (Arc::clone(&self.path), seen.good);
        let pending = seen
            .pending
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || look(&path, good)));
        let Ok(found) = tokio::time::timeout(HTPASSWD_CHECK_TIMEOUT, pending).await else {
            let secs = HTPASSWD_CHECK_TIMEOUT.as_secs();
            let path = self.path.display();
            return complain(seen, format!("the htpasswd file {path} can't be read in {secs} s"));
        };
        seen.pending = None;
        match found {
            Ok(Ok(Found::Same)) => {}
            Ok(Ok(Found::SameText(version))) => {
                seen.good = seen.good.map(|(_, digest)| (version, digest));
            }
            Ok(Ok(Found::New(version, digest, users))) => {
                seen.good = Some((version, digest));
                let (file, count) = (self.path.display(), users.len());
                tracing::info!(%file, users = count, "the htpasswd file was read again");
                *self.users.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
            }
            Ok(Err(error)) => {
                seen.good = None;
                return complain(seen, error.to_string());
            }
            Err(failed) => return complain(seen, format!("reading the htpasswd file: {failed}")),
        }
        seen.error = None;
    }
}

/// Logs an error unless it is the one that was logged last.
fn complain(seen: &mut Seen, error: String) {
    if seen.error.as_ref() != Some(&error) {
        tracing::error!(
            "{error}; until it can, the users stay as they were, removed ones included"
        );
        seen.error = Some(error);
    }
}

/// Reads the file if it isn't what was read before.
fn look(path: &Path, good: Option<(Version, Digest)>) -> Result<Found, HtpasswdError> {
    let failed = |source| HtpasswdError::Read { path: path.to_owned(), source };
    let now = Version::of(&std::fs::metadata(path).map_err(failed)?);
    if good.is_some_and(|(before, _)| before.settled && before == now) {
        return Ok(Found::Same);
    }
    let (version, text) = read(path)?;
    let digest: Digest = Sha256::digest(&text).into();
    if good.is_some_and(|(_, before)| before == digest) {
        return Ok(Found::SameText(version));
    }
    Ok(Found::New(version, digest, parse(path, &text)?))
}

/// Reads the file, within bounds.
pub(super) fn read(path: &Path) -> Result<(Version, Vec<u8>), HtpasswdError> {
    let failed = |source| HtpasswdError::Read { path: path.to_owned(), source };
    // To open a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(HtpasswdError::NotAFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(failed)?;
    // Taken before the text: if the file changes in between, the next look finds out.
    let version = Version::of(&file.metadata().map_err(failed)?);
    let mut text = Vec::new();
    let length = file.take(HTPASSWD_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > HTPASSWD_BYTES_MAX {
        return Err(HtpasswdError::TooLarge { path: path.to_owned() });
    }
    Ok((version, text))
}

fn parse(path: &Path, text: &[u8]) -> Result<Users, HtpasswdError> {
    let (users, remarks) = Users::parse(text).map_err(|(line, what)| HtpasswdError::Malformed {
        path: path.to_owned(),
        line,
        what,
    })?;
    log_remarks(path, &remarks);
    Ok(users)
}

/// Makes what happened in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // A file system that does not know how, such as some of a network.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}
