//! `storage.delete`.

use crate::{
    reader::Reader,
    schema::{self, Bare, Section},
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::boolean("enabled", "Whether deletes are allowed; otherwise they answer 405.")
        .default("false"),
    schema::boolean("tags", "Deletes of tags; unless set, as `enabled`. Not in Distribution."),
    schema::boolean(
        "manifests",
        "Deletes of manifests by digest, with the tags that name them; unless set, as `enabled`. Not in Distribution.",
    ),
    schema::boolean("blobs", "Deletes of blobs; unless set, as `enabled`. Not in Distribution."),
    schema::boolean(
        "repositories",
        "Deletes of whole repositories ([deleting.md](deleting.md)); `enabled` does not turn it on. Not in Distribution.",
    )
    .default("false"),
])
.bare(Bare::Enabled);

/// `storage.delete`: what may be deleted through the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Tags.
    pub tags: bool,
    /// Manifests, with the tags that name them.
    pub manifests: bool,
    /// Blobs.
    pub blobs: bool,
    /// Whole repositories.
    pub repositories: bool,
}

pub(crate) fn read(delete: Reader<'_>) -> Deletion {
    let enabled = delete.boolean("enabled");
    let or_enabled = |name| delete.set_boolean(name).unwrap_or(enabled);
    Deletion {
        tags: or_enabled("tags"),
        manifests: or_enabled("manifests"),
        blobs: or_enabled("blobs"),
        repositories: delete.boolean("repositories"),
    }
}
