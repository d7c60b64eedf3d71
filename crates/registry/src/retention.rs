//! Retention: which tags of a repository are kept, and which go.
//!
//! The first rule whose patterns match decides about a tag; one that no rule matches stays. Nothing
//! is read or deleted here: a [collection](crate::collection) asks, and does what is said.

use std::time::Duration;

use oci::{RepositoryName, Tag};
use regex::Regex;

use crate::{RepositoryPattern, TagPattern};

mod attached;
mod plan;
mod version;

pub use plan::{Decision, TagState, Verdict};

pub(crate) use attached::subject_of;

/// The rules, in their order.
#[derive(Debug, Clone, Default)]
pub struct RetentionRules {
    /// The rules.
    pub rules: Vec<RetentionRule>,
    /// Only say what would go. A collection that itself only says what it would do looks at what
    /// the rules would do nevertheless.
    pub dry_run: bool,
}

/// Which tags of which repositories a rule is about, and which of them it keeps.
#[derive(Debug, Clone, Default)]
pub struct RetentionRule {
    /// The repositories, by pattern.
    pub repositories: Vec<RepositoryPattern>,
    /// The repositories, by expressions that match all of the name.
    pub repository_expressions: Vec<WholeMatch>,
    /// The tags, by pattern. All of them when there is neither this nor an expression.
    pub tags: Vec<TagPattern>,
    /// The tags, by expressions that match all of the tag.
    pub tag_expressions: Vec<WholeMatch>,
    /// What it keeps.
    pub keep: Keep,
    /// How old a manifest has to be to go that has no tag and is no part of a tagged one; they stay
    /// when there is none.
    pub untagged: Option<Duration>,
}

/// What a rule keeps: every tag for which one of these holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// All of them.
    pub all: bool,
    /// So many that were pushed last.
    pub newest: Option<u64>,
    /// Those of the so many highest versions that are no pre-releases.
    pub semver: Option<u64>,
    /// Those that were pushed within this time.
    pub pushed_within: Option<Duration>,
    /// Those that were pulled within this time.
    pub pulled_within: Option<Duration>,
}

/// A regular expression that has to match a whole text.
#[derive(Debug, Clone)]
pub struct WholeMatch(Regex);

impl WholeMatch {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        // By itself first, so that no bracket of it closes what is put around it.
        Regex::new(text)?;
        Regex::new(&format!("^(?:{text})$")).map(Self)
    }

    /// Whether it matches all of a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl RetentionRule {
    fn matches_repository(&self, name: &RepositoryName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(name))
            || self.repository_expressions.iter().any(|e| e.matches(name.as_str()))
    }

    /// Whether it is about every tag of its repositories.
    const fn has_all_tags(&self) -> bool {
        self.tags.is_empty() && self.tag_expressions.is_empty()
    }

    fn matches_tag(&self, tag: &Tag) -> bool {
        self.has_all_tags()
            || self.tags.iter().any(|pattern| pattern.matches(tag))
            || self.tag_expressions.iter().any(|e| e.matches(tag.as_str()))
    }

    /// Whether it asks when a tag was pushed.
    const fn asks_for_pushes(&self) -> bool {
        self.keep.newest.is_some() || self.keep.pushed_within.is_some()
    }
}

impl RetentionRules {
    /// Whether any rule asks when something was pulled.
    pub(crate) fn ask_for_pulls(&self) -> bool {
        self.rules.iter().any(|rule| rule.keep.pulled_within.is_some())
    }

    /// The longest time for which any rule asks for pulls.
    pub(crate) fn pulls_asked_for(&self) -> Option<Duration> {
        self.rules.iter().filter_map(|rule| rule.keep.pulled_within).max()
    }

    /// The rules that are about a repository, as far as anything of it may go by them.
    pub(crate) fn of(&self, name: &RepositoryName) -> Option<RulesOf<'_>> {
        let rules: Vec<_> =
            self.rules.iter().enumerate().filter(|(_, r)| r.matches_repository(name)).collect();
        let takes = |(_, rule): &(usize, &RetentionRule)| !rule.keep.all || rule.untagged.is_some();
        rules.iter().any(takes).then_some(RulesOf { rules })
    }
}

/// The rules that are about a repository, with their places in the list.
#[derive(Debug, Clone)]
pub(crate) struct RulesOf<'a> {
    rules: Vec<(usize, &'a RetentionRule)>,
}

impl<'a> RulesOf<'a> {
    /// The rule that decides about a tag.
    fn of_tag(&self, tag: &Tag) -> Option<(usize, &'a RetentionRule)> {
        self.rules.iter().find(|(_, rule)| rule.matches_tag(tag)).copied()
    }

    /// Whether it matters when this tag was pushed.
    pub(crate) fn ask_for_push_of(&self, tag: &Tag) -> bool {
        self.of_tag(tag).is_some_and(|(_, rule)| rule.asks_for_pushes())
    }

    /// Whether it matters when anything was pulled.
    pub(crate) fn ask_for_pulls(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.keep.pulled_within.is_some())
    }

    /// How old an untagged manifest has to be to go. The first rule decides that says something of
    /// them or is about all tags: one that keeps everything keeps them as well.
    pub(crate) fn untagged(&self) -> Option<Duration> {
        let decides = |rule: &RetentionRule| rule.untagged.is_some() || rule.has_all_tags();
        self.rules.iter().find(|(_, rule)| decides(rule)).and_then(|(_, rule)| rule.untagged)
    }
}
