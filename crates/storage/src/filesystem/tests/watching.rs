//! Being told of changes that others make.

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use super::*;
use crate::filesystem::watching;
use crate::watch::{EntryChange, NotWatched, Source, Watch};

const MANY: usize = 1000;

fn listing(at: &str) -> Source {
    Source::Listing(path(at))
}

fn file(at: &str) -> Source {
    Source::File(path(at))
}

/// A driver whose root is below the directory, unless changes can't be watched there.
fn watching(directory: &Path) -> Option<(Filesystem, std::path::PathBuf)> {
    let root = directory.join("above/root");
    fs::create_dir_all(&root).unwrap();
    let driver = open_at(&root);
    if driver.watcher().is_none() {
        println!("NOT RUN: changes can't be watched on this filesystem");
        return None;
    }
    Some((driver, root))
}

async fn watch(driver: &Filesystem, sources: &[Source]) -> Box<dyn Watch> {
    driver.watcher().unwrap().watch(sources, MANY).await.unwrap()
}

async fn refusal(driver: &Filesystem, source: Source) -> NotWatched {
    driver.watcher().unwrap().watch(&[source], MANY).await.unwrap_err()
}

/// A tree with a link, as a tag has one.
fn tree(root: &Path) {
    fs::create_dir_all(root.join("r/tags/v1/current")).unwrap();
    fs::write(root.join("r/tags/v1/current/link"), "sha256:1").unwrap();
    fs::create_dir_all(root.join("r/other")).unwrap();
}

fn exchange(one: &Path, other: &Path) {
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, flags).unwrap();
}

/// Every way to change what a watch is about; each is done as another process would.
#[tokio::test]
async fn every_change_ends_the_watch() {
    let _unchanged = unchanged();
    type Change = fn(&Path);
    let link = "r/tags/v1/current/link";
    let changes: &[(&str, Change)] = &[
        ("overwritten in place", |r| fs::write(r.join("r/tags/v1/current/link"), "x").unwrap()),
        ("truncated", |r| {
            File::options()
                .write(true)
                .open(r.join("r/tags/v1/current/link"))
                .unwrap()
                .set_len(0)
                .unwrap();
        }),
        ("replaced", |r| {
            fs::write(r.join("new"), "x").unwrap();
            fs::rename(r.join("new"), r.join("r/tags/v1/current/link")).unwrap();
        }),
        ("deleted", |r| fs::remove_file(r.join("r/tags/v1/current/link")).unwrap()),
        ("moved away", |r| {
            fs::rename(r.join("r/tags/v1/current/link"), r.join("away")).unwrap();
        }),
        ("current deleted", |r| fs::remove_dir_all(r.join("r/tags/v1/current")).unwrap()),
        ("current moved", |r| fs::rename(r.join("r/tags/v1/current"), r.join("away")).unwrap()),
        ("tag deleted", |r| fs::remove_dir_all(r.join("r/tags/v1")).unwrap()),
        ("tag moved", |r| fs::rename(r.join("r/tags/v1"), r.join("r/tags/v2")).unwrap()),
        ("tag made", |r| fs::create_dir(r.join("r/tags/v2")).unwrap()),
        ("tag moved here", |r| fs::rename(r.join("r/other"), r.join("r/tags/v2")).unwrap()),
        ("tag linked here", |r| symlink(r.join("r/other"), r.join("r/tags/v2")).unwrap()),
        ("tags moved", |r| fs::rename(r.join("r/tags"), r.join("away")).unwrap()),
        ("repository moved", |r| fs::rename(r.join("r"), r.join("away")).unwrap()),
        ("repository deleted", |r| fs::remove_dir_all(r.join("r")).unwrap()),
        ("replaced by its like", |r| {
            fs::rename(r.join("r"), r.join("away")).unwrap();
            tree(r);
        }),
        ("deleted and made again", |r| {
            fs::remove_dir_all(r.join("r")).unwrap();
            tree(r);
        }),
        ("exchanged", |r| exchange(&r.join("r/tags"), &r.join("r/other"))),
        ("root moved", |r| fs::rename(r, r.with_file_name("away")).unwrap()),
        ("above the root moved", |r| {
            let above = r.parent().unwrap();
            fs::rename(above, above.with_file_name("away")).unwrap();
        }),
        ("above the root replaced", |r| {
            let above = r.parent().unwrap();
            fs::rename(above, above.with_file_name("away")).unwrap();
            fs::create_dir_all(r).unwrap();
            tree(r);
        }),
    ];
    for (what, change) in changes {
        let directory = tempfile::tempdir().unwrap();
        let Some((driver, root)) = watching(directory.path()) else { return };
        tree(&root);
        let sources = [listing("/r/tags"), file(&format!("/{link}"))];
        let watched = watch(&driver, &sources).await;
        assert!(watched.is_current(), "{what}");
        assert_eq!(watched.watches(), 5);
        // Nothing of the watch's concern.
        fs::write(root.join("r/other/file"), "x").unwrap();
        fs::create_dir(root.join("r/tags/v1/index")).unwrap();
        fs::read(root.join(link)).unwrap();
        fs::read_dir(root.join("r/tags")).unwrap().count();
        assert!(watched.is_current(), "{what}");
        change(&root);
        assert!(!watched.is_current(), "{what}");
        assert!(!watched.is_current(), "{what}");
        // And what is there now can be watched.
        if root.exists() {
            let again = watch(&driver, &sources).await;
            assert!(again.is_current(), "{what}");
            fs::remove_dir_all(root.join("r")).or_else(|_| fs::create_dir(root.join("r"))).unwrap();
            assert!(!again.is_current(), "{what}");
        }
    }
}

