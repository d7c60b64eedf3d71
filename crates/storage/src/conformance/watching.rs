//! Being told of changes, where a storage can tell of them.

use std::sync::Arc;

use bytes::Bytes;

use super::path;
use crate::Driver;
use crate::watch::Source;

const MANY: usize = 100;

/// A watch ends with a change to one of its sources, and with no other.
pub async fn a_watch_ends_with_its_sources(driver: Arc<dyn Driver>) {
    let Some(watcher) = driver.watcher() else { return };
    let (link, other) = (path("/r/tags/v1/link"), path("/r/other/file"));
    let content = Bytes::from_static(b"x");
    driver.put(&link, content.clone()).await.unwrap();
    driver.put(&other, content.clone()).await.unwrap();
    let absent = Source::File(path("/r/tags/v2/link"));
    let sources = [Source::Listing(path("/r/tags")), Source::File(link.clone()), absent];
    for change in 0..4 {
        let watch = watcher.watch(&sources, MANY).await.unwrap();
        assert!(watch.is_current(), "before change {change}");
        assert!(watch.watches() > 0);
        // What is beside them is not a source of anything, nor is what is only read.
        driver.put(&other, content.clone()).await.unwrap();
        driver.put(&path(&format!("/r/tags/v1/{change}")), content.clone()).await.unwrap();
        driver.get(&link, 10).await.unwrap();
        driver.list(&path("/r/tags")).await.unwrap();
        assert!(watch.is_current(), "before change {change}");
        match change {
            0 => driver.put(&link, content.clone()).await.unwrap(),
            1 => driver.put(&path("/r/tags/v2/link"), content.clone()).await.unwrap(),
            2 => driver.publish(&other, &path("/r/tags/v3/link")).await.unwrap(),
            _ => driver.delete(&path("/r")).await.unwrap(),
        }
        assert!(!watch.is_current(), "after change {change}");
    }
    // What is gone can be watched, too.
    let watch = watcher.watch(&sources, MANY).await.unwrap();
    assert!(watch.is_current());
    driver.put(&link, content).await.unwrap();
    assert!(!watch.is_current());
    assert!(watcher.watch(&sources, 1).await.is_err());
}

/// A listing that is kept right by what is told of its directory is that of the directory.
pub async fn a_followed_directory_tells_of_its_changes(driver: Arc<dyn Driver>) {
    let Some(watcher) = driver.watcher() else { return };
    assert!(watcher.follow(&path("/d")).await.is_err());
    driver.put(&path("/d/a/file"), Bytes::new()).await.unwrap();
    let followed = watcher.follow(&path("/d")).await.unwrap();
    let mut names = std::collections::BTreeSet::from(["a".to_owned()]);
    for name in ["b", "c", "b", "a", "d"] {
        let at = path(&format!("/d/{name}/file"));
        if names.contains(name) {
            driver.delete(&at.parent().unwrap()).await.unwrap();
        } else {
            driver.put(&at, Bytes::new()).await.unwrap();
        }
        for change in followed.changes().unwrap() {
            if change.is_directory {
                names.insert(change.name.into());
            } else {
                names.remove(&*change.name);
            }
        }
        assert_eq!(Vec::from_iter(names.clone()), super::names(&driver, "/d").await);
    }
    driver.delete(&path("/d")).await.unwrap();
    assert_eq!(followed.changes(), None);
}
