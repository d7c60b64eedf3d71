//! Who does what, and what must hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, Tag};
use serde_json::json;

use super::explorer::{Act, GRACE, Outcome, Scenario, World, explore};
use super::{BROKEN, Break};
use crate::{Chunk, Collection, CollectionOptions, ManifestPush, Registry, layout};

pub(super) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(super) fn digest(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

pub(super) const CONFIG: &[u8] = b"{}";
pub(super) const LAYER: &[u8] = b"layer";
pub(super) const TAG: &str = "v1";

pub(super) fn chunk(content: &'static [u8]) -> Chunk {
    Chunk {
        range: None,
        offset_bytes: None,
        content_length: None,
        body: Box::pin(stream::iter([Ok(Bytes::from_static(content))])),
    }
}

/// An image of [`CONFIG`] and [`LAYER`].
pub(super) fn image() -> Bytes {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": {"mediaType": "c", "digest": digest(CONFIG).to_string(), "size": CONFIG.len()},
        "layers": [{"mediaType": "l", "digest": digest(LAYER).to_string(), "size": LAYER.len()}],
    });
    serde_json::to_vec(&manifest).unwrap().into()
}

/// Another one, of [`CONFIG`] alone.
fn other_image() -> Bytes {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": {"mediaType": "c", "digest": digest(CONFIG).to_string(), "size": CONFIG.len()},
        "layers": [],
    });
    serde_json::to_vec(&manifest).unwrap().into()
}

/// An index of that image.
fn index() -> Bytes {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": [{"mediaType": MediaType::OciManifest.as_str(), "digest": digest(&image()).to_string(), "size": image().len()}],
    });
    serde_json::to_vec(&index).unwrap().into()
}

pub(super) fn manifest(reference: &str, media_type: MediaType, content: Bytes) -> ManifestPush {
    let reference = Reference::parse(reference).unwrap();
    ManifestPush { reference, tags: Vec::new(), media_type, content }
}

/// What the client does; the collector is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Push {
    /// Asks whether the layer is there, sends it if not, and names it in a manifest.
    AfterLooking,
    /// Mounts the layer from another repository, sends it if that does not work, and names it.
    AfterMounting,
    /// Sends the layer, which is there already, and names it.
    AfterSending,
    /// Gives an untagged manifest a tag again.
    TagAgain,
    /// Names an untagged manifest in an index.
    Index,
    /// Asks whether the manifest is there, sends it if not, and names it in an index.
    IndexAfterLooking,
}

impl Push {
    /// Whether an index is what is pushed in the end.
    fn is_of_index(self) -> bool {
        matches!(self, Self::Index | Self::IndexAfterLooking)
    }
}

/// A collector, and a client that pushes.
struct Pushing<const TICKS: u32, const WHILES: u32, const MORTALS: usize>(Push);

impl<const TICKS: u32, const WHILES: u32, const MORTALS: usize> Pushing<TICKS, WHILES, MORTALS> {
    /// The repository that clients push to.
    fn target(&self) -> RepositoryName {
        name(if self.0 == Push::AfterMounting { "two" } else { "one" })
    }

    fn untagged(&self) -> bool {
        self.0 == Push::TagAgain || self.0.is_of_index()
    }

    fn options(&self) -> CollectionOptions {
        CollectionOptions {
            older_than: GRACE,
            untagged: self.untagged(),
            ..CollectionOptions::default()
        }
    }
}