/// A directory that somebody keeps open is told to be gone only when they close it.
#[tokio::test]
async fn a_directory_that_is_held_open_is_gone_all_the_same() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    tree(&root);
    let held = File::open(root.join("r/other")).unwrap();
    let sources = [listing("/r/other")];
    let watched = watch(&driver, &sources).await;
    fs::remove_dir(root.join("r/other")).unwrap();
    fs::create_dir(root.join("r/other")).unwrap();
    assert!(!watched.is_current());
    let again = watch(&driver, &sources).await;
    drop(held);
    assert!(again.is_current());
    fs::write(root.join("r/other/new"), "").unwrap();
    assert!(!again.is_current());
}

#[tokio::test]
async fn absence_is_watched_wherever_it_begins() {
    let _unchanged = unchanged();
    let absent = "/r/tags/v1/current/link";
    for made in ["r", "r/tags", "r/tags/v1", "r/tags/v1/current"] {
        let directory = tempfile::tempdir().unwrap();
        let Some((driver, root)) = watching(directory.path()) else { return };
        let parent = Path::new(made).parent().unwrap();
        fs::create_dir_all(root.join(parent)).unwrap();
        for source in [file(absent), listing("/r/tags/v1/current")] {
            let watched = watch(&driver, &[source]).await;
            assert!(watched.is_current(), "{made}");
            fs::create_dir(root.join(parent).join("beside")).unwrap();
            assert!(watched.is_current(), "{made}");
            fs::create_dir(root.join(made)).unwrap();
            assert!(!watched.is_current(), "{made}");
            fs::remove_dir(root.join(made)).unwrap();
            fs::remove_dir(root.join(parent).join("beside")).unwrap();
        }
    }
}

#[tokio::test]
async fn what_would_not_be_seen_is_not_watched() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    tree(&root);
    symlink(root.join("r"), root.join("link")).unwrap();
    symlink(root.join("r/tags/v1/current/link"), root.join("file")).unwrap();
    fs::write(root.join("one"), "x").unwrap();
    fs::hard_link(root.join("one"), root.join("two")).unwrap();
    for source in
        [listing("/link"), listing("/link/tags"), file("/link/absent"), file("/file"), file("/two")]
    {
        assert_eq!(refusal(&driver, source.clone()).await, NotWatched::Impossible, "{source:?}");
    }
    // Others are none the worse for it.
    let watched = watch(&driver, &[listing("/r/tags")]).await;
    assert!(watched.is_current());
    let few = driver.watcher().unwrap().watch(&[listing("/r/tags")], 2).await;
    assert_eq!(few.unwrap_err(), NotWatched::Impossible);
}

/// A root behind a symbolic link is like any other, until the link leads elsewhere.
#[tokio::test]
async fn the_root_may_be_a_symbolic_link() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((_, root)) = watching(directory.path()) else { return };
    tree(&root);
    let (link, other) = (directory.path().join("link"), directory.path().join("other"));
    fs::create_dir(&other).unwrap();
    symlink(&root, &link).unwrap();
    let driver = open_at(&link);
    let watched = watch(&driver, &[listing("/r")]).await;
    assert!(watched.is_current());
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    assert!(!watched.is_current());
    let watched = watch(&driver, &[listing("/r")]).await;
    assert!(watched.is_current());
    fs::create_dir(other.join("r")).unwrap();
    assert!(!watched.is_current());
}

