//! A collector that goes by retention rules, and a client that pushes what goes by them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::{MediaType, Reference, Tag};
use serde_json::json;
use storage::EntryKind;

use super::explorer::{Act, GRACE, Scenario, World};
use super::scenarios::{CONFIG, TAG, chunk, digest, holds, manifest, name};
use crate::retention::{Keep, RetentionRule};
use crate::{
    Collection, CollectionOptions, Registry, RepositoryPattern, RetentionRules, TagPattern, layout,
};

/// The tag that the client pushes. There is an image under [`TAG`], which goes, and which is the one
/// that the client has.
struct Retaining {
    pushed: &'static str,
    keep: Keep,
    /// Whether manifests go without a tag; otherwise nothing goes but tags.
    untagged: bool,
}

/// An image of [`CONFIG`] alone: whatever else goes takes its time in all orders.
fn image() -> Bytes {
    made_as("image")
}

/// What keeps the blob of that image.
const BASE: &str = "base";

fn made_as(name: &str) -> Bytes {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": {"mediaType": "c", "digest": digest(CONFIG).to_string(), "size": CONFIG.len()},
        "layers": [],
        "annotations": {"name": name},
    });
    serde_json::to_vec(&manifest).unwrap().into()
}

/// A rule that keeps what was pushed lately.
const LATELY: Keep = Keep {
    all: false,
    newest: None,
    semver: None,
    pushed_within: Some(GRACE),
    pulled_within: None,
};

impl Retaining {
    fn options(&self) -> CollectionOptions {
        let rule = RetentionRule {
            repositories: vec![RepositoryPattern::parse("**").unwrap()],
            tags: vec![TagPattern::parse("v*").unwrap()],
            keep: self.keep,
            untagged: self.untagged.then_some(Duration::ZERO),
            ..RetentionRule::default()
        };
        let rules = RetentionRules { rules: vec![rule], dry_run: false };
        let retention = Some(Arc::new(rules));
        CollectionOptions { older_than: GRACE, retention, ..CollectionOptions::default() }
    }
}

impl Scenario for Retaining {
    const ACTORS: usize = 2;
    const TICKS: u32 = 0;
    const WHILES: u32 = 1;
    const RENEWS: bool = true;

    async fn prepare(&self, world: &World) {
        let registry = world.server(0);
        send(&registry, TAG).await.unwrap();
        if self.untagged {
            let push = manifest(BASE, MediaType::OciManifest, made_as(BASE));
            registry.put_manifest(&name("one"), push).await.unwrap();
        }
    }

    fn act(&self, actor: usize, registry: Arc<Registry>) -> Act {
        if actor == 0 {
            let collection = Collection::new(registry, self.options());
            return Box::pin(async move {
                collection.run().await.map(drop).map_err(|error| error.to_string())
            });
        }
        let pushed = self.pushed;
        Box::pin(async move {
            let push = manifest(pushed, MediaType::OciManifest, image());
            let told = match registry.put_manifest(&name("one"), push).await {
                // Its blobs may have gone with it: a client sends them.
                Err(_) => send(&registry, pushed).await,
                Ok(_) => Ok(()),
            };
            told.map_err(|error| format!("the push failed: {error}"))
        })
    }

    /// Every tag leads to something whole, and what was pushed lately is there.
    async fn check(&self, world: &World) -> Result<(), String> {
        let registry = world.server(0);
        let listing = registry.driver.list(&layout::tags(&name("one"))).await;
        let entries = listing.map(|listing| listing.entries).unwrap_or_default();
        let tags = entries.iter().filter(|entry| entry.kind == EntryKind::Directory);
        let mut found = Vec::new();
        for tag in tags.filter_map(|entry| Tag::parse(&entry.name).ok()) {
            if registry.resolve_tag(&name("one"), &tag).await.is_err() {
                continue;
            }
            let pulled = registry.get_manifest(&name("one"), &Reference::Tag(tag.clone())).await;
            pulled.map_err(|error| format!("tag {tag} leads nowhere: {error}"))?;
            let opened = registry.open_blob(&name("one"), &digest(CONFIG)).await;
            opened.map_err(|error| format!("the blob of tag {tag}: {error}"))?;
            found.push(tag.to_string());
        }
        let is_there = found.iter().any(|tag| tag == self.pushed);
        if is_there || self.keep != LATELY {
            return Ok(());
        }
        Err(format!("tag {} was pushed lately, and is gone: {found:?}", self.pushed))
    }
}

/// Sends everything.
async fn send(registry: &Registry, tag: &str) -> crate::Result<()> {
    registry.put_blob(&name("one"), &digest(CONFIG), chunk(CONFIG)).await?;
    let push = manifest(tag, MediaType::OciManifest, image());
    registry.put_manifest(&name("one"), push).await.map(drop)
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn a_tag_that_goes_is_pushed_again() {
    holds("retention, the same tag", &Retaining { pushed: TAG, keep: LATELY, untagged: false });
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn what_goes_is_pushed_under_another_tag() {
    // The other one goes as well by the rules, but not in the same collection.
    let keep = Keep { pushed_within: None, ..LATELY };
    holds("retention, another tag that goes", &Retaining { pushed: "v2", keep, untagged: true });
}
