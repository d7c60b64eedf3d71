//! The catalog: which repositories there are, by walking them in order from where a page begins.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::RepositoryName;
use storage::{StorageError, StoragePath};

use crate::answers::{Answer, Question};
use crate::layout::{self, MANIFESTS_DIRECTORY};
use crate::limits::{
    ENTRIES_BETWEEN_YIELDS, REMOTE_PAGE_ENTRIES, REMOTE_READS_AT_ONCE, REPOSITORY_DEPTH_MAX,
};
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
        if self.driver.is_remote() {
            return Box::pin(self.derive_remote_repositories(page)).await;
        }
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

    /// The same where each read is a request: several at once.
    async fn derive_remote_repositories(&self, page: Page<'_>) -> Result<Names> {
        let mut names = Names::default();
        let mut walk = RepositoryWalk::starting_after(self, page.last);
        loop {
            let mut candidates = Vec::new();
            while candidates.len() < REMOTE_READS_AT_ONCE
                && let Some((name, directories)) = walk.next(&mut Trail::none()).await?
            {
                // What sorts behind a page may be there as well.
                if directories.contains(MANIFESTS_DIRECTORY) || directories.is_partial() {
                    candidates.push(name);
                }
            }
            if candidates.is_empty() {
                return Ok(names);
            }
            let looks = stream::iter(candidates).map(async |name| {
                let has_any = self.has_manifests(&name, &mut Trail::none()).await?;
                Ok::<_, crate::Error>(has_any.then_some(name))
            });
            let mut looks = std::pin::pin!(looks.buffered(REMOTE_READS_AT_ONCE));
            while let Some(look) = looks.next().await {
                if let Some(name) = look?
                    && !names.offer(page, name.as_str())
                {
                    return Ok(names);
                }
            }
        }
    }
}

/// A walk over every directory that may be a repository, parents before children, each with its
/// subdirectories. It reads only what it passes, so that a page costs what it shows; where
/// directories are read in pages, it shows the first page of each.
pub(crate) struct RepositoryWalk<'a> {
    registry: &'a Registry,
    /// The components of the name to start behind.
    last: Vec<&'a str>,
    stack: Vec<Frame>,
    /// What was read ahead: the siblings of what was asked for.
    ahead: HashMap<RepositoryName, Option<Arc<Directories>>>,
    begun: bool,
    visited: usize,
    misnamed: Misnamed,
}

/// The directories that were passed and can't be repositories, as their names are none. Distribution
/// takes some that wharf does not, with capital letters in the first component.
#[derive(Debug, Default)]
pub(crate) struct Misnamed {
    /// The path of the first.
    pub(crate) first: String,
    pub(crate) count: u64,
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

/// The next entry of a walk.
struct Step {
    name: RepositoryName,
    /// It sorts behind the name to start behind.
    is_behind: bool,
    /// It is itself the beginning of that name.
    on_last: bool,
}

impl<'a> RepositoryWalk<'a> {
    pub(crate) fn starting_after(registry: &'a Registry, last: Option<&'a str>) -> Self {
        let last = last.filter(|l| !l.is_empty()).map_or_else(Vec::new, |l| l.split('/').collect());
        let (stack, ahead) = (Vec::new(), HashMap::new());
        let misnamed = Misnamed::default();
        Self { registry, last, stack, ahead, begun: false, visited: 0, misnamed }
    }

    /// The directories that were passed over, if there were any.
    pub(crate) fn misnamed(&self) -> Option<&Misnamed> {
        Some(&self.misnamed).filter(|misnamed| misnamed.count > 0)
    }

