//! What is on stable storage when, and what stays after a crash.

use super::*;

/// Writes down every call, and from a given one on makes all of them fail, as a crash does.
#[derive(Debug, Clone, Default)]
struct Watched {
    root: std::path::PathBuf,
    calls: Arc<Mutex<Vec<String>>>,
    crash_at: Option<usize>,
}

impl Watched {
    fn call(&self, what: &str, paths: &[&Path]) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap();
        let named = paths.iter().map(|path| {
            let below = path.strip_prefix(&self.root).unwrap().to_str().unwrap();
            // Without what is drawn by lot.
            match below.strip_suffix(".tmp").and_then(|name| name.rsplit_once('.')) {
                Some((name, _)) => format!(" {name}.tmp"),
                None => format!(" {}", if below.is_empty() { "." } else { below }),
            }
        });
        calls.push(format!("{what}{}", named.collect::<String>()));
        if self.crash_at.is_some_and(|at| calls.len() > at) {
            return Err(io::Error::other("crashed"));
        }
        Ok(())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Disk for Watched {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let result = RealDisk.create_directory(path);
        if result.is_ok() { self.call("mkdir", &[path]) } else { result }
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !to.parent().unwrap().exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call("rename", &[from, to])?;
        RealDisk.rename(from, to)
    }
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        let named = fs::metadata(path).unwrap();
        let meant = file.metadata().unwrap();
        assert_eq!((named.dev(), named.ino()), (meant.dev(), meant.ino()));
        self.call(&format!("sync({})", meant.len()), &[path])?;
        RealDisk.sync_file(file, path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.call("sync", &[path])?;
        RealDisk.sync_directory(path)
    }
}

fn watched(root: &Path, crash_at: Option<usize>) -> (Filesystem, Watched) {
    let disk = Watched { root: root.to_owned(), crash_at: None, ..Watched::default() };
    let options = FilesystemOptions { read_only: true, ..FilesystemOptions::new(root) };
    let disk = Watched { crash_at, ..disk };
    (Filesystem::open_on(options, Box::new(disk.clone())).unwrap(), disk)
}

#[tokio::test]
async fn put_syncs_content_then_names_then_new_directories() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    driver.put(&path("/a/b/link"), Bytes::from_static(b"xyz")).await.unwrap();
    assert_eq!(
        disk.take(),
        [
            "mkdir a",
            "mkdir a/b",
            "sync(3) a/b/link.tmp",
            "rename a/b/link.tmp a/b/link",
            "sync a/b",
            "sync a",
            "sync ."
        ]
    );
    // What is known to be durable is not synced again.
    driver.put(&path("/a/b/other"), Bytes::from_static(b"xy")).await.unwrap();
    assert_eq!(
        disk.take(),
        ["sync(2) a/b/other.tmp", "rename a/b/other.tmp a/b/other", "sync a/b"]
    );
    // A directory that was deleted and made again is new.
    driver.delete(&path("/a/b")).await.unwrap();
    driver.put(&path("/a/b/c"), Bytes::new()).await.unwrap();
    assert_eq!(
        disk.take(),
        ["mkdir a/b", "sync(0) a/b/c.tmp", "rename a/b/c.tmp a/b/c", "sync a/b", "sync a"]
    );
}