impl<const TICKS: u32, const WHILES: u32, const MORTALS: usize> Scenario
    for Pushing<TICKS, WHILES, MORTALS>
{
    const ACTORS: usize = 2;
    const TICKS: u32 = TICKS;
    const WHILES: u32 = WHILES;
    const MORTALS: usize = MORTALS;

    /// An image without a tag, or nothing but its layer; and another image that has a tag.
    async fn prepare(&self, world: &World) {
        let registry = world.server(0);
        for content in [CONFIG, LAYER] {
            registry.put_blob(&name("one"), &digest(content), chunk(content)).await.unwrap();
        }
        if self.untagged() {
            let text = digest(&image()).to_string();
            let push = manifest(&text, MediaType::OciManifest, image());
            registry.put_manifest(&name("one"), push).await.unwrap();
        } else if self.target() != name("one") {
            registry.mount_blob(&self.target(), &digest(CONFIG), None).await.unwrap().unwrap();
        }
        let push = manifest("other", MediaType::OciManifest, other_image());
        registry.put_manifest(&self.target(), push).await.unwrap();
    }

    fn act(&self, actor: usize, registry: Arc<Registry>) -> Act {
        if actor == 0 {
            let collection = Collection::new(registry, self.options());
            return Box::pin(async move {
                collection.run().await.map(drop).map_err(|error| error.to_string())
            });
        }
        let (push, target) = (self.0, self.target());
        Box::pin(async move {
            let told = run(push, &target, &registry).await;
            told.map_err(|error| format!("the push failed: {error}"))
        })
    }

    async fn check(&self, world: &World) -> Result<(), String> {
        self.check_whole(world, "at the end of the push").await?;
        for _ in 0..2 {
            tokio::time::advance(3 * GRACE).await;
            let collection = Collection::new(world.server(0), self.options());
            // Time stands still unless it is told to pass.
            let passing = async {
                loop {
                    tokio::time::advance(Duration::from_secs(50)).await;
                }
            };
            tokio::select! {
                outcome = collection.run() => drop(outcome.map_err(|error| error.to_string())?),
                () = passing => {}
            }
        }
        self.check_whole(world, "after two collections").await?;
        self.check_clean(world).await
    }
}

impl<const TICKS: u32, const WHILES: u32, const MORTALS: usize> Pushing<TICKS, WHILES, MORTALS> {
    /// Everything that was acknowledged can be pulled.
    async fn check_whole(&self, world: &World, when: &str) -> Result<(), String> {
        let registry = world.server(0);
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} {when}: {error}");
        let reference = Reference::Tag(Tag::parse(TAG).unwrap());
        let pulled = registry.get_manifest(&self.target(), &reference).await;
        pulled.map_err(|error| failed("manifest", &error))?;
        if self.0.is_of_index() {
            let child = Reference::Digest(digest(&image()));
            let pulled = registry.get_manifest(&self.target(), &child).await;
            pulled.map_err(|error| failed("child", &error))?;
        }
        for content in [CONFIG, LAYER] {
            let opened = registry.open_blob(&self.target(), &digest(content)).await;
            opened.map_err(|error| failed("blob", &error))?;
        }
        Ok(())
    }

    /// There is nothing that nothing refers to.
    async fn check_clean(&self, world: &World) -> Result<(), String> {
        let registry = world.server(0);
        let blobs = layout::blobs().join("sha256").unwrap();
        let mut expected = vec![CONFIG, LAYER].into_iter().map(digest).collect::<Vec<_>>();
        expected.extend([digest(&image()), digest(&other_image())]);
        expected.extend(self.0.is_of_index().then(|| digest(&index())));
        for prefix in registry.driver.list(&blobs).await.unwrap().entries {
            let path = blobs.join(&prefix.name).unwrap();
            for entry in registry.driver.list(&path).await.unwrap().entries {
                let found = Digest::from_hex(Algorithm::Sha256, &entry.name).unwrap();
                if !expected.contains(&found) {
                    return Err(format!("{found} is still there"));
                }
            }
        }
        let layers = registry.driver.list(&layout::layers(&name("one"), Algorithm::Sha256)).await;
        let layers = layers.map_or(0, |listing| listing.entries.len());
        let expected = if self.target() == name("one") { 2 } else { 0 };
        if layers == expected { Ok(()) } else { Err(format!("\"one\" has {layers} layer links")) }
    }
}