    /// The next directory.
    pub(crate) async fn next(
        &mut self,
        trail: &mut Trail,
    ) -> Result<Option<(RepositoryName, Arc<Directories>)>> {
        if !self.begun {
            self.begun = true;
            let path = layout::repositories();
            trail.listing(&path);
            let first = self.last.first().map(|last| just_before(last));
            if let Some(directories) = self.directories(&path, first.as_deref()).await? {
                self.push(String::new(), directories, true);
            }
        }
        while let Some(Step { name, is_behind, on_last }) = self.step().await? {
            self.visited += 1;
            if self.visited.is_multiple_of(ENTRIES_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
            let path = layout::repository(&name);
            trail.listing(&path);
            let directories = if self.registry.driver.is_remote() {
                Box::pin(self.read_ahead(&name, &path, on_last)).await?
            } else {
                self.registry.listings.directories(&*self.registry.driver, &path).await?
            };
            // Deleted since its parent was listed: nothing to see.
            let Some(directories) = directories else { continue };
            self.push(name.to_string(), directories.clone(), on_last);
            if is_behind {
                return Ok(Some((name, directories)));
            }
        }
        Ok(None)
    }

    /// The subdirectories of a directory: all of them, or the first page behind `after`.
    async fn directories(
        &self,
        path: &StoragePath,
        after: Option<&str>,
    ) -> Result<Option<Arc<Directories>>> {
        let driver = &*self.registry.driver;
        if !driver.is_remote() {
            return Ok(self.registry.listings.directories(driver, path).await?);
        }
        match driver.list_page(path, after, REMOTE_PAGE_ENTRIES).await {
            Ok(entries) => Ok(Some(Arc::new(Directories::of_page(entries, REMOTE_PAGE_ENTRIES)))),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first page of an entry's subdirectories, and those of its next siblings along with it.
    async fn read_ahead(
        &mut self,
        name: &RepositoryName,
        path: &StoragePath,
        on_last: bool,
    ) -> Result<Option<Arc<Directories>>> {
        if on_last {
            let first = self.last.get(self.stack.len()).map(|last| just_before(last));
            return self.directories(path, first.as_deref()).await;
        }
        if let Some(known) = self.ahead.remove(name) {
            return Ok(known);
        }
        let names: Vec<_> = std::iter::once(name.clone()).chain(self.siblings()).collect();
        let this = &*self;
        let reads = stream::iter(names).map(async |name| {
            let directories = this.directories(&layout::repository(&name), None).await?;
            Ok::<_, crate::Error>((name, directories))
        });
        self.ahead = reads.buffer_unordered(REMOTE_READS_AT_ONCE).try_collect().await?;
        Ok(self.ahead.remove(name).flatten())
    }

    /// The entries that come next beside the one that was passed last, as far as they were read.
    fn siblings(&self) -> impl Iterator<Item = RepositoryName> {
        let frame = self.stack.last();
        let behind = frame.into_iter().flat_map(|frame| {
            let entries = frame.directories.after(frame.passed.as_deref());
            entries.filter_map(|entry| RepositoryName::parse(&frame.name_of(entry.name())).ok())
        });
        behind.take(REMOTE_READS_AT_ONCE - 1)
    }

    fn push(&mut self, prefix: String, directories: Arc<Directories>, on_last: bool) {
        if self.stack.len() < REPOSITORY_DEPTH_MAX {
            let on_last = on_last && self.stack.len() < self.last.len();
            self.stack.push(Frame { prefix, directories, passed: None, on_last });
        }
    }

    /// Moves to the next entry that can be a repository.
    async fn step(&mut self) -> Result<Option<Step>> {
        loop {
            let Some(depth) = self.stack.len().checked_sub(1) else { return Ok(None) };
            if let Some(step) = self.step_at(depth) {
                return Ok(Some(step));
            }
            // Only a page can be turned; most directories are read as a whole.
            let is_page = self.stack[depth].directories.is_partial();
            if !is_page || !Box::pin(self.turn_page(depth)).await? {
                self.stack.pop();
            }
        }
    }

    /// The next entry of what was read of a directory.
    fn step_at(&mut self, depth: usize) -> Option<Step> {
        let frame = &mut self.stack[depth];
        loop {
            let last = self.last.get(depth).filter(|_| frame.on_last);
            let entry = match (&frame.passed, last) {
                (None, Some(last)) => frame.directories.first_from(last),
                (passed, _) => frame.directories.after(passed.as_deref()).next(),
            }?;
            let order = last.map_or(std::cmp::Ordering::Greater, |last| entry.name().cmp(last));
            let text = frame.name_of(entry.name());
            frame.passed = Some(entry.name().into());
            // Reserved directories begin with '_', which no component of a name does.
            match RepositoryName::parse(&text) {
                Ok(name) => {
                    return Some(Step { name, is_behind: order.is_gt(), on_last: order.is_eq() });
                }
                Err(_) if depth > 0 && layout::is_of_repository(entry.name()) => {}
                Err(_) if is_no_component_anywhere(entry.name()) => {}
                Err(_) => self.misnamed.note(&text),
            }
        }
    }

    /// Reads what comes behind what was read of a directory; returns whether there is any.
    async fn turn_page(&mut self, depth: usize) -> Result<bool> {
        let frame = &self.stack[depth];
        let path = match RepositoryName::parse(&frame.prefix) {
            Ok(name) => layout::repository(&name),
            Err(_) => layout::repositories(),
        };
        let last = frame.directories.all().last().map(|entry| entry.name().to_owned());
        let next = self.directories(&path, last.as_deref()).await?;
        let Some(next) = next.filter(|next| next.len() > 0) else { return Ok(false) };
        self.stack[depth].directories = next;
        Ok(true)
    }
}

/// Whether Distribution has no repository of such a name either: machines put directories like
/// `.snapshot` among the others, which refer to nothing. (`@eaDir` and `lost+found` are listed by no
/// driver, and Distribution writes nothing below such a name.)
fn is_no_component_anywhere(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl Misnamed {
    fn note(&mut self, name: &str) {
        if self.count == 0 {
            self.first = format!("{}/{name}", layout::repositories());
        }
        self.count += 1;
    }
}

impl Frame {
    fn name_of(&self, entry: &str) -> String {
        if self.prefix.is_empty() { entry.to_owned() } else { format!("{}/{entry}", self.prefix) }
    }
}

/// A text that sorts before `component` and behind every other name that does.
fn just_before(component: &str) -> String {
    let mut bytes = component.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        // No name has a byte behind '~', nor one that is zero.
        *last = last.saturating_sub(1);
        bytes.push(b'~');
    }
    String::from_utf8(bytes).unwrap_or_default()
}