#[tokio::test]
async fn settling_syncs_what_this_process_has_not_synced_yet_and_that_once() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    // Another process, or a request that was cut off between its rename and its syncs.
    fs::create_dir(directory.path().join("a")).unwrap();
    fs::write(directory.path().join("a/link"), "xyz").unwrap();
    driver.settle(&path("/a/link")).await.unwrap();
    assert_eq!(disk.take(), ["sync(3) a/link", "sync a", "sync ."]);
    driver.settle(&path("/a/link")).await.unwrap();
    assert_eq!(disk.take(), [""; 0]);
    // What this process has put durably needs nothing; what replaces it does.
    driver.put(&path("/a/link"), Bytes::from_static(b"x")).await.unwrap();
    disk.take();
    driver.settle(&path("/a/link")).await.unwrap();
    assert_eq!(disk.take(), [""; 0]);
    fs::write(directory.path().join("a/new"), "wxyz").unwrap();
    fs::rename(directory.path().join("a/new"), directory.path().join("a/link")).unwrap();
    driver.settle(&path("/a/link")).await.unwrap();
    assert_eq!(disk.take(), ["sync(4) a/link", "sync a"]);
    for absent in ["/a/other", "/a"] {
        assert!(driver.settle(&path(absent)).await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn put_unsynced_replaces_as_a_whole_and_syncs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    driver.put_unsynced(&path("/a/note"), Bytes::from_static(b"xyz")).await.unwrap();
    assert_eq!(disk.take(), ["mkdir a", "rename a/note.tmp a/note"]);
    // A directory that was made like this is not taken for durable.
    driver.put(&path("/a/link"), Bytes::new()).await.unwrap();
    assert_eq!(disk.take(), ["sync(0) a/link.tmp", "rename a/link.tmp a/link", "sync a", "sync ."]);
}

#[tokio::test]
async fn publish_syncs_content_then_names_then_new_directories() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    let mut appender = driver.append(&path("/u/data")).await.unwrap();
    appender.append(vec![Bytes::from_static(b"12345")]).await.unwrap();
    assert_eq!(disk.take(), ["mkdir u"]);
    driver.publish(&path("/u/data"), &path("/blobs/ab/data")).await.unwrap();
    assert_eq!(
        disk.take(),
        [
            "sync(5) u/data",
            "mkdir blobs",
            "mkdir blobs/ab",
            "rename u/data blobs/ab/data",
            "sync blobs/ab",
            "sync blobs",
            "sync ."
        ]
    );
}

fn put(at: &str, content: &'static str) -> Change {
    Change::put(path(at), Bytes::from_static(content.as_bytes()))
}

/// A put into what is left of another file.
fn put_into(at: &str, content: &'static str, reuse: &str) -> Change {
    let content = Bytes::from_static(content.as_bytes());
    Change::Put { path: path(at), content, reuse: Some(path(reuse)) }
}

fn publish(from: &str, to: &str) -> Change {
    Change::Publish { from: path(from), to: path(to) }
}

/// All contents are synced before anything is visible, and no directory is synced twice.
#[tokio::test]
async fn changes_share_their_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    drop(driver.append(&path("/u/data")).await.unwrap());
    driver.put(&path("/u/note"), Bytes::new()).await.unwrap();
    driver.put(&path("/u/rest"), Bytes::new()).await.unwrap();
    let note = fs::metadata(directory.path().join("u/note")).unwrap().ino();
    disk.take();
    driver
        .apply(vec![
            vec![publish("/u/data", "/b/c/data"), put_into("/r/link", "x", "/u/note")],
            vec![put("/r/other", "xy"), put("/t/current", "xyz")],
        ])
        .await
        .unwrap();
    assert_eq!(
        disk.take(),
        [
            "mkdir r",
            "mkdir t",
            "sync(0) u/data",
            "sync(1) r/link.tmp",
            "sync(2) r/other.tmp",
            "sync(3) t/current.tmp",
            "mkdir b",
            "rename u b/c",
            "rename r/link.tmp r/link",
            "rename r/other.tmp r/other",
            "rename t/current.tmp t/current",
            "sync b/c",
            "sync b",
            "sync .",
            "sync r",
            "sync t",
        ]
    );
    // The upload's directory is the blob's now, and its note a link.
    assert!(!directory.path().join("u").exists());
    let moved: Vec<_> = fs::read_dir(directory.path().join("b/c")).unwrap().collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(fs::metadata(directory.path().join("r/link")).unwrap().ino(), note);
    // What is there already costs nothing at all once it is known to be durable.
    driver.apply(vec![vec![put("/r/link", "x"), put("/t/current", "xyz")]]).await.unwrap();
    assert_eq!(disk.take(), [""; 0]);
    // What others have written is synced before anybody is told of it.
    fs::write(directory.path().join("r/new"), "new").unwrap();
    driver.apply(vec![vec![put("/r/new", "new")]]).await.unwrap();
    assert_eq!(disk.take(), ["sync(3) r/new", "sync r"]);
}

