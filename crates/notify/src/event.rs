//! What happened in the registry.

use serde::Serialize;

use crate::descriptor::Descriptor;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Content was served, or its headers were.
    Pull,
    /// Content was stored.
    Push,
    /// A blob was mounted from another repository.
    Mount,
    /// Content or a tag was deleted.
    Delete,
}

impl Action {
    /// As it is written in events and in `ignore.actions`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

/// An event, but for what the notifier adds: the id, the time, and the [`Source`].
#[derive(Debug, Clone)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// By which request.
    pub request: RequestRecord,
    /// By whom.
    pub actor: Actor,
}

/// What an event is about. Empty texts and a zero length are left out of the envelope, except for
/// `media_type`, `digest` and `size_bytes`, which Distribution 3 always prints.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Media type of the content; empty for a deletion.
    pub media_type: String,
    /// Digest of the content; empty when a tag alone was deleted.
    pub digest: String,
    /// Size of the content, in bytes; zero for a deletion.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// The same again, as Distribution has it for old receivers.
    #[serde(rename = "length", skip_serializing_if = "is_zero")]
    pub length_bytes: u64,
    /// Name of the repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// For a mount: the repository that had the blob.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from_repository: String,
    /// Where the content is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The tag that was pushed, pulled or deleted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// What the manifest refers to, if that is wanted ([`crate::Options::include_references`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Descriptor>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The request that caused an event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestRecord {
    /// Its id, a UUID.
    pub id: String,
    /// Address of the client, and its port if that is known.
    #[serde(rename = "addr", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The `Host` that the client asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The HTTP method.
    pub method: String,
    /// The `User-Agent`.
    #[serde(rename = "useragent")]
    pub user_agent: String,
}

/// Who made the request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Actor {
    /// The user's name; empty without authentication.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The registry that an event comes from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Source {
    /// The machine's name and the port of `http.addr`, as `name:port`.
    #[serde(rename = "addr", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// A UUID that is new with each start of the registry.
    #[serde(rename = "instanceID", skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
}
