//! The catalog: which repositories there are, by walking them in order from where a page begins.

use std::sync::Arc;

use oci::RepositoryName;

use crate::answers::{Answer, Question};
use crate::layout::{self, MANIFESTS_DIRECTORY};
use crate::limits::{ENTRIES_BETWEEN_YIELDS, REPOSITORY_DEPTH_MAX};
use crate::listings::Directories;
use crate::trail::Trail;
use crate::{Names, Page, Registry, Result};

impl Registry {
    /// A page of the repositories that have at least one manifest, sorted component by component
    /// (`a/b` before `a-b`), as Distribution's walk does.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn list_repositories(&self, page: Page<'_>) -> Result<Answer<Names>> {
        let question = Question::Repositories { page: page.into() };
        Ok(self.answer(question).await?.names())
    }

    pub(crate) async fn derive_repositories(
        &self,
        page: Page<'_>,
        trail: &mut Trail,
    ) -> Result<Names> {
        let mut names = Names::default();
        let mut walk = RepositoryWalk::starting_after(self, page.last);
        while let Some((name, directories)) = walk.next(trail).await? {
            if directories.contains(MANIFESTS_DIRECTORY)
                && self.has_manifests(&name, trail).await?
                && !names.offer(page, name.as_str())
            {
                break;
            }
        }
        Ok(names)
    }
}

/// A walk over every directory that may be a repository, parents before children, each with its
/// subdirectories. It reads only what it passes, so that a page costs what it shows.
pub(crate) struct RepositoryWalk<'a> {
    registry: &'a Registry,
    /// The components of the name to start behind.
    last: Vec<&'a str>,
    stack: Vec<Frame>,
    begun: bool,
    visited: usize,
}

struct Frame {
    /// The name so far; empty at the root.
    prefix: String,
    directories: Arc<Directories>,
    /// The entry that was passed last.
    passed: Option<Box<str>>,
    /// Whether the name so far is the beginning of `last`, so that entries may still sort before.
    on_last: bool,
}

impl<'a> RepositoryWalk<'a> {
    pub(crate) fn starting_after(registry: &'a Registry, last: Option<&'a str>) -> Self {
        let last = last.filter(|l| !l.is_empty()).map_or_else(Vec::new, |l| l.split('/').collect());
        Self { registry, last, stack: Vec::new(), begun: false, visited: 0 }
    }

    /// The next directory.
    pub(crate) async fn next(
        &mut self,
        trail: &mut Trail,
    ) -> Result<Option<(RepositoryName, Arc<Directories>)>> {
        if !self.begun {
            self.begun = true;
            let driver = &*self.registry.driver;
            let path = layout::repositories();
            trail.listing(&path);
            let root = self.registry.listings.directories(driver, &path).await?;
            if let Some(directories) = root {
                self.push(String::new(), directories, true);
            }
        }
        while let Some((name, is_behind, on_last)) = self.step() {
            self.visited += 1;
            if self.visited.is_multiple_of(ENTRIES_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
            let driver = &*self.registry.driver;
            let path = layout::repository(&name);
            trail.listing(&path);
            // Deleted since its parent was listed: nothing to see.
            let Some(directories) = self.registry.listings.directories(driver, &path).await? else {
                continue;
            };
            self.push(name.to_string(), directories.clone(), on_last);
            if is_behind {
                return Ok(Some((name, directories)));
            }
        }
        Ok(None)
    }

    fn push(&mut self, prefix: String, directories: Arc<Directories>, on_last: bool) {
        if self.stack.len() < REPOSITORY_DEPTH_MAX {
            let on_last = on_last && self.stack.len() < self.last.len();
            self.stack.push(Frame { prefix, directories, passed: None, on_last });
        }
    }

    /// Moves to the next entry that can be a repository: its name, whether it sorts behind `last`,
    /// and whether it is itself the beginning of `last`.
    fn step(&mut self) -> Option<(RepositoryName, bool, bool)> {
        loop {
            let depth = self.stack.len().checked_sub(1)?;
            let frame = &mut self.stack[depth];
            let last = self.last.get(depth).filter(|_| frame.on_last);
            let entry = match (&frame.passed, last) {
                (None, Some(last)) => frame.directories.first_from(last),
                (passed, _) => frame.directories.after(passed.as_deref()).next(),
            };
            let Some(entry) = entry else {
                self.stack.pop();
                continue;
            };
            let order = last.map_or(std::cmp::Ordering::Greater, |last| entry.name().cmp(last));
            let text = if frame.prefix.is_empty() {
                entry.name().to_owned()
            } else {
                format!("{}/{}", frame.prefix, entry.name())
            };
            frame.passed = Some(entry.name().into());
            // Reserved directories begin with '_', which no component of a name does.
            if let Ok(name) = RepositoryName::parse(&text) {
                return Some((name, order.is_gt(), order.is_eq()));
            }
        }
    }
}