/// Losing the power in between must not take away what was there before.
#[tokio::test]
async fn nothing_is_replaced_before_the_stages_before_are_durable() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    driver.put(&path("/t/current"), Bytes::from_static(b"old")).await.unwrap();
    disk.take();
    let stages = vec![vec![put("/b/data", "x")], vec![put("/t/current", "new")]];
    driver.apply(stages).await.unwrap();
    assert_eq!(
        disk.take(),
        [
            "mkdir b",
            "sync(1) b/data.tmp",
            "sync(3) t/current.tmp",
            "rename b/data.tmp b/data",
            "sync b",
            "sync .",
            "rename t/current.tmp t/current",
            "sync t",
        ]
    );
}

/// Wherever the changes stop, each was made as a whole or not at all, in their order, and they can
/// be made again.
#[tokio::test]
async fn changes_that_crash_are_whole_and_in_order() {
    let stages = || {
        vec![
            vec![publish("/u/data", "/b/c/data"), put_into("/r/link", "link", "/u/note")],
            vec![put("/t/current", "new")],
        ]
    };
    let mut finished = false;
    for crash_at in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let setup = open_at(directory.path());
        setup.put(&path("/u/data"), Bytes::from_static(b"content")).await.unwrap();
        setup.put(&path("/u/note"), Bytes::from_static(b"a note")).await.unwrap();
        setup.put(&path("/t/current"), Bytes::from_static(b"old")).await.unwrap();
        let (driver, _disk) = watched(directory.path(), Some(crash_at));
        let result = driver.apply(stages()).await;
        let after = open_at(directory.path());
        let read = async |at: &str| after.get(&path(at), 100).await.ok();
        let published = read("/b/c/data").await;
        assert_eq!(read("/u/data").await.is_none(), published.is_some(), "crash at {crash_at}");
        let linked = read("/r/link").await;
        assert!(linked.is_none() || published.is_some());
        let current = read("/t/current").await.unwrap();
        assert!(current == "old" || (current == "new" && linked.is_some()), "{current:?}");
        // Of an upload that is still there, the note is there too, whatever it says.
        assert_eq!(read("/u/note").await.is_some(), published.is_none(), "crash at {crash_at}");
        for directory in ["/b/c", "/r", "/t"] {
            if let Ok(listing) = after.list(&path(directory)).await {
                assert!(listing.entries.len() <= 1, "{:?}", listing.entries);
            }
        }
        if result.is_ok() {
            assert_eq!((published.unwrap(), current), ("content".into(), "new".into()));
            finished = true;
        } else if published.is_none() {
            after.apply(stages()).await.unwrap();
        }
    }
    assert!(finished, "it always crashed: the sweep is too short");
}

/// A directory may have been made by someone who has not synced it yet, or never will: a request
/// that is still at work, or a process that was killed.
#[tokio::test]
async fn directories_that_others_made_are_synced_too() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    drop(driver.append(&path("/a/b/data")).await.unwrap());
    assert_eq!(disk.take(), ["mkdir a", "mkdir a/b"]);
    fs::create_dir(directory.path().join("c")).unwrap();
    driver.put(&path("/a/b/link"), Bytes::new()).await.unwrap();
    driver.put(&path("/c/link"), Bytes::new()).await.unwrap();
    let synced: Vec<_> = disk.take().into_iter().filter(|call| call.starts_with("sync ")).collect();
    assert_eq!(synced, ["sync a/b", "sync a", "sync .", "sync c", "sync ."]);
}

