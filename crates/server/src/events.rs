//! What is reported to `notifications.endpoints`, in Distribution's words.
//!
//! What changed something is reported before its response is sent, so that every event about an
//! acknowledged change is on stable storage. A pull is reported in passing. Nobody's request fails
//! because an event is lost: [`notify`] counts it.

use std::sync::Arc;

use http::header;
use notify::{Action, Actor, Event, Notifier, RequestRecord, Target};
use oci::{Digest, MediaType, RepositoryName, Tag};

use crate::exchange::Call;
use crate::locations::{Base, request_host};

/// The media type that Distribution reports for every blob.
const BLOB: &str = "application/octet-stream";

/// Who is to be told of an action; none if nobody wants to know.
fn interested(call: &Call, action: Action) -> Option<&Arc<Notifier>> {
    call.app.notifier.as_ref().filter(|notifier| notifier.wants(action))
}

/// A manifest was served, or its headers were.
pub(crate) fn manifest_pulled(
    call: &Call,
    name: &RepositoryName,
    tag: Option<&Tag>,
    (digest, media_type, content): (&Digest, MediaType, &[u8]),
) {
    let Some(notifier) = interested(call, Action::Pull) else { return };
    let target = manifest(call, notifier, name, (digest, media_type, content));
    let tag = tag.map_or_else(String::new, ToString::to_string);
    notifier.offer(event(call, Action::Pull, Target { tag, ..target }));
}

/// A blob was served, or its headers were.
pub(crate) fn blob_pulled(call: &Call, name: &RepositoryName, digest: &str, size_bytes: u64) {
    let Some(notifier) = interested(call, Action::Pull) else { return };
    notifier.offer(event(call, Action::Pull, blob(call, name, digest, size_bytes)));
}

/// A manifest was pushed: one event for each tag that it got, and one without a tag if it got none.
pub(crate) async fn manifest_pushed(
    call: &Call,
    name: &RepositoryName,
    tags: &[Tag],
    (digest, media_type, content): (&Digest, MediaType, &[u8]),
) {
    let Some(notifier) = interested(call, Action::Push) else { return };
    let target = manifest(call, notifier, name, (digest, media_type, content));
    for tag in tags {
        let target = Target { tag: tag.to_string(), ..target.clone() };
        accept(call, notifier, event(call, Action::Push, target)).await;
    }
    if tags.is_empty() {
        accept(call, notifier, event(call, Action::Push, target)).await;
    }
}

/// A blob was pushed.
pub(crate) async fn blob_pushed(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
    size_bytes: u64,
) {
    let Some(notifier) = interested(call, Action::Push) else { return };
    let target = blob(call, name, &digest.to_string(), size_bytes);
    accept(call, notifier, event(call, Action::Push, target)).await;
}

/// A blob was mounted. Without `from` it is not said which repository had it.
pub(crate) async fn blob_mounted(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) {
    let Some(notifier) = interested(call, Action::Mount) else { return };
    // The mount did not look at the data. Should it be gone again, there is no size to report.
    let stat = call.app.registry.stat_blob(name, digest).await;
    let size_bytes = stat.map_or(0, |stat| stat.size_bytes);
    let from_repository = from.map_or_else(String::new, ToString::to_string);
    let target = blob(call, name, &digest.to_string(), size_bytes);
    let target = Target { from_repository, ..target };
    accept(call, notifier, event(call, Action::Mount, target)).await;
}

/// A manifest or a blob was deleted.
pub(crate) async fn content_deleted(call: &Call, name: &RepositoryName, digest: &Digest) {
    let Some(notifier) = interested(call, Action::Delete) else { return };
    let target =
        Target { digest: digest.to_string(), repository: name.to_string(), ..Target::default() };
    accept(call, notifier, event(call, Action::Delete, target)).await;
}

/// Tags were deleted, by themselves or with their manifest: one event for each.
pub(crate) async fn tags_deleted(call: &Call, name: &RepositoryName, tags: &[Tag]) {
    let Some(notifier) = interested(call, Action::Delete) else { return };
    for tag in tags {
        let target =
            Target { repository: name.to_string(), tag: tag.to_string(), ..Target::default() };
        accept(call, notifier, event(call, Action::Delete, target)).await;
    }
}

/// A repository was deleted as a whole: one event with its name, as Distribution has it.
pub(crate) async fn repository_deleted(call: &Call, name: &RepositoryName) {
    let Some(notifier) = interested(call, Action::Delete) else { return };
    let target = Target { repository: name.to_string(), ..Target::default() };
    accept(call, notifier, event(call, Action::Delete, target)).await;
}

/// Waits until an event is on stable storage. If it can't be had there, the change that it is about
/// has been made all the same.
async fn accept(call: &Call, notifier: &Notifier, event: Event) {
    let (action, repository) = (event.action.as_str(), event.target.repository.clone());
    if let Err(error) = notifier.accept(event).await {
        let id = call.request_id();
        tracing::warn!("http.request.id" = %id, action, repository, %error, "an event is lost");
    }
}

fn manifest(
    call: &Call,
    notifier: &Notifier,
    name: &RepositoryName,
    (digest, media_type, content): (&Digest, MediaType, &[u8]),
) -> Target {
    let references = match notifier.includes_references() {
        true => notify::references(content),
        false => Vec::new(),
    };
    let size_bytes = content.len() as u64;
    Target {
        media_type: media_type.as_str().to_owned(),
        digest: digest.to_string(),
        size_bytes,
        length_bytes: size_bytes,
        repository: name.to_string(),
        url: base(call).manifest(name, digest),
        references,
        ..Target::default()
    }
}

fn blob(call: &Call, name: &RepositoryName, digest: &str, size_bytes: u64) -> Target {
    Target {
        media_type: BLOB.to_owned(),
        digest: digest.to_owned(),
        size_bytes,
        length_bytes: size_bytes,
        repository: name.to_string(),
        url: format!("{}/v2/{name}/blobs/{digest}", base(call).url()),
        ..Target::default()
    }
}

/// A receiver of events knows no host that a relative URL could be relative to.
fn base(call: &Call) -> Base {
    Base::absolute(&call.app.options, &call.parts)
}

fn event(call: &Call, action: Action, target: Target) -> Event {
    let user_agent = call.headers().get(header::USER_AGENT);
    let request = RequestRecord {
        id: call.request_id().to_string(),
        address: call.remote_address(),
        host: request_host(&call.parts).unwrap_or_default().to_owned(),
        method: call.parts.method.to_string(),
        user_agent: user_agent
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
    };
    let actor = Actor { name: call.user().unwrap_or_default().to_owned() };
    Event { action, target, request, actor }
}