#[tokio::test]
async fn mounts_are_noticed() {
    let _changing = changing();
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            unmount(self.0, UnmountFlags::DETACH).unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    tree(&root);
    let tags = root.join("r/tags");
    let watched = watch(&driver, &[listing("/r/tags")]).await;
    if let Err(error) = mount("tmpfs", &tags, "tmpfs", MountFlags::empty(), None) {
        println!("NOT RUN: no filesystem can be mounted here ({error})");
        return;
    }
    let mounted = Mounted(&tags);
    assert!(!watched.is_current());
    assert_eq!(refusal(&driver, listing("/r/tags")).await, NotWatched::Impossible);
    drop(mounted);
    let watched = watch(&driver, &[listing("/r/tags")]).await;
    assert!(watched.is_current());
    // The same directory in two places: the kernel watches it once.
    mount_bind(root.join("r/other"), &tags).unwrap();
    let _mounted = Mounted(&tags);
    assert!(!watched.is_current());
    for (here, there) in [("/r/tags", "r/other/1"), ("/r/other", "r/tags/2")] {
        let watched = watch(&driver, &[listing(here)]).await;
        assert!(watched.is_current());
        fs::write(root.join(there), "x").unwrap();
        assert!(!watched.is_current(), "{here}");
    }
}

#[tokio::test]
async fn the_end_of_the_filesystem_is_the_end_of_the_watch() {
    let _changing = changing();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("volume");
    fs::create_dir(&at).unwrap();
    if mount("tmpfs", &at, "tmpfs", MountFlags::empty(), None).is_err() {
        println!("NOT RUN: no filesystem can be mounted here");
        return;
    }
    let driver = open_at(&at);
    let watched = watch(&driver, &[listing("/r")]).await;
    assert!(watched.is_current());
    unmount(&at, UnmountFlags::empty()).unwrap();
    assert!(!watched.is_current());
    assert_eq!(refusal(&driver, listing("/r")).await, NotWatched::Impossible);
}

/// With more changes than the kernel keeps events, nothing is certain.
#[tokio::test]
async fn an_overflow_ends_everything() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    tree(&root);
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queue: usize = queue.trim().parse().unwrap();
    let quiet = watch(&driver, &[listing("/r/tags")]).await;
    let busy = watch(&driver, &[listing("/r/other")]).await;
    for number in 0..=queue / 2 {
        let name = root.join(format!("r/other/{number}"));
        fs::create_dir(&name).unwrap();
        fs::remove_dir(&name).unwrap();
    }
    assert!(!busy.is_current());
    assert!(!quiet.is_current());
    let again = watch(&driver, &[listing("/r/tags")]).await;
    assert!(again.is_current());
    fs::create_dir(root.join("r/tags/v2")).unwrap();
    assert!(!again.is_current());
}

#[tokio::test]
async fn watches_that_nobody_holds_make_room() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((_, root)) = watching(directory.path()) else { return };
    let driver = open_at(&root);
    let few = watching::Watching::begin(&root, driver.volume.device, 200);
    driver.volume.watching.set(few).unwrap();
    let all = |number: usize| {
        (0..10).map(|below| listing(&format!("/{number}/{below}"))).collect::<Vec<_>>()
    };
    let mut held = Vec::new();
    for number in 0..100 {
        for below in 0..10 {
            fs::create_dir_all(root.join(format!("{number}/{below}"))).unwrap();
        }
        match driver.watcher().unwrap().watch(&all(number), MANY).await {
            Ok(watch) => held.push(watch),
            Err(refusal) => {
                assert_eq!(refusal, NotWatched::Full);
                // The first ones go, and there is room again.
                held.drain(..5);
                held.push(watch(&driver, &all(number)).await);
            }
        }
    }
    assert!((13..=18).contains(&held.len()), "{}", held.len());
    assert!(held.iter().all(|watch| watch.is_current()));
    fs::create_dir(root.join("99/0/new")).unwrap();
    assert!(!held.pop().unwrap().is_current());
    assert!(held.iter().all(|watch| watch.is_current()));
}

