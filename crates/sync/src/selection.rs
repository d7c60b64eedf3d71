//! What a job copies, and how it is called at the target. Pure: nothing is asked here.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use oci::{RepositoryName, Tag};
use registry::retention::WholeMatch;
use registry::{RepositoryPattern, TagPattern};

use crate::Child;

/// Which repositories and tags of the source a job copies.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The repositories.
    pub repositories: Vec<RepositoryPattern>,
    /// The tags, by pattern. All of them when there is neither this nor an expression.
    pub tags: Vec<TagPattern>,
    /// The tags, by expressions that match all of the tag.
    pub tag_regexes: Vec<WholeMatch>,
    /// Of these only versions in a range.
    pub semver: Option<VersionRange>,
    /// Of what is left so many, the newest.
    pub newest: Option<NonZeroUsize>,
}

/// A range of versions.
#[derive(Debug, Clone)]
pub struct VersionRange;

impl Selection {
    /// Whether a repository of the source is meant.
    #[must_use]
    pub fn selects_repository(&self, name: &RepositoryName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a tag is meant, whatever [`Selection::newest`] leaves of them.
    #[must_use]
    pub fn selects_tag(&self, tag: &Tag) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|pattern| pattern.matches(tag))
    }

    /// The newest of tags that are meant, as many as are copied. `None` is the time of a tag of which
    /// it is not known: it comes last.
    #[must_use]
    pub fn newest_of(&self, tags: Vec<(Tag, Option<SystemTime>)>) -> Vec<Tag> {
        tags.into_iter().map(|(tag, _)| tag).collect()
    }

    /// The repositories, where all of the patterns are names, so that nobody has to be asked for a
    /// catalog.
    #[must_use]
    pub fn named_repositories(&self) -> Option<Vec<RepositoryName>> {
        self.repositories.iter().map(RepositoryPattern::name).collect()
    }
}

/// The platforms of which a job copies the children of an index; of all when there are none.
#[derive(Debug, Clone, Default)]
pub struct Platforms;

impl Platforms {
    /// Whether children are copied whatever they are for.
    #[must_use]
    pub fn is_all(&self) -> bool {
        true
    }

    /// The children that are copied: those for one of the platforms, and the attestations about one
    /// of these.
    #[must_use]
    pub fn chosen<'a>(&self, children: &'a [Child]) -> Vec<&'a Child> {
        children.iter().collect()
    }
}

/// How the repositories of the source are called at the target.
#[derive(Debug, Clone, Default)]
pub struct NameMap {
    /// Leading components that are replaced; the first rule that matches counts.
    pub rewrite: Vec<(String, String)>,
    /// What is put in front of every name, after that.
    pub prefix: String,
}

/// A name that would not be one at the target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} would be called {target:?} at the target, which is no name of a repository")]
pub struct NameMapError {
    /// The repository at the source.
    pub name: RepositoryName,
    /// What it would be called.
    pub target: String,
}

impl NameMap {
    /// The target's name of a repository.
    ///
    /// # Errors
    /// [`NameMapError`] when it can't be called so.
    pub fn target(&self, name: &RepositoryName) -> Result<RepositoryName, NameMapError> {
        Ok(name.clone())
    }
}
