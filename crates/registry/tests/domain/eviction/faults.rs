//! An eviction that is cut short anywhere.

use storage::faulty::{Fault, Faulty};

use super::*;
use crate::support::files;

async fn prepare(driver: Arc<dyn Driver>) -> Arc<Registry> {
    let registry = server(&driver);
    fetch(&registry, "cache/a", "v1").await;
    fetch(&registry, "cache/a", "v2").await;
    fetch_with(&registry, "own/app", "v1", &layer_of("own")).await;
    registry
}

/// Nothing that was not to go is missing, nothing is left for ever, and the next one finishes.
#[tokio::test(start_paused = true)]
async fn the_next_one_finishes() {
    let trial = Faulty::new(Arc::new(Memory::new()));
    let registry = prepare(Arc::new(trial.clone())).await;
    let first = trial.operations();
    evict(&registry, room_for(1)).await;
    let last = trial.operations();
    assert!(last - first > 15, "{first} to {last}");
    for operation in first..last {
        for fault in Fault::ALL {
            let inner: Arc<dyn Driver> = Arc::new(Memory::new());
            let faulty = Faulty::new(Arc::clone(&inner));
            let registry = prepare(Arc::new(faulty.clone())).await;
            faulty.fail_at(operation, fault);
            // It may have got along with it.
            let outcome = Eviction::new(registry, room_for(1)).run().await;
            let at = format!("{:?} {outcome:?}", faulty.hit());
            let registry = server(&inner);
            assert_whole(&registry, "own/app").await;
            let reference = Reference::Tag(tag("v2"));
            let stays = registry.get_manifest(&name("cache/a"), &reference).await;
            assert!(stays.is_ok(), "{at}");

            let report = evict(&registry, room_for(1)).await;
            assert_eq!((report.problems_total, report.above_max), (0, false), "{at} {report:?}");
            assert_eq!(tags(&registry, "own/app").await, ["v1"], "{at}");
            for repository in ["cache/a", "own/app"] {
                assert_whole(&registry, repository).await;
            }
            let report = evict(&registry, options(Lifetime::Unlimited)).await;
            assert_eq!((report.pending_blobs, report.deleted.blobs), (0, 0), "{at} {report:?}");
            // What nothing leads to is gone: of the data there is what links lead to.
            let blobs = files(&*inner, "/docker/registry/v2/blobs").await;
            let links = files(&*inner, "/docker/registry/v2/repositories").await;
            for blob in &blobs {
                let hex = blob.trim_end_matches("/data").rsplit('/').next().unwrap();
                let is_linked = links.iter().any(|link| link.contains(hex));
                assert!(is_linked, "{at}: nothing leads to {blob}");
            }
            let left = files(&*inner, "/wharf/v1/eviction").await;
            assert_eq!(left, ["/wharf/v1/eviction/last"], "{at}");
        }
    }
}
