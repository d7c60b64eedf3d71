//! Listing and deleting.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{assert_not_found, assert_refused, names, path};
use crate::{Driver, Entry, EntryKind, ListingVersion};

async fn put_all(driver: &Arc<dyn Driver>, files: &[&str]) {
    for file in files {
        driver.put(&path(file), Bytes::from_static(b"x")).await.unwrap();
    }
}

/// Names come in the order of their bytes, with what they are.
pub async fn listings_are_sorted(driver: Arc<dyn Driver>) {
    let sorted = ["-", ".a", "10", "9", "A", "B", "_", "a", "a-b", "a.b", "a0", "aa", "b"];
    for name in sorted.iter().rev() {
        let below = if *name == "aa" { "/file" } else { "" };
        put_all(&driver, &[&format!("/d/{name}{below}")]).await;
    }
    let listing = driver.list(&path("/d")).await.unwrap();
    let expected = sorted.map(|name| Entry {
        name: name.into(),
        kind: if name == "aa" { EntryKind::Directory } else { EntryKind::File },
    });
    assert_eq!(listing.entries, expected);
}

/// A listing shows what is directly below, once.
pub async fn listings_have_one_level(driver: Arc<dyn Driver>) {
    assert!(driver.list(&path("/")).await.unwrap().entries.is_empty());
    put_all(&driver, &["/a/b/c/1", "/a/b/c/2", "/a/b/3", "/a/4", "/ab/5"]).await;
    assert_eq!(names(&driver, "/").await, ["a", "ab"]);
    assert_eq!(names(&driver, "/a").await, ["4", "b"]);
    assert_eq!(names(&driver, "/a/b").await, ["3", "c"]);
    assert_eq!(names(&driver, "/a/b/c").await, ["1", "2"]);
}

/// A directory can be read page by page.
pub async fn pages_of_listings(driver: Arc<dyn Driver>) {
    let sorted = ["10", "9", "A", "_", "a", "a-b", "a.b", "a0", "b"];
    for name in sorted {
        let below = if name == "a" { "/file" } else { "" };
        put_all(&driver, &[&format!("/d/{name}{below}")]).await;
    }
    let all = driver.list(&path("/d")).await.unwrap().entries;
    for limit in 1..=10 {
        let mut seen = Vec::new();
        loop {
            let last: Option<Entry> = seen.last().cloned();
            let after = last.as_ref().map(|entry| &*entry.name);
            let page = driver.list_page(&path("/d"), after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            seen.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(seen, all, "{limit}");
    }
    let page = driver.list_page(&path("/d"), Some("a!"), 2).await.unwrap();
    assert_eq!(page.iter().map(|e| &*e.name).collect::<Vec<_>>(), ["a-b", "a.b"]);
    let left = "link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp";
    put_all(&driver, &["/e/k", &format!("/e/{left}"), "/e/m"]).await;
    let page = driver.list_page(&path("/e"), None, 2).await.unwrap();
    assert_eq!(page.iter().map(|e| &*e.name).collect::<Vec<_>>(), ["k", "m"]);
    let absent = driver.list_page(&path("/absent"), None, 2).await;
    assert!(absent.map_or_else(|error| error.is_not_found(), |page| page.is_empty()));
}

/// What an interrupted writer left behind is not shown; a directory of such a name is.
pub async fn listings_skip_temporary_files(driver: Arc<dyn Driver>) {
    let left = "link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp";
    put_all(&driver, &[&format!("/d/{left}"), "/d/link", "/d/x.tmp", &format!("/e/{left}/f")])
        .await;
    assert_eq!(names(&driver, "/d").await, ["link", "x.tmp"]);
    assert_eq!(names(&driver, "/e").await, [left]);
}

/// Deleting a directory deletes what is in it, and a file only that file.
pub async fn deleting_takes_what_is_below(driver: Arc<dyn Driver>) {
    put_all(&driver, &["/a/b/c/1", "/a/b/2", "/a/3", "/a/4"]).await;
    driver.delete(&path("/a/3")).await.unwrap();
    assert_eq!(names(&driver, "/a").await, ["4", "b"]);
    assert_not_found(driver.delete(&path("/a/3")).await, &path("/a/3"));
    driver.delete(&path("/a/b")).await.unwrap();
    for gone in ["/a/b", "/a/b/2", "/a/b/c", "/a/b/c/1"] {
        assert_not_found(driver.stat(&path(gone)).await, &path(gone));
    }
    assert_eq!(names(&driver, "/a").await, ["4"]);
    // It can be made again.
    put_all(&driver, &["/a/b/2"]).await;
    assert_eq!(names(&driver, "/a/b").await, ["2"]);
}

/// What only begins with the same letters is something else.
pub async fn deleting_spares_siblings(driver: Arc<dyn Driver>) {
    put_all(&driver, &["/a/1", "/ab/1", "/a-b/1", "/a.b", "/b/a"]).await;
    driver.delete(&path("/a")).await.unwrap();
    assert_eq!(names(&driver, "/").await, ["a-b", "a.b", "ab", "b"]);
    assert_eq!(names(&driver, "/ab").await, ["1"]);
}

/// `delete_empty` never deletes a file.
pub async fn only_empty_directories_are_deleted_as_empty(driver: Arc<dyn Driver>) {
    put_all(&driver, &["/a/b/file"]).await;
    for kept in ["/a", "/a/b", "/a/b/file", "/absent", "/"] {
        driver.delete_empty(&path(kept)).await.unwrap();
    }
    assert_eq!(names(&driver, "/a/b").await, ["file"]);
    driver.delete(&path("/a/b/file")).await.unwrap();
    for gone in ["/a/b", "/a"] {
        driver.delete_empty(&path(gone)).await.unwrap();
        assert_not_found(driver.stat(&path(gone)).await, &path(gone));
    }
}

/// The root can be neither deleted nor written.
pub async fn the_root_stays(driver: Arc<dyn Driver>) {
    let root = path("/");
    assert_eq!(driver.stat(&root).await.unwrap().kind, EntryKind::Directory);
    driver.delete_empty(&root).await.unwrap();
    put_all(&driver, &["/file"]).await;
    assert_refused(driver.delete(&root).await);
    assert_refused(driver.put(&root, Bytes::new()).await);
    assert_refused(driver.append(&root).await);
    assert_refused(driver.publish(&path("/file"), &root).await);
    assert_not_found(driver.get(&root, 10).await, &root);
    assert_eq!(names(&driver, "/").await, ["file"]);
}

/// A version is that of its listing, and differs once the listing does. Where a storage has no
/// versions, there is nothing to check.
pub async fn listing_versions_change_with_the_listing(driver: Arc<dyn Driver>) {
    let directory = path("/d");
    put_all(&driver, &["/d/a", "/d/b"]).await;
    let mut seen: Vec<ListingVersion> = Vec::new();
    for step in 0..3 {
        match step {
            1 => put_all(&driver, &["/d/c"]).await,
            2 => driver.delete(&path("/d/a")).await.unwrap(),
            _ => {}
        }
        let at_once = driver.listing_version(&directory).await.unwrap();
        assert!(at_once.is_none_or(|version| !seen.contains(&version)), "step {step}");
        // A directory that changed just now may have no version yet.
        for _ in 0..100 {
            if driver.list(&directory).await.unwrap().version.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let Some(listed) = driver.list(&directory).await.unwrap().version else { return };
        assert_eq!(driver.listing_version(&directory).await.unwrap(), Some(listed));
        assert!(!seen.contains(&listed), "step {step}");
        seen.push(listed);
    }
}
