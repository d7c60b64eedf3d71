use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;

use mounts::{Unchanged, changing, unchanged};

use super::disk::{Disk, RealDisk};
use super::*;
use crate::limits::{STREAM_BUFFERS, STREAM_PIECE_BYTES, STREAM_PIECE_BYTES_MIN};
use crate::{Change, EntryKind, StorageError};

mod durability;
pub(crate) mod mounts;
mod sharing;
mod watching;

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn open_at(root: &Path) -> Filesystem {
    Filesystem::open(FilesystemOptions::new(root)).unwrap()
}

fn made(inline_reads: bool) -> (Arc<dyn Driver>, (tempfile::TempDir, Unchanged)) {
    let unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let options = FilesystemOptions { inline_reads, ..FilesystemOptions::new(root) };
    (Arc::new(Filesystem::open(options).unwrap()), (directory, unchanged))
}

mod conformance_inline {
    crate::conformance_tests!(every: super::made(true));
    crate::conformance_tests!(local: super::made(true));
    crate::conformance_tests!(tree: super::made(true));
}

mod conformance_blocking {
    crate::conformance_tests!(every: super::made(false));
    crate::conformance_tests!(local: super::made(false));
    crate::conformance_tests!(tree: super::made(false));
}

#[tokio::test]
async fn the_room_is_that_of_the_volume() {
    let directory = tempfile::tempdir().unwrap();
    let space = open_at(directory.path()).space().await.unwrap().unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
    assert!(space.total_bytes > 1 << 20, "{space:?}");
}

/// Whether inline reads work here; where they don't, the tests of them say so and stop.
fn is_inline_supported(driver: &Filesystem) -> bool {
    let supported = driver.volume.inline.is_on();
    if !supported {
        println!("NOT RUN: this kernel or filesystem has no inline reads");
    }
    supported
}

#[tokio::test]
async fn cached_files_are_read_without_the_blocking_pool() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let content = Bytes::from(vec![1; 3 * STREAM_PIECE_BYTES]);
    driver.put(&path("/d/file"), content.clone()).await.unwrap();
    // Once, so that the kernel has it in memory: even that a name is absent.
    driver.get(&path("/d/file"), 1 << 20).await.unwrap();
    driver.stat(&path("/d/absent")).await.unwrap_err();
    if !is_inline_supported(&driver) {
        return;
    }
    // With no thread to be had, whatever asks for one waits for ever.
    let all = u32::try_from(driver.volume.threads.available_permits()).unwrap();
    let _threads = driver.volume.threads.acquire_many(all).await.unwrap();
    let read_everything = async {
        assert_eq!(driver.get(&path("/d/file"), 1 << 20).await.unwrap(), content);
        assert_eq!(driver.stat(&path("/d/file")).await.unwrap().kind, EntryKind::File);
        assert!(driver.stat(&path("/d/absent")).await.unwrap_err().is_not_found());
        driver.listing_version(&path("/d")).await.unwrap();
        let object = driver.open(&path("/d/file")).await.unwrap();
        let pieces: Vec<_> = object.stream(0..content.len() as u64).collect().await;
        assert_eq!(pieces.len(), 3);
    };
    tokio::time::timeout(Duration::from_secs(20), read_everything).await.unwrap();
}

