//! A directory, page by page where it is read in pages.

use crate::limits::LISTING_PAGE_ENTRIES;
use crate::{Driver, Entry, Result, StoragePath, found};

/// The entries of a directory, sorted as in [`Driver::list`]: page by page where each page is a
/// request ([`Driver::is_remote`]), and otherwise all at once, as there a page costs a whole listing.
#[derive(Debug)]
pub struct Pages {
    path: StoragePath,
    last: Option<Box<str>>,
    is_over: bool,
}

impl Pages {
    /// The pages of a directory, which need not be there.
    #[must_use]
    pub const fn of(path: StoragePath) -> Self {
        Self { path, last: None, is_over: false }
    }

    /// The directory.
    #[must_use]
    pub const fn path(&self) -> &StoragePath {
        &self.path
    }

    /// The next entries; `None` when there are no more, also when there is no such directory. After
    /// an error it can be asked again.
    ///
    /// # Errors
    /// Those of [`Driver::list`], but for `NotFound`.
    pub async fn next<D: Driver + ?Sized>(&mut self, driver: &D) -> Result<Option<Vec<Entry>>> {
        if self.is_over {
            return Ok(None);
        }
        let read = match driver.is_remote() {
            true => driver.list_page(&self.path, self.last.as_deref(), LISTING_PAGE_ENTRIES).await,
            false => driver.list(&self.path).await.map(|listing| listing.entries),
        };
        let entries = found(read)?.unwrap_or_default();
        self.is_over = !driver.is_remote() || entries.len() < LISTING_PAGE_ENTRIES;
        self.last = entries.last().map(|entry| entry.name.clone());
        Ok((!entries.is_empty()).then_some(entries))
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::Memory;

    use super::*;

    #[tokio::test]
    async fn a_directory_is_read_to_its_end() {
        let driver = Memory::new();
        for name in ["b", "a", "c"] {
            let path = StoragePath::parse(format!("/d/{name}")).unwrap();
            driver.put(&path, name.into()).await.unwrap();
        }
        let mut pages = Pages::of(StoragePath::parse("/d").unwrap());
        let entries = pages.next(&driver).await.unwrap().unwrap();
        assert_eq!(entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(pages.next(&driver).await.unwrap(), None);
        let mut absent = Pages::of(StoragePath::parse("/e").unwrap());
        assert_eq!(absent.next(&driver).await.unwrap(), None);
    }
}
