//! `tags`: the listing of tags.

use crate::{
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static SECTION: Section = Section::new(&[schema::count(
    "maxtags",
    "Most tags of one page when the client asks for pages.",
)
.default("1000")]);

/// `tags`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Most tags of one page; holds only for requests that give `n`.
    pub max_tags: u64,
}

pub(crate) fn read(tags: Reader<'_>) -> Tags {
    Tags { max_tags: tags.count("maxtags") }
}
