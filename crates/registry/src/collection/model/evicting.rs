//! An eviction, and a client that pushes to a local repository what is cached.

use std::sync::Arc;
use std::time::Duration;

use oci::{Algorithm, MediaType, Reference, RepositoryName, Tag};

use super::explorer::{Act, GRACE, Scenario, World, YOUNG, explore};
use super::scenarios::{CONFIG, LAYER, TAG, chunk, digest, holds, image, manifest, name};
use super::{BROKEN, Break};
use crate::eviction::Lifetime;
use crate::{Eviction, EvictionOptions, Registry, layout};

/// The repository that is cached, and the one that is pushed to.
const CACHED: &str = "one";
const LOCAL: &str = "two";

/// How the client comes by the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Push {
    /// It mounts it, and sends it if that does not work.
    AfterMounting,
    /// It sends it, though it is there already.
    AfterSending,
}

/// With so many long whiles in which everybody may stand still, and so many that may be killed.
struct Evicting<const WHILES: u32, const MORTALS: usize>(Push);

/// Everything that is cached goes that was not used for a while: less than it is old, which is less
/// than the grace time.
fn options() -> EvictionOptions {
    let lifetimes = |name: &RepositoryName| match name.as_str() == CACHED {
        true => Lifetime::Unlimited,
        false => Lifetime::Local,
    };
    EvictionOptions {
        max_bytes: Some(0),
        used_within: 2 * YOUNG,
        ..EvictionOptions::new(Arc::new(lifetimes))
    }
}

impl<const WHILES: u32, const MORTALS: usize> Scenario for Evicting<WHILES, MORTALS> {
    const ACTORS: usize = 2;
    const TICKS: u32 = 0;
    const WHILES: u32 = WHILES;
    const MORTALS: usize = MORTALS;
    const AGE: Duration = YOUNG.saturating_mul(3);

    async fn prepare(&self, world: &World) {
        let registry = world.server(0);
        for content in [CONFIG, LAYER] {
            registry.put_blob(&name(CACHED), &digest(content), chunk(content)).await.unwrap();
        }
        let push = manifest(TAG, MediaType::OciManifest, image());
        registry.put_manifest(&name(CACHED), push).await.unwrap();
        registry.mount_blob(&name(LOCAL), &digest(CONFIG), None).await.unwrap().unwrap();
    }

    fn act(&self, actor: usize, registry: Arc<Registry>) -> Act {
        if actor == 0 {
            let eviction = Eviction::new(registry, options());
            return Box::pin(async move {
                eviction.run().await.map(drop).map_err(|error| error.to_string())
            });
        }
        let push = self.0;
        Box::pin(async move {
            run(push, &registry).await.map_err(|error| format!("the push failed: {error}"))
        })
    }

    async fn check(&self, world: &World) -> Result<(), String> {
        check_whole(world, "at the end of the push").await?;
        for _ in 0..2 {
            tokio::time::advance(3 * GRACE).await;
            let eviction = Eviction::new(world.server(0), options());
            // Time stands still unless it is told to pass.
            let passing = async {
                loop {
                    tokio::time::advance(Duration::from_secs(50)).await;
                }
            };
            tokio::select! {
                outcome = eviction.run() => drop(outcome.map_err(|error| error.to_string())?),
                () = passing => {}
            }
        }
        check_whole(world, "after two more evictions").await?;
        check_clean(world).await
    }
}

async fn run(push: Push, registry: &Registry) -> crate::Result<()> {
    let (local, layer) = (name(LOCAL), digest(LAYER));
    let is_mounted = push == Push::AfterMounting
        && registry.mount_blob(&local, &layer, Some(&name(CACHED))).await?.is_some();
    if !is_mounted {
        registry.put_blob(&local, &layer, chunk(LAYER)).await?;
    }
    let push = manifest(TAG, MediaType::OciManifest, image());
    registry.put_manifest(&local, push).await.map(drop)
}

async fn check_whole(world: &World, when: &str) -> Result<(), String> {
    let registry = world.server(0);
    let reference = Reference::Tag(Tag::parse(TAG).unwrap());
    let pulled = registry.get_manifest(&name(LOCAL), &reference).await;
    pulled.map_err(|error| format!("manifest {when}: {error}"))?;
    for content in [CONFIG, LAYER] {
        let opened = registry.open_blob(&name(LOCAL), &digest(content)).await;
        opened.map_err(|error| format!("blob {when}: {error}"))?;
    }
    Ok(())
}

/// Nothing is cached any more. What it was made of the other repository has as well.
async fn check_clean(world: &World) -> Result<(), String> {
    let driver = &world.server(0).driver;
    for path in [
        layout::layers(&name(CACHED), Algorithm::Sha256),
        layout::revisions(&name(CACHED), Algorithm::Sha256),
        layout::tags(&name(CACHED)),
    ] {
        if driver.list(&path).await.is_ok_and(|listing| !listing.entries.is_empty()) {
            return Err(format!("{path} is still there"));
        }
    }
    match driver.stat(&layout::eviction_pending()).await {
        Ok(_) => Err("something is still to be deleted".to_owned()),
        Err(_) => Ok(()),
    }
}

fn is_missed(safeguard: Break, push: Push) {
    BROKEN.set(Some(safeguard));
    let outcome = explore(&Evicting::<1, 0>(push));
    BROKEN.set(None);
    assert!(outcome.violation.is_some(), "{push:?} without {safeguard:?} is not missed");
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn what_is_evicted_is_mounted() {
    holds("evicted, mounting", &Evicting::<1, 0>(Push::AfterMounting));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn what_is_evicted_is_sent() {
    holds("evicted, sending", &Evicting::<1, 0>(Push::AfterSending));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn an_eviction_that_is_killed() {
    holds("evicted, killed, mounting", &Evicting::<0, 1>(Push::AfterMounting));
}

#[test]
#[ignore = "takes minutes; .ci/run has a stage for it"]
fn each_safeguard_of_an_eviction_is_missed() {
    is_missed(Break::NewLinks, Push::AfterMounting);
    is_missed(Break::YoungPins, Push::AfterSending);
    is_missed(Break::Pinning, Push::AfterMounting);
}
