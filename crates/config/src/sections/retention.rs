//! `retention`: which tags are kept.

use std::time::Duration;

use crate::{
    check,
    reader::Reader,
    schema::{self, Bare, Section},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::boolean("enabled", "Whether garbage collections go by the rules.").default("false"),
    schema::boolean("dryrun", "Only says which tags would go.").default("false"),
    schema::list("rules", &RULE, "The rules: the first that matches a tag decides about it."),
])
.bare(Bare::Enabled);

static RULE: Section = Section::new(&[
    schema::checked_texts(
        "repositories",
        check::repository_pattern,
        "Patterns of repositories: `*` is any text without a slash, `**` any text.",
    ),
    schema::checked_texts(
        "repositoryregex",
        check::regular_expression,
        "Regular expressions that match all of a repository's name.",
    ),
    schema::checked_texts(
        "tags",
        check::tag_pattern,
        "Patterns of tags. Without them and `tagregex` the rule is about all tags.",
    ),
    schema::checked_texts(
        "tagregex",
        check::regular_expression,
        "Regular expressions that match all of a tag.",
    ),
    schema::section("keep", &KEEP, "What is kept: a tag stays if any of these holds."),
    schema::section(
        "untagged",
        &UNTAGGED,
        "Which manifests go that have no tag and are no part of a tagged one.",
    ),
])
.closed(UNKNOWN);

static KEEP: Section = Section::new(&[
    schema::boolean("all", "All tags."),
    schema::boolean("none", "No tag: all that the rule is about go."),
    schema::bounded("newest", 1, i64::MAX, "So many tags that were pushed last."),
    schema::bounded(
        "semver",
        1,
        i64::MAX,
        "The tags of so many highest versions such as `1.2.3` and `v1.2.3`; pre-releases don't count.",
    ),
    schema::age("pushedwithin", "What was pushed within this time, such as `30d`."),
    schema::age("pulledwithin", "What was pulled within this time, such as `90d`."),
])
.closed(UNKNOWN);

static UNTAGGED: Section = Section::new(&[schema::age(
    "olderthan",
    "How long ago they were pushed, such as `7d`; unset keeps them.",
)])
.closed(UNKNOWN);

/// A condition that was misspelt may not be left out: what it keeps would go.
const UNKNOWN: &str = "condition";

/// `retention`.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// Whether garbage collections go by the rules.
    pub enabled: bool,
    /// Whether it is only said what would go.
    pub dry_run: bool,
    /// The rules, in their order.
    pub rules: Vec<RetentionRule>,
}

/// One of `retention.rules`.
#[derive(Clone, Debug)]
pub struct RetentionRule {
    /// Patterns of repositories.
    pub repositories: Vec<String>,
    /// Regular expressions of repositories.
    pub repository_expressions: Vec<String>,
    /// Patterns of tags; all when there are neither these nor expressions.
    pub tags: Vec<String>,
    /// Regular expressions of tags.
    pub tag_expressions: Vec<String>,
    /// Keeps all.
    pub all: bool,
    /// Keeps so many that were pushed last.
    pub newest: Option<u64>,
    /// Keeps so many versions.
    pub semver: Option<u64>,
    /// Keeps what was pushed within this time.
    pub pushed_within: Option<Duration>,
    /// Keeps what was pulled within this time.
    pub pulled_within: Option<Duration>,
    /// How old untagged manifests have to be to go; none do when it is unset.
    pub untagged_older_than: Option<Duration>,
}

pub(crate) fn read(retention: Reader<'_>) -> Retention {
    Retention {
        enabled: retention.boolean("enabled"),
        dry_run: retention.boolean("dryrun"),
        rules: retention.items("rules").map(read_rule).collect(),
    }
}

fn read_rule(rule: Reader<'_>) -> RetentionRule {
    let keep = rule.section("keep");
    let count = |name| keep.set_integer(name).and_then(|number| u64::try_from(number).ok());
    RetentionRule {
        repositories: rule.texts("repositories"),
        repository_expressions: rule.texts("repositoryregex"),
        tags: rule.texts("tags"),
        tag_expressions: rule.texts("tagregex"),
        all: keep.boolean("all"),
        newest: count("newest"),
        semver: count("semver"),
        pushed_within: keep.set_duration("pushedwithin"),
        pulled_within: keep.set_duration("pulledwithin"),
        untagged_older_than: rule.section("untagged").set_duration("olderthan"),
    }
}