#[tokio::test]
async fn cold_files_are_read_on_the_blocking_pool() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let content: Bytes = (0..8 * STREAM_PIECE_BYTES).map(|at| (at % 251) as u8).collect();
    driver.put(&path("/file"), content.clone()).await.unwrap();
    let cold = File::open(directory.path().join("file")).unwrap();
    rustix::fs::fadvise(&cold, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let object = driver.open(&path("/file")).await.unwrap();
    let pieces: Vec<_> = object.stream(0..content.len() as u64).collect().await;
    let pieces: Vec<_> = pieces.into_iter().map(Result::unwrap).collect();
    assert_eq!(pieces.concat(), content);
    rustix::fs::fadvise(&cold, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    assert_eq!(driver.get(&path("/file"), 1 << 30).await.unwrap(), content);
}

/// A feed that stalls, as the hashing or the disk behind it may, until the test lets it go on.
struct Stalled(Mutex<std::sync::mpsc::Receiver<()>>);

impl crate::Feed for Stalled {
    fn next(&self) -> Option<Vec<Bytes>> {
        self.0.lock().unwrap().recv().ok().map(|()| vec![Bytes::from_static(b"x")])
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_stalled_writer_stalls_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    driver.put(&path("/file"), Bytes::from_static(b"content")).await.unwrap();
    let (go_on, stalled) = std::sync::mpsc::channel();
    let feed = Arc::new(Stalled(Mutex::new(stalled)));
    let mut appender = driver.append(&path("/upload")).await.unwrap();
    let writing = tokio::spawn(async move {
        appender.append_from(feed).await.unwrap();
        appender.size_bytes()
    });
    // The only worker goes on, and so does the blocking pool.
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert_eq!(driver.get(&path("/file"), 100).await.unwrap(), "content");
        driver.put(&path("/other"), Bytes::new()).await.unwrap();
        go_on.send(()).unwrap();
    }
    assert!(!writing.is_finished());
    drop(go_on);
    assert_eq!(writing.await.unwrap(), 10);
}

/// Whoever has much to append does not keep a thread from those who wait for one.
#[tokio::test]
async fn a_writer_gives_others_their_turn() {
    struct Endless;
    impl crate::Feed for Endless {
        fn next(&self) -> Option<Vec<Bytes>> {
            Some(vec![Bytes::from_static(&[7; 1 << 20])])
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let mut appender = driver.append(&path("/upload")).await.unwrap();
    let fed = appender.append_from(Arc::new(Endless));
    tokio::time::timeout(Duration::from_secs(20), fed).await.unwrap().unwrap();
    assert_eq!(appender.size_bytes(), crate::limits::APPEND_TURN_BYTES);
}

#[tokio::test]
async fn a_stream_uses_its_buffers_again() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let size = 64 * STREAM_PIECE_BYTES;
    driver.put(&path("/file"), vec![0; size].into()).await.unwrap();
    let mut stream = driver.open(&path("/file")).await.unwrap().stream(0..size as u64);
    let mut addresses = HashMap::new();
    let mut held = std::collections::VecDeque::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        *addresses.entry(piece.as_ptr() as usize).or_insert(0) += 1;
        // As hyper does, keep a few until they are sent.
        held.push_back(piece);
        if held.len() == STREAM_BUFFERS {
            held.pop_front();
        }
    }
    assert!(addresses.len() <= STREAM_BUFFERS + 1, "{} buffers", addresses.len());
}

#[tokio::test]
async fn the_pieces_of_many_streams_are_smaller() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let size = 2 * STREAM_PIECE_BYTES as u64;
    driver.put(&path("/file"), vec![0; size as usize].into()).await.unwrap();
    let object = driver.open(&path("/file")).await.unwrap();
    let first_piece = async || {
        let mut stream = Arc::clone(&object).stream(0..size);
        let piece = stream.next().await.unwrap().unwrap();
        (piece.len(), stream)
    };
    let mut sizes = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..200 {
        let (piece_bytes, stream) = first_piece().await;
        sizes.push(piece_bytes);
        streams.push(stream);
    }
    assert_eq!(sizes[0], STREAM_PIECE_BYTES);
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    assert_eq!(sizes[199], STREAM_PIECE_BYTES_MIN);
    drop(streams);
    assert_eq!(first_piece().await.0, STREAM_PIECE_BYTES);
}

#[tokio::test]
async fn a_file_that_shrinks_fails_its_stream() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let size = 2 * STREAM_PIECE_BYTES as u64;
    driver.put(&path("/file"), vec![0; size as usize].into()).await.unwrap();
    let mut stream = driver.open(&path("/file")).await.unwrap().stream(0..size);
    stream.next().await.unwrap().unwrap();
    File::options()
        .write(true)
        .open(directory.path().join("file"))
        .unwrap()
        .set_len(STREAM_PIECE_BYTES as u64)
        .unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("shorter"), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn versions_wait_until_the_clock_has_moved_on() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    driver.put(&path("/d/a"), Bytes::new()).await.unwrap();
    assert_eq!(driver.listing_version(&path("/d")).await.unwrap(), None);
    assert_eq!(driver.list(&path("/d")).await.unwrap().version, None);
    tokio::time::sleep(crate::limits::RACY_CLOCK + Duration::from_millis(100)).await;
    let version = driver.listing_version(&path("/d")).await.unwrap();
    assert!(version.is_some());
    assert_eq!(driver.list(&path("/d")).await.unwrap().version, version);
    // A clock that is ahead, or a restored time, never counts as old.
    let ahead = std::time::SystemTime::now() + Duration::from_secs(3600);
    File::open(directory.path().join("d")).unwrap().set_modified(ahead).unwrap();
    assert_eq!(driver.listing_version(&path("/d")).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_found_and_holds_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    for inline_reads in [true, false] {
        let options =
            FilesystemOptions { inline_reads, ..FilesystemOptions::new(directory.path()) };
        let driver = Filesystem::open(options).unwrap();
        assert!(driver.open(&path("/pipe")).await.unwrap_err().is_not_found());
        assert!(driver.get(&path("/pipe"), 10).await.unwrap_err().is_not_found());
        assert!(driver.stat(&path("/pipe")).await.unwrap_err().is_not_found());
        assert!(!driver.append(&path("/pipe")).await.unwrap_err().is_not_found());
        assert!(driver.list(&path("/")).await.unwrap().entries.is_empty());
    }
}