#[tokio::test]
async fn a_followed_directory_tells_what_comes_and_goes() {
    let _unchanged = unchanged();
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    tree(&root);
    let watcher = driver.watcher().unwrap();
    assert!(watcher.follow(&path("/absent")).await.is_err());
    let tags = root.join("r/tags");
    let followed = watcher.follow(&path("/r/tags")).await.unwrap();
    assert_eq!(followed.changes(), Some(Vec::new()));
    fs::create_dir(tags.join("v2")).unwrap();
    fs::rename(tags.join("v1"), tags.join("v3")).unwrap();
    fs::remove_dir(tags.join("v2")).unwrap();
    fs::write(tags.join("v3/current/link"), "sha256:2").unwrap();
    let change = |name: &str, is_directory| EntryChange { name: name.into(), is_directory };
    let expected =
        vec![change("v2", true), change("v1", false), change("v3", true), change("v2", false)];
    assert_eq!(followed.changes(), Some(expected));
    assert_eq!(followed.changes(), Some(Vec::new()));
    fs::rename(root.join("r"), root.join("q")).unwrap();
    assert_eq!(followed.changes(), None);
}

#[test]
fn it_can_be_turned_off() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        FilesystemOptions { watch_changes: false, ..FilesystemOptions::new(directory.path()) };
    assert!(Filesystem::open(options).unwrap().watcher().is_none());
}

/// Others change the tree all the time. Whatever is read while a watch is current is what is
/// there when it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_under_a_watch_is_what_is_there() {
    let _unchanged = unchanged();
    use std::sync::atomic::{AtomicU64, Ordering};
    let directory = tempfile::tempdir().unwrap();
    let Some((driver, root)) = watching(directory.path()) else { return };
    let link = path("/a/b/c/link");
    // The writer counts up before and after each change, and says which value is there.
    let (begun, finished) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicU64::new(0));
    let writer = {
        let (begun, finished, stop) = (begun.clone(), finished.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut number = 0_u64;
            while stop.load(Ordering::SeqCst) == 0 {
                number += 1;
                begun.store(number, Ordering::SeqCst);
                let value = number.to_string();
                match number % 7 {
                    0 => fs::remove_dir_all(root.join("a")).unwrap_or_default(),
                    1 => {
                        let aside = root.join(format!("aside-{number}"));
                        fs::rename(root.join("a/b"), &aside).unwrap_or_default();
                        fs::create_dir_all(root.join("a/b/c")).unwrap();
                        fs::write(root.join("a/b/c/link"), value).unwrap();
                        fs::remove_dir_all(aside).unwrap_or_default();
                    }
                    2 => {
                        fs::create_dir_all(root.join("fresh/b/c")).unwrap();
                        fs::write(root.join("fresh/b/c/link"), value).unwrap();
                        exchange_or_move(&root.join("fresh"), &root.join("a"));
                        fs::remove_dir_all(root.join("fresh")).unwrap_or_default();
                    }
                    _ => {
                        fs::create_dir_all(root.join("a/b/c")).unwrap();
                        fs::write(root.join("a/b/c/link"), value).unwrap();
                    }
                }
                finished.store(number, Ordering::SeqCst);
                if number.is_multiple_of(4) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    let mut quiet = 0;
    let started = std::time::Instant::now();
    while quiet < 500 && started.elapsed() < Duration::from_secs(20) {
        let watcher = driver.watcher().unwrap();
        let Ok(watch) = watcher.watch(&[Source::File(link.clone())], MANY).await else { continue };
        let read = driver.get(&link, 100).await;
        let finished = finished.load(Ordering::SeqCst);
        if !watch.is_current() {
            continue;
        }
        let begun = begun.load(Ordering::SeqCst);
        quiet += u32::from(begun == finished);
        let expected = match read {
            Ok(value) => std::str::from_utf8(&value).unwrap().parse().unwrap_or(0),
            Err(_) => 0,
        };
        // Not older than what was finished before the question.
        let last = if finished % 7 == 0 { 0 } else { finished };
        assert!(
            expected == last || (last..=begun).contains(&expected) || begun > finished,
            "{expected} was read, {finished} was finished and {begun} begun"
        );
    }
    stop.store(1, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(quiet > 20, "{quiet}");
}

fn exchange_or_move(from: &Path, to: &Path) {
    if to.exists() { exchange(from, to) } else { fs::rename(from, to).unwrap() }
}
