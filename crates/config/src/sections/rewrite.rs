//! `rewrite`: what replaces the first components of repositories' names. Shared by the sections that
//! have it.

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
};

use super::remote::UNKNOWN;

pub(crate) static SECTION: Section = Section::new(&[
    schema::checked(
        "from",
        check::repository_path,
        "First components of a name; empty fits every name.",
    ),
    schema::checked(
        "to",
        check::repository_path,
        "What stands in their place; empty takes them away.",
    ),
])
.closed(UNKNOWN);

/// First components of a name, and what stands in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Whole components; empty fits every name.
    pub from: String,
    /// Whole components; empty takes them away.
    pub to: String,
}

/// The list under `rewrite`.
pub(crate) fn read(from: Reader<'_>) -> Vec<Rewrite> {
    let rule = |rule: Reader<'_>| Rewrite { from: rule.text("from"), to: rule.text("to") };
    from.items("rewrite").map(rule).collect()
}