/// Pushes as a client does.
async fn run(push: Push, target: &RepositoryName, registry: &Registry) -> crate::Result<()> {
    let send = async |content: &'static [u8]| {
        registry.put_blob(target, &digest(content), chunk(content)).await.map(drop)
    };
    match push {
        Push::AfterLooking => {
            if registry.promise_blob(target, &digest(LAYER)).await.is_err() {
                send(LAYER).await?;
            }
        }
        Push::AfterMounting => {
            if registry.mount_blob(target, &digest(LAYER), Some(&name("one"))).await?.is_none() {
                send(LAYER).await?;
            }
        }
        Push::AfterSending => send(LAYER).await?,
        Push::TagAgain => {}
        Push::IndexAfterLooking => {
            let child = digest(&image());
            if registry.promise_manifest(target, &child).await.is_err() {
                send(CONFIG).await?;
                send(LAYER).await?;
                let child = manifest(&child.to_string(), MediaType::OciManifest, image());
                registry.put_manifest(target, child).await?;
            }
            let index = manifest(TAG, MediaType::OciIndex, index());
            return registry.put_manifest(target, index).await.map(drop);
        }
        Push::Index => {
            return match registry
                .put_manifest(target, manifest(TAG, MediaType::OciIndex, index()))
                .await
            {
                Ok(_) => Ok(()),
                // Its child had gone by then, which a client that asks is told: it sends all of it.
                Err(_) => {
                    send(CONFIG).await?;
                    send(LAYER).await?;
                    let text = digest(&image()).to_string();
                    let child = manifest(&text, MediaType::OciManifest, image());
                    registry.put_manifest(target, child).await?;
                    let parent = manifest(TAG, MediaType::OciIndex, index());
                    registry.put_manifest(target, parent).await.map(drop)
                }
            };
        }
    }
    match registry.put_manifest(target, manifest(TAG, MediaType::OciManifest, image())).await {
        // The blobs of an untagged image may have gone with it: a client sends them.
        Err(_) if push == Push::TagAgain => {
            send(CONFIG).await?;
            send(LAYER).await?;
            let again = manifest(TAG, MediaType::OciManifest, image());
            registry.put_manifest(target, again).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

fn explored<S: Scenario>(what: &str, scenario: &S) -> Outcome {
    let began = std::time::Instant::now();
    let outcome = explore(scenario);
    let (states, ends) = (outcome.states, outcome.ends);
    println!("{what}: {states} states, {ends} ends, {:.1?}", began.elapsed());
    outcome
}

pub(super) fn holds<S: Scenario>(what: &str, scenario: &S) {
    let outcome = explored(what, scenario);
    assert_eq!(outcome.violation, None, "{what}");
    assert!(outcome.states > 1000 && outcome.ends > 10, "{what}: there was next to nothing to do");
}

/// Going through all orders of a push finds that a safeguard is missing.
fn is_missed(safeguard: Break, push: Push) {
    let what = format!("{push:?} without {safeguard:?}");
    BROKEN.set(Some(safeguard));
    let outcome = explored(&what, &Pushing::<0, 1, 0>(push));
    BROKEN.set(None);
    assert!(outcome.violation.is_some(), "{what} is not missed");
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn a_push_after_looking() {
    holds("looking", &Pushing::<0, 1, 0>(Push::AfterLooking));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn a_push_after_mounting() {
    holds("mounting", &Pushing::<0, 1, 0>(Push::AfterMounting));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn a_push_after_sending() {
    holds("sending", &Pushing::<0, 1, 0>(Push::AfterSending));
}

#[test]
fn a_tag_on_what_had_none() {
    holds("tagging", &Pushing::<0, 1, 0>(Push::TagAgain));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn an_index_of_what_had_no_tag() {
    holds("index", &Pushing::<0, 1, 0>(Push::Index));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn an_index_after_looking() {
    holds("index after looking", &Pushing::<0, 1, 0>(Push::IndexAfterLooking));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn a_collector_that_is_killed() {
    holds("killed, tagging", &Pushing::<0, 1, 1>(Push::TagAgain));
    holds("killed, mounting", &Pushing::<0, 1, 1>(Push::AfterMounting));
}

#[test]
fn each_safeguard_is_missed() {
    for (safeguard, push) in [
        (Break::MarkingAgain, Push::Index),
        (Break::Pins, Push::AfterLooking),
        (Break::Pinning, Push::TagAgain),
        (Break::Batch, Push::TagAgain),
        (Break::LookingAgain, Push::TagAgain),
        (Break::Promise, Push::AfterLooking),
        (Break::Promise, Push::IndexAfterLooking),
    ] {
        is_missed(safeguard, push);
    }
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn the_wait_is_missed() {
    is_missed(Break::Waiting, Push::TagAgain);
}
