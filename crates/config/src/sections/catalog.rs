//! `catalog`: the listing of repositories.

use crate::{
    reader::Reader,
    schema::{self, Section},
};

/// Distribution's default, which zero and less stand for too.
const MAX_ENTRIES: u64 = 1000;

pub(crate) static SECTION: Section = Section::new(&[schema::integer(
    "maxentries",
    "Most repositories of one page; 0 and less are the default.",
)
.default("1000")]);

/// `catalog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Most repositories of one page.
    pub max_entries: u64,
}

pub(crate) fn read(catalog: Reader<'_>) -> Catalog {
    let max_entries = Some(catalog.count("maxentries")).filter(|n| *n > 0).unwrap_or(MAX_ENTRIES);
    Catalog { max_entries }
}