#[tokio::test]
async fn syncing_an_upload_syncs_the_way_to_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let (driver, disk) = watched(directory.path(), None);
    let mut appender = driver.append(&path("/u/data")).await.unwrap();
    appender.append(vec![Bytes::from_static(b"1")]).await.unwrap();
    appender.sync().await.unwrap();
    assert_eq!(disk.take(), ["mkdir u", "sync(1) u/data", "sync u", "sync ."]);
    appender.append(vec![Bytes::from_static(b"2")]).await.unwrap();
    appender.sync().await.unwrap();
    assert_eq!(disk.take(), ["sync(2) u/data"]);
}

/// Wherever a write stops, the path has the old content or the new, and the rest doesn't show.
#[tokio::test]
async fn a_put_that_crashes_leaves_the_old_or_the_new() {
    let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"brand new"));
    let at = path("/a/link");
    let mut finished = false;
    for crash_at in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let is_replaced = crash_at % 2 == 0;
        if is_replaced {
            open_at(directory.path()).put(&at, old.clone()).await.unwrap();
        }
        let (driver, _disk) = watched(directory.path(), Some(crash_at));
        let result = driver.put(&at, new.clone()).await;
        let after = open_at(directory.path());
        match after.get(&at, 100).await {
            Ok(content) if content == new => {}
            Ok(content) => assert!(content == old && is_replaced && result.is_err()),
            Err(error) => assert!(error.is_not_found() && !is_replaced && result.is_err()),
        }
        if let Ok(listing) = after.list(&path("/a")).await {
            assert!(listing.entries.iter().all(|entry| &*entry.name == "link"));
        }
        after.put(&at, new.clone()).await.unwrap();
        assert_eq!(after.get(&at, 100).await.unwrap(), new);
        finished |= result.is_ok();
    }
    assert!(finished, "it always crashed: the sweep is too short");
}

/// Wherever a publish stops, the file is whole at its old path or at its new one.
#[tokio::test]
async fn a_publish_that_crashes_loses_nothing() {
    let mut finished = false;
    for crash_at in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (path("/u/data"), path("/b/c/data"));
        let setup = open_at(directory.path());
        setup.put(&from, Bytes::from_static(b"content")).await.unwrap();
        let (driver, _disk) = watched(directory.path(), Some(crash_at));
        let result = driver.publish(&from, &to).await;
        let after = open_at(directory.path());
        let places = [after.get(&from, 100).await, after.get(&to, 100).await];
        let found: Vec<_> = places.iter().flatten().collect();
        assert_eq!(found, ["content"], "crash at {crash_at}");
        if places[0].is_ok() {
            assert!(result.is_err());
            after.publish(&from, &to).await.unwrap();
        }
        finished |= result.is_ok();
    }
    assert!(finished, "it always crashed: the sweep is too short");
}

/// What a killed process has left behind is neither listed nor in the way.
#[tokio::test]
async fn leftovers_are_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open_at(directory.path());
    driver.put(&path("/d/link"), Bytes::from_static(b"x")).await.unwrap();
    let left = directory.path().join("d/link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp");
    fs::write(&left, b"").unwrap();
    fs::write(directory.path().join("d/not a component"), b"").unwrap();
    let entries = driver.list(&path("/d")).await.unwrap().entries;
    assert_eq!(entries.len(), 1, "{entries:?}");
    driver.delete(&path("/d")).await.unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn a_failed_put_leaves_no_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    open_at(directory.path()).put(&path("/d/f"), Bytes::new()).await.unwrap();
    for crash_at in 0..2 {
        let (driver, _disk) = watched(directory.path(), Some(crash_at));
        driver.put(&path("/d/f"), Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(fs::read_dir(directory.path().join("d")).unwrap().count(), 1);
    }
}
