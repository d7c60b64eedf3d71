//! Other processes, other filesystems, full disks.

use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;

/// A small filesystem of its own, where the test may mount one.
struct Tmpfs(PathBuf, #[expect(dead_code)] mounts::Changing);

impl Tmpfs {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        let changing = changing();
        fs::create_dir_all(&at).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        match mount("tmpfs", &at, "tmpfs", MountFlags::empty(), options.as_c_str()) {
            Ok(()) => Some(Self(at, changing)),
            Err(error) => {
                println!("NOT RUN: no filesystem can be mounted here ({error})");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

/// Two drivers on one root are like two processes: they know of each other only by `flock`.
#[tokio::test]
async fn another_process_is_kept_out() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (open_at(directory.path()), open_at(directory.path()));
    let at = path("/u/data");
    let first = one.append(&at).await.unwrap();
    let busy = other.append(&at).await.unwrap_err();
    assert!(matches!(busy, StorageError::Busy { .. }), "{busy}");
    drop(first);
    drop(other.append(&at).await.unwrap());
    let foreign = File::open(directory.path().join("u/data")).unwrap();
    flock(&foreign, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(matches!(one.append(&at).await, Err(StorageError::Busy { .. })));
    drop(foreign);
    one.append(&at).await.unwrap();
}

#[tokio::test]
async fn two_processes_write_below_the_same_directories() {
    let directory = tempfile::tempdir().unwrap();
    let drivers = [open_at(directory.path()), open_at(directory.path())];
    let mut tasks = tokio::task::JoinSet::new();
    for (number, driver) in drivers.into_iter().enumerate() {
        tasks.spawn(async move {
            for round in 0..30 {
                let own = path(&format!("/d/{round}/{number}"));
                driver.put(&own, Bytes::from_static(b"x")).await.unwrap();
                driver.get(&own, 1).await.unwrap();
                driver.delete(&own).await.unwrap();
                driver.delete_empty(&own.parent().unwrap()).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(fs::read_dir(directory.path().join("d")).unwrap().count(), 0);
}

/// Blobs on another disk: the rename becomes a copy, with everything it must keep to.
#[tokio::test]
async fn publishing_crosses_filesystems() {
    let directory = tempfile::tempdir().unwrap();
    let Some(other) = Tmpfs::mount(directory.path().join("other"), "16m") else { return };
    let root = directory.path().join("root");
    let driver = open_at(&root);
    symlink(&other.0, root.join("blobs")).unwrap();
    let content: Bytes = (0..5_000_000).map(|at| (at % 251) as u8).collect();
    let mut appender = driver.append(&path("/u/data")).await.unwrap();
    appender.append(vec![content.clone()]).await.unwrap();
    drop(appender);
    driver.put(&path("/blobs/a/data"), Bytes::from_static(b"old")).await.unwrap();
    driver.publish(&path("/u/data"), &path("/blobs/a/data")).await.unwrap();
    assert_eq!(driver.get(&path("/blobs/a/data"), 1 << 30).await.unwrap(), content);
    assert!(driver.stat(&path("/u/data")).await.unwrap_err().is_not_found());
    assert_eq!(fs::read_dir(other.0.join("a")).unwrap().count(), 1, "a temporary file stayed");
    // When it is full there, nothing is lost here.
    driver.put(&path("/u/huge"), vec![1; 15_000_000].into()).await.unwrap();
    let full = driver.publish(&path("/u/huge"), &path("/blobs/b/data")).await.unwrap_err();
    assert!(matches!(full, StorageError::NoSpace { .. }), "{full}");
    assert_eq!(driver.stat(&path("/u/huge")).await.unwrap().size_bytes, 15_000_000);
    assert_eq!(fs::read_dir(other.0.join("b")).unwrap().count(), 0, "a temporary file stayed");
}

#[tokio::test]
async fn a_full_disk_is_named_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(small) = Tmpfs::mount(directory.path().join("small"), "1m") else { return };
    let driver = open_at(&small.0);
    let kept = Bytes::from_static(b"kept");
    driver.put(&path("/d/kept"), kept.clone()).await.unwrap();
    let mut appender = driver.append(&path("/d/upload")).await.unwrap();
    let full = appender.append(vec![vec![7; 800_000].into(), vec![8; 800_000].into()]).await;
    assert!(matches!(full, Err(StorageError::NoSpace { .. })), "{full:?}");
    let size = appender.size_bytes();
    assert!((1..1_600_000).contains(&size), "{size}");
    assert_eq!(driver.stat(&path("/d/upload")).await.unwrap().size_bytes, size);

    let full = driver.put(&path("/d/kept"), vec![0; 500_000].into()).await.unwrap_err();
    assert!(matches!(full, StorageError::NoSpace { .. }), "{full}");
    assert_eq!(driver.get(&path("/d/kept"), 10).await.unwrap(), kept);
    assert_eq!(driver.list(&path("/d")).await.unwrap().entries.len(), 2);
    assert_eq!(fs::read_dir(small.0.join("d")).unwrap().count(), 2, "a temporary file stayed");

    // Whoever starts now can still read, and what is freed can be written again.
    let late = open_at(&small.0);
    assert_eq!(late.get(&path("/d/kept"), 10).await.unwrap(), kept);
    appender.truncate(100).await.unwrap();
    appender.append(vec![vec![9; 100_000].into()]).await.unwrap();
    assert_eq!(appender.size_bytes(), 100_100);
}

/// An unmounted volume leaves an empty directory, in which nothing must be looked for or written.
#[tokio::test]
async fn an_unmounted_volume_is_an_outage() {
    let directory = tempfile::tempdir().unwrap();
    let Some(volume) = Tmpfs::mount(directory.path().join("volume"), "1m") else { return };
    let root = volume.0.clone();
    let driver = open_at(&root);
    driver.put(&path("/d/file"), Bytes::new()).await.unwrap();
    drop(volume);
    assert!(root.is_dir());
    assert!(!driver.get(&path("/d/file"), 10).await.unwrap_err().is_not_found());
    driver.put(&path("/d/file"), Bytes::new()).await.unwrap_err();
    driver.append(&path("/d/file")).await.unwrap_err();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

/// Takes a file away while another one is synced, as a repair may that moves what it takes for damaged.
#[derive(Debug)]
struct Taking {
    root: PathBuf,
    during: &'static str,
    taken: &'static str,
}

impl Disk for Taking {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_directory(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        if path.ends_with(self.during) {
            let _ = fs::remove_file(self.root.join(self.taken));
        }
        RealDisk.sync_file(file, path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

#[tokio::test]
async fn what_was_found_in_place_and_is_taken_away_meanwhile_is_written_anew() {
    // The link is in place, the data comes; and the other way round.
    for (during, taken) in [("u/data", "link"), ("link", "blob/data")] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let disk = Taking { root: root.clone(), during, taken };
        let options = FilesystemOptions::new(directory.path());
        let driver = Filesystem::open_on(options, Box::new(disk)).unwrap();
        driver.put(&path("/u/data"), Bytes::from_static(b"content")).await.unwrap();
        fs::create_dir(root.join("blob")).unwrap();
        match taken {
            "link" => fs::write(root.join("link"), b"where to").unwrap(),
            _ => fs::write(root.join("blob/data"), b"content").unwrap(),
        }
        let publish = Change::Publish { from: path("/u/data"), to: path("/blob/data") };
        let link = Change::put(path("/link"), Bytes::from_static(b"where to"));
        driver.apply(vec![vec![publish, link]]).await.unwrap();
        assert_eq!(fs::read(root.join("blob/data")).unwrap(), b"content", "{during}");
        assert_eq!(fs::read(root.join("link")).unwrap(), b"where to", "{during}");
        assert!(!root.join("u").exists());
    }
}
