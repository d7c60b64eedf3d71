//! A check of a registry that is being used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use oci::MediaType;
use registry::check::{CheckOptions, Severity};
use registry::{Check, Options, Registry, layout};
use storage::Driver;
use storage::observed::{self, Action, Observed, Observer};

use super::fixture::{CONFIG, LAYER, REPOSITORY, Volume, image_of, push_whole};
use crate::support::{chunk, name, push, push_blob, sha256, tag};

#[tokio::test]
async fn a_push_that_is_on_its_way_is_no_fault() {
    for volume in Volume::each().await {
        let registry = volume.registry();
        // A blob whose manifest is still to come, and an upload in the middle.
        push_blob(&registry, "new/image", b"fresh").await;
        let upload = registry.start_upload(&name("new/image"), None).await.unwrap();
        registry.append_upload(&name("new/image"), &upload.id, chunk("more")).await.unwrap();
        // Between the two stages of a push by tag.
        let note = layout::tag_index(&name(REPOSITORY), &tag("next"), &volume.image);
        volume.write(&note, volume.image.to_string()).await;
        // Between the data of a blob and its link.
        volume.write(&layout::blob_data(&sha256(b"unlinked")), "unlinked").await;
        for repair in [false, true] {
            let options = CheckOptions { repair, ..CheckOptions::default() };
            let report = volume.check_with(options).await;
            assert!(report.is_whole(), "{report:#?}");
            assert!(report.findings.iter().all(|g| g.severity == Severity::Note), "{report:#?}");
            assert_eq!(report.mended, 0, "{report:#?}");
        }
        registry
            .commit_upload(&name("new/image"), &upload.id, &sha256(b"more"), chunk(""))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushes_and_deletions_beside_it_are_no_faults() {
    for volume in Volume::each().await.into_iter().take(2) {
        let volume = Arc::new(volume);
        let ends = Arc::new(AtomicBool::new(false));
        let pushing: Vec<_> = (0..3)
            .map(|worker| {
                let (volume, ends) = (Arc::clone(&volume), Arc::clone(&ends));
                tokio::spawn(async move {
                    let registry = volume.registry();
                    let repository = format!("busy/{worker}");
                    let mut round = 0_u32;
                    while !ends.load(Ordering::Relaxed) {
                        let layer = format!("layer {worker} {round}");
                        let layers: [&[u8]; 2] = [layer.as_bytes(), LAYER];
                        let digest =
                            push_whole(&registry, &repository, "latest", CONFIG, &layers).await;
                        if round.is_multiple_of(3) {
                            registry.delete_manifest(&name(&repository), &digest).await.unwrap();
                        }
                        if round.is_multiple_of(2) {
                            registry
                                .delete_blob(&name(&repository), &sha256(layer.as_bytes()))
                                .await
                                .unwrap();
                            push_blob(&registry, &repository, layer.as_bytes()).await;
                        }
                        round += 1;
                        // So that the check is done some time.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    round
                })
            })
            .collect();
        for round in 0..40 {
            let options = CheckOptions { repair: round % 2 == 0, ..CheckOptions::default() };
            let report = volume.check_with(options).await;
            // A blob that was deleted and is pushed again may be missed for a moment, and that is so.
            let is_a_gap = |path: &str| path.contains("/busy/");
            for group in report.findings.iter().filter(|g| g.severity != Severity::Note) {
                assert!(
                    group.kind == registry::check::Kind::LayerLinkMissing
                        && group.listed.iter().all(|f| is_a_gap(&f.path)),
                    "{report:#?}"
                );
            }
        }
        ends.store(true, Ordering::Relaxed);
        for pushing in pushing {
            assert!(pushing.await.unwrap() > 0);
        }
        let report = volume.repair().await;
        assert!(report.is_whole(), "{report:#?}");
    }
}

/// Pushes the image under the tag `moved`; whether that was acknowledged.
async fn has_pushed(registry: &Registry) -> bool {
    for content in [CONFIG, LAYER] {
        push_blob(registry, REPOSITORY, content).await;
    }
    let content = image_of(CONFIG, &[LAYER]);
    push(registry, REPOSITORY, "moved", MediaType::OciManifest, &content).await.is_ok()
}

/// Lets a push happen, from its beginning to its end, in the middle of somebody else's work: behind
/// the operation of this number.
#[derive(Debug)]
struct Between {
    operation: usize,
    so_far: AtomicUsize,
    is_acknowledged: AtomicBool,
    driver: Arc<dyn Driver>,
}

impl Observer for Between {
    fn observed(&self, _: Action, _: Duration, _: observed::Outcome) {
        if self.so_far.fetch_add(1, Ordering::SeqCst) != self.operation {
            return;
        }
        let registry = Registry::new(Arc::clone(&self.driver), Options::default());
        let push = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(has_pushed(&registry))
        };
        // That something is not there just now is an answer, too.
        let is_acknowledged = std::thread::spawn(push).join().unwrap();
        self.is_acknowledged.store(is_acknowledged, Ordering::SeqCst);
    }
}

/// As above, with the push at each moment there is.
#[tokio::test]
async fn a_repair_keeps_what_is_pushed_between_any_two_of_its_steps() {
    let layer = sha256(LAYER);
    let repository = name(REPOSITORY);
    for broken in [
        layout::blob_data(&layer),
        layout::layer_link(&repository, &layer),
        layout::tag_current(&repository, &tag("moved")),
    ] {
        for operation in 0.. {
            let volume = Volume::in_memory().await;
            volume.write(&broken, "torn and of another size").await;
            let driver = Arc::clone(&volume.driver);
            let (so_far, is_acknowledged) = (AtomicUsize::new(0), AtomicBool::new(false));
            let between = Arc::new(Between { operation, so_far, is_acknowledged, driver });
            let observer: Arc<dyn Observer> = between.clone();
            let watched = Observed::new(Arc::clone(&volume.driver), Some(observer));
            let options = CheckOptions { repair: true, concurrency: 1, ..CheckOptions::default() };
            Check::new(Arc::new(watched), options).run().await.unwrap();
            if between.so_far.load(Ordering::SeqCst) <= operation {
                assert!(operation > 50, "{operation}");
                break;
            }
            if !between.is_acknowledged.load(Ordering::SeqCst) {
                assert!(has_pushed(&volume.registry()).await, "{broken} {operation}");
            }
            println!("a push behind operation {operation} of the repair of {broken}");
            volume.pull("moved").await;
        }
    }
}

/// Whatever is mended at the same moment by a push and by a check, what the push has acknowledged is
/// there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repair_never_takes_away_what_a_push_has_just_mended() {
    let volumes = Volume::each().await;
    // Moving a file is one step there, and not a copy and a deletion.
    for volume in volumes.into_iter().take(2) {
        let (repository, layer) = (name(REPOSITORY), sha256(LAYER));
        for round in 0..60 {
            let broken = match round % 4 {
                0 => layout::tag_current(&repository, &tag("moved")),
                1 => layout::layer_link(&repository, &layer),
                2 => layout::revision_link(&repository, &volume.image),
                _ => layout::blob_data(&layer),
            };
            volume
                .write(&broken, if round % 4 == 3 { "torn and of another size" } else { "" })
                .await;
            let registry = volume.registry();
            let push = async {
                for _ in 0..round % 7 {
                    tokio::task::yield_now().await;
                }
                // It may be told that something is not there at the moment, and is repeated then.
                while !has_pushed(&registry).await {}
            };
            tokio::join!(push, volume.repair());
            volume.pull("moved").await;
        }
    }
}
