//! `validation`: what is checked when a manifest is pushed.

use regex::Regex;

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::boolean("enabled", "Old switch: `true` wins over `disabled`."),
    schema::boolean("disabled", "Turns the checks of URLs and of indexes off.").default("false"),
    schema::section("manifests", &MANIFESTS, "Checks of manifests."),
]);

static MANIFESTS: Section = Section::new(&[
    schema::choice("references", &["strict", "lenient"], "`strict`: config and layers must exist in the repository; `lenient`: they may be missing. Only in wharf.").default("strict"),
    schema::section("urls", &URLS, "URLs of foreign layers. Without any entry every http and https URL is allowed, unlike in Distribution."),
    schema::section("indexes", &INDEXES, "Which manifests of an index must exist."),
]);

static URLS: Section = Section::new(&[
    schema::checked_texts(
        "allow",
        check::regular_expression,
        "Regular expressions of which a URL must match one.",
    ),
    schema::checked_texts(
        "deny",
        check::regular_expression,
        "Regular expressions of which a URL may match none.",
    ),
]);

static INDEXES: Section = Section::new(&[
    schema::choice(
        "platforms",
        &["all", "none", "list"],
        "`all`, `none`, or those of `platformlist`.",
    )
    .default("all"),
    schema::list("platformlist", &PLATFORM, "Platforms of `platforms: list`."),
]);

static PLATFORM: Section = Section::new(&[
    schema::text("architecture", "Architecture in Go's words, such as `amd64`."),
    schema::text("os", "Operating system in Go's words, such as `linux`."),
]);

/// `validation`.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Whether URLs and indexes are checked: on unless `disabled` is true and `enabled` isn't.
    pub enabled: bool,
    /// `manifests.references`.
    pub references: ReferencePolicy,
    /// `manifests.urls.allow`. None allows every URL that `deny` does not match: unlike in
    /// Distribution, where both empty allow none.
    pub url_allow: Vec<Regex>,
    /// `manifests.urls.deny`.
    pub url_deny: Vec<Regex>,
    /// `manifests.indexes`.
    pub index_platforms: IndexPlatforms,
}

/// Whether config and layers of a pushed manifest must exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferencePolicy {
    /// They must exist in the repository, as in Distribution.
    #[default]
    Strict,
    /// Sparse manifests are accepted.
    Lenient,
}

/// Which manifests of a pushed index must exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexPlatforms {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of the listed platforms.
    List(Vec<Platform>),
}

/// A platform in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Architecture, such as `amd64`.
    pub architecture: String,
    /// Operating system, such as `linux`.
    pub os: String,
}

pub(crate) fn read(validation: Reader<'_>) -> Validation {
    let manifests = validation.section("manifests");
    let urls = manifests.section("urls");
    let indexes = manifests.section("indexes");
    let expressions =
        |name| urls.texts(name).iter().filter_map(|text| check::compile(text).ok()).collect();
    Validation {
        enabled: !validation.boolean("disabled") || validation.boolean("enabled"),
        references: match manifests.text("references").as_str() {
            "lenient" => ReferencePolicy::Lenient,
            _ => ReferencePolicy::Strict,
        },
        url_allow: expressions("allow"),
        url_deny: expressions("deny"),
        index_platforms: match indexes.text("platforms").as_str() {
            "none" => IndexPlatforms::None,
            "list" => IndexPlatforms::List(
                indexes
                    .items("platformlist")
                    .map(|platform| Platform {
                        architecture: platform.text("architecture"),
                        os: platform.text("os"),
                    })
                    .collect(),
            ),
            _ => IndexPlatforms::All,
        },
    }
}
