//! `compatibility`: removed in Distribution 3.

use crate::{
    reader::Reader,
    schema::{self, Section},
};

pub(crate) static SECTION: Section =
    Section::new(&[schema::optional("schema1", &SCHEMA1, "Manifests of schema 1.")]);

static SCHEMA1: Section = Section::new(&[
    schema::text("signingkeyfile", "Has no effect.").variable("trustkey"),
    schema::boolean("enabled", "Accepting schema 1; not possible.").default("false"),
]);

/// `compatibility`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compatibility {
    /// Whether schema 1 was asked for, which is refused.
    pub schema1_enabled: bool,
}

pub(crate) fn read(compatibility: Reader<'_>) -> Compatibility {
    Compatibility { schema1_enabled: compatibility.section("schema1").boolean("enabled") }
}