#[test]
fn roots_are_made_and_bad_ones_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b/c");
    open_at(&deep);
    assert!(deep.is_dir());
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 0, "the probe stayed");

    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Filesystem::open(FilesystemOptions::new(&file)).unwrap_err();
    assert!(matches!(&error, OpenError::NotADirectory { root } if root == &file), "{error}");
    let below = file.join("root");
    let error = Filesystem::open(FilesystemOptions::new(&below)).unwrap_err();
    assert!(error.to_string().contains(below.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_root_that_cannot_be_written_is_refused_unless_it_is_only_read() {
    #[derive(Debug)]
    struct Failing(io::ErrorKind);
    impl Disk for Failing {
        fn create_directory(&self, _: &Path) -> io::Result<()> {
            Err(self.0.into())
        }
        fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
            Err(self.0.into())
        }
        fn sync_file(&self, _: &File, _: &Path) -> io::Result<()> {
            Err(self.0.into())
        }
        fn sync_directory(&self, _: &Path) -> io::Result<()> {
            Err(self.0.into())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), b"kept").unwrap();
    let options = FilesystemOptions::new(directory.path());
    let open = |kind, options: &FilesystemOptions| {
        Filesystem::open_on(options.clone(), Box::new(Failing(kind)))
    };
    let error = open(io::ErrorKind::ReadOnlyFilesystem, &options).unwrap_err();
    assert!(matches!(error, OpenError::ReadOnlyMount { .. }), "{error}");
    let error = open(io::ErrorKind::PermissionDenied, &options).unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    let absent = FilesystemOptions::new(directory.path().join("absent"));
    let error = open(io::ErrorKind::PermissionDenied, &absent).unwrap_err();
    assert!(matches!(error, OpenError::Create { .. }), "{error}");
    let only_read = FilesystemOptions { read_only: true, ..options.clone() };
    for driver in [
        open(io::ErrorKind::ReadOnlyFilesystem, &only_read).unwrap(),
        open(io::ErrorKind::StorageFull, &options).unwrap(),
    ] {
        assert_eq!(driver.get(&path("/file"), 10).await.unwrap(), "kept");
        assert!(driver.put(&path("/file"), Bytes::new()).await.is_err());
        assert_eq!(driver.get(&path("/file"), 10).await.unwrap(), "kept");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a probe stayed");
    }
}

#[tokio::test]
async fn a_volume_that_is_gone_is_no_404() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let driver = open_at(&root);
    driver.put(&path("/d/file"), Bytes::new()).await.unwrap();
    fs::rename(&root, directory.path().join("elsewhere")).unwrap();
    let at = path("/d/file");
    assert!(!driver.get(&at, 10).await.unwrap_err().is_not_found());
    assert!(!driver.stat(&at).await.unwrap_err().is_not_found());
    assert!(!driver.list(&path("/d")).await.unwrap_err().is_not_found());
    assert!(!driver.delete(&at).await.unwrap_err().is_not_found());
    assert!(!driver.publish(&at, &path("/x")).await.unwrap_err().is_not_found());
    let error = driver.put(&at, Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");
    assert!(driver.append(&at).await.is_err());
    assert!(!root.exists(), "the root was made anew");
    // And back again.
    fs::rename(directory.path().join("elsewhere"), &root).unwrap();
    driver.get(&at, 10).await.unwrap();
}

/// As many people as use Distribution's volume must be able to go on using it.
#[tokio::test]
async fn modes_follow_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    let plain = directory.path().join("plain");
    fs::create_dir(&plain).unwrap();
    File::create(plain.join("file")).unwrap();
    driver.put(&path("/d/put"), Bytes::new()).await.unwrap();
    drop(driver.append(&path("/d/append")).await.unwrap());
    let mode = |at: &str| fs::metadata(directory.path().join(at)).unwrap().permissions().mode();
    assert_eq!(mode("d"), mode("plain"));
    assert_eq!(mode("d/put"), mode("plain/file"));
    assert_eq!(mode("d/append"), mode("plain/file"));
    assert_eq!(fs::metadata(directory.path().join("d/put")).unwrap().nlink(), 1);
}

/// Parts of a registry lie on other disks, behind symbolic links.
#[tokio::test]
async fn symbolic_links_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    symlink(elsewhere.path(), directory.path().join("blobs")).unwrap();
    symlink("/nowhere/at/all", directory.path().join("broken")).unwrap();
    drop(driver.append(&path("/upload")).await.unwrap());
    driver.publish(&path("/upload"), &path("/blobs/a/data")).await.unwrap();
    driver.put(&path("/blobs/b"), Bytes::from_static(b"x")).await.unwrap();
    assert!(elsewhere.path().join("a/data").exists());
    assert_eq!(driver.get(&path("/blobs/b"), 1).await.unwrap(), "x");
    let root = driver.list(&path("/")).await.unwrap().entries;
    assert_eq!(root.len(), 1, "{root:?}");
    assert_eq!(root[0].kind, EntryKind::Directory);
    assert!(driver.stat(&path("/broken")).await.unwrap_err().is_not_found());
    assert_eq!(driver.list(&path("/blobs")).await.unwrap().entries.len(), 2);
    // A deletion takes the link, never what it leads to.
    driver.delete(&path("/blobs")).await.unwrap();
    assert!(elsewhere.path().join("b").exists());
}
