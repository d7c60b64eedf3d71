//! `policy`: what may be pushed.

use crate::{
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static SECTION: Section =
    Section::new(&[schema::section("repository", &REPOSITORY, "Policy of repositories.")]);

static REPOSITORY: Section = Section::new(&[schema::texts(
    "classes",
    "Classes of manifests that may be pushed (`image`, `plugin`); empty is all.",
)]);

/// `policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Classes that may be pushed; empty is all.
    pub repository_classes: Vec<String>,
}

pub(crate) fn read(policy: Reader<'_>) -> Policy {
    Policy { repository_classes: policy.section("repository").texts("classes") }
}
