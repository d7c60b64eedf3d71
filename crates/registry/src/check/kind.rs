//! What a check can find.

use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A client that asks for it gets an error, or wrong content.
    Error,
    /// It is not as it should be, and no client that does nothing unusual notices.
    Warning,
    /// It only costs space, or may be meant.
    Note,
}

/// What is wrong. The names in JSON (`blob_corrupt`) don't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Content that does not have its digest.
    BlobCorrupt,
    /// A file without content, whose digest is not that of nothing.
    BlobEmpty,
    /// A manifest of a repository whose content is damaged.
    ManifestCorrupt,
    /// A manifest of a repository whose content is not there.
    ManifestMissing,
    /// Content of a repository's manifest that is none.
    ManifestInvalid,
    /// A manifest refers to content that is not there.
    ManifestBlobMissing,
    /// A manifest refers to content that is damaged.
    ManifestBlobCorrupt,
    /// A manifest refers to content that is there, but not linked into its repository.
    LayerLinkMissing,
    /// A link of a blob that is empty or torn.
    LayerLinkTorn,
    /// A link of a blob that names something else than its own path.
    LayerLinkWrong,
    /// A link of a manifest that is empty or torn.
    RevisionLinkTorn,
    /// A link of a manifest that names something else than its own path.
    RevisionLinkWrong,
    /// A tag whose link is empty or torn.
    TagLinkTorn,
    /// A tag that names a manifest which its repository does not have.
    TagWithoutRevision,
    /// Something that could not be looked at.
    Unreadable,
    /// Content in a directory where nobody looks for it.
    BlobMisplaced,
    /// A link of a blob whose content is not there.
    LayerWithoutData,
    /// A manifest says another size of a blob than it has.
    DescriptorSize,
    /// A child of an index that its repository does not have.
    IndexChildMissing,
    /// A note of what a tag named that is empty or torn.
    TagIndexTorn,
    /// A note of what a tag named that names something else than its own path.
    TagIndexWrong,
    /// Another digest of a blob, whose link is empty or torn.
    AliasTorn,
    /// A blob that no link leads to.
    OrphanBlob,
    /// A directory of a blob without content.
    BlobWithoutData,
    /// A tag that has named something and names nothing.
    TagWithoutCurrent,
    /// What a writer left that was killed.
    LeftoverFile,
    /// Something that does not belong to the layout.
    Stray,
}

impl Kind {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::BlobCorrupt
            | Self::BlobEmpty
            | Self::ManifestCorrupt
            | Self::ManifestMissing
            | Self::ManifestInvalid
            | Self::ManifestBlobMissing
            | Self::ManifestBlobCorrupt
            | Self::LayerLinkMissing
            | Self::LayerLinkTorn
            | Self::LayerLinkWrong
            | Self::RevisionLinkTorn
            | Self::RevisionLinkWrong
            | Self::TagLinkTorn
            | Self::TagWithoutRevision
            | Self::Unreadable => Severity::Error,
            Self::BlobMisplaced
            | Self::LayerWithoutData
            | Self::DescriptorSize
            | Self::IndexChildMissing
            | Self::TagIndexTorn
            | Self::TagIndexWrong
            | Self::AliasTorn => Severity::Warning,
            Self::OrphanBlob
            | Self::BlobWithoutData
            | Self::TagWithoutCurrent
            | Self::LeftoverFile
            | Self::Stray => Severity::Note,
        }
    }

    /// What it means for clients and operators.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BlobCorrupt => "clients refuse this content, as it does not have its digest",
            Self::BlobEmpty => "clients get nothing where there should be content",
            Self::ManifestCorrupt => "pulls of this manifest fail",
            Self::ManifestMissing => "pulls of this manifest fail: its content is gone",
            Self::ManifestInvalid => "pulls of this manifest fail: its content is no manifest",
            Self::ManifestBlobMissing => "pulls fail: a part of the image is gone",
            Self::ManifestBlobCorrupt => "pulls fail: a part of the image is damaged",
            Self::LayerLinkMissing => {
                "pulls fail: a part of the image is there, but not in its repository"
            }
            Self::LayerLinkTorn | Self::LayerLinkWrong => {
                "the repository does not have this blob, though it was pushed there"
            }
            Self::RevisionLinkTorn | Self::RevisionLinkWrong => {
                "the repository does not have this manifest, though it was pushed there"
            }
            Self::TagLinkTorn => "the tag is not there for clients",
            Self::TagWithoutRevision => "the tag is listed, and pulls of it fail",
            Self::Unreadable => "nothing is known of it; clients get an error as well",
            Self::BlobMisplaced => "nobody finds this content",
            Self::LayerWithoutData => {
                "the repository had this blob and does not have it any more; a collection leaves this"
            }
            Self::DescriptorSize => "some clients refuse content of another size than announced",
            Self::IndexChildMissing => {
                "pulls for this platform fail; images that were copied for some platforms have this"
            }
            Self::TagIndexTorn | Self::TagIndexWrong => {
                "Distribution's collection of untagged manifests may stumble over it"
            }
            Self::AliasTorn => "a mount without a source does not find the blob by this digest",
            Self::OrphanBlob => "only takes space, unless it is of a push that is just being made",
            Self::BlobWithoutData => "nothing: an empty directory",
            Self::TagWithoutCurrent => "the tag is not there for clients; Distribution may list it",
            Self::LeftoverFile => "only takes space",
            Self::Stray => "nobody looks at it",
        }
    }

    /// What a repair does about it.
    #[must_use]
    pub const fn repair(self) -> &'static str {
        match self {
            Self::BlobCorrupt | Self::BlobEmpty => {
                "moves it to the quarantine, so that the next push of it heals"
            }
            Self::ManifestMissing => {
                "moves its link to the quarantine, which would keep collections from its repository; \
                 push it again"
            }
            Self::ManifestCorrupt
            | Self::ManifestInvalid
            | Self::ManifestBlobMissing
            | Self::ManifestBlobCorrupt => "nothing: push it again, or delete the manifest",
            Self::LayerLinkMissing => "writes the link",
            Self::LayerLinkTorn
            | Self::LayerLinkWrong
            | Self::RevisionLinkTorn
            | Self::RevisionLinkWrong
            | Self::TagIndexTorn
            | Self::TagIndexWrong => {
                "writes the link anew if its content is there and right, or else moves it to the \
                 quarantine"
            }
            Self::TagLinkTorn => {
                "writes the link anew if the tag has only ever named one manifest, or else moves \
                 the tag to the quarantine"
            }
            Self::TagWithoutRevision => {
                "links the manifest again if its content is there and right; else push it again, \
                 or delete the tag"
            }
            Self::Unreadable => "nothing: look at the disk, the permissions, the store",
            Self::BlobMisplaced => {
                "moves it to its place if it is right and missing there, or else to the quarantine"
            }
            Self::LayerWithoutData | Self::AliasTorn => "moves the link to the quarantine",
            Self::DescriptorSize => "nothing: the manifest was pushed like this",
            Self::IndexChildMissing => "nothing: push the child, if it is wanted",
            Self::OrphanBlob => "nothing: that is garbage collection",
            Self::BlobWithoutData | Self::TagWithoutCurrent | Self::Stray => "nothing",
            Self::LeftoverFile => "removes it",
        }
    }
}
