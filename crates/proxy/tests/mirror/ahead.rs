//! Fetching ahead of clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::Digest;
use proxy::limits::{PREFETCH_CONCURRENCY, PREFETCH_QUEUE};
use proxy::{Policy, Prefetch, PrefetchCounts};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake::{Act, FakeRegistry};
use crate::support::{
    OCI_INDEX, OCI_MANIFEST, Pulling, Setup, Store, THERE, content, first_piece, read,
};

const SIZE: usize = 100_000;

/// Who fetches ahead, until told to stop.
struct Fetching(oneshot::Sender<()>, JoinHandle<()>);

impl Fetching {
    fn begin(pulling: &Pulling) -> Self {
        Self::begin_if(pulling, true)
    }

    fn begin_if(pulling: &Pulling, may_store: bool) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let mirror = Arc::clone(&pulling.mirror);
        Self(stop, tokio::spawn(mirror.fetch_ahead(move || may_store, stopped)))
    }

    async fn end(self) {
        let _ = self.0.send(());
        self.1.await.unwrap();
    }
}

fn counts(pulling: &Pulling) -> PrefetchCounts {
    pulling.mirror.counts().ahead
}

/// Waits until so many have had their turn, and returns how that went.
async fn had_their_turn(pulling: &Pulling, parts: u64) -> PrefetchCounts {
    let started = Instant::now();
    loop {
        let counts = counts(pulling);
        let PrefetchCounts { fetched, present, skipped, failed, .. } = counts;
        if fetched + present + skipped + failed >= parts && counts.waiting == 0 {
            assert_eq!(fetched + present + skipped + failed, parts, "{counts:?}");
            return counts;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{counts:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn with(prefetch: Prefetch) -> Policy {
    Policy { prefetch, ..Policy::default() }
}

fn described(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

/// What is behind a tag of the fake registry.
struct Image {
    manifest: Digest,
    parts: Vec<Digest>,
    size_bytes: usize,
}

/// Puts an image into the registry whose layers begin with these bytes; the configuration as well.
fn put_image(fake: &FakeRegistry, tag: Option<&str>, marks: &[u8]) -> Image {
    let blob = |mark: &u8| fake.put_blob(THERE, &[&[*mark][..], &content(SIZE)].concat());
    let parts: Vec<Digest> = marks.iter().map(blob).collect();
    let described: Vec<_> =
        parts.iter().map(|digest| described("application/test", digest, SIZE + 1)).collect();
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": crate::support::sha256(b"elsewhere").to_string(), "size": 9,
    });
    let layers: Vec<_> = described[1..].iter().chain([&foreign]).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described[0], "layers": layers,
    });
    let manifest = manifest.to_string().into_bytes();
    let size_bytes = marks.len() * (SIZE + 1);
    Image { manifest: fake.put_manifest(THERE, tag, OCI_MANIFEST, &manifest), parts, size_bytes }
}

fn put_index(fake: &FakeRegistry, tag: &str, images: &[&Image]) -> Digest {
    let children: Vec<_> =
        images.iter().map(|image| described(OCI_MANIFEST, &image.manifest, 400)).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    fake.put_manifest(THERE, Some(tag), OCI_INDEX, index.to_string().as_bytes())
}

async fn has_all(pulling: &Pulling, image: &Image) -> bool {
    for part in &image.parts {
        if !pulling.has(part).await {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn the_layers_of_an_image_come_without_being_asked_for_and_once() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let one = put_image(&fake, Some("one"), &[0, 1, 2]);
        let other = put_image(&fake, Some("other"), &[3, 1, 2]);
        let pulling = Setup::of(&[&fake]).policy(with(Prefetch::Layers)).over(&store);
        let fetching = Fetching::begin(&pulling);
        // Nothing is fetched because of a HEAD.
        assert_eq!(pulling.head("one").await.unwrap().content.digest, one.manifest);
        assert_eq!(counts(&pulling), PrefetchCounts::default());
        pulling.digest("one").await;
        let counted = had_their_turn(&pulling, 3).await;
        let fetched_bytes = one.size_bytes as u64;
        let expected = PrefetchCounts { fetched: 3, fetched_bytes, ..PrefetchCounts::default() };
        assert_eq!(counted, expected, "{}", store.label);
        assert!(has_all(&pulling, &one).await, "{}", store.label);
        // No client asked for them.
        let blobs = pulling.mirror.counts().blobs;
        assert_eq!((blobs.hits, blobs.misses, blobs.pushed_bytes), (0, 0, 0));
        pulling.digest("other").await;
        let counted = had_their_turn(&pulling, 6).await;
        assert_eq!((counted.fetched, counted.present), (4, 2), "{}", store.label);
        assert!(has_all(&pulling, &other).await);
        assert_eq!(fake.count("GET /v2/app/blobs/"), 4, "{}", store.label);
        // What is here leads to nothing.
        pulling.digest("one").await;
        assert_eq!(had_their_turn(&pulling, 6).await.fetched, 4);
        fetching.end().await;
    }
}

#[tokio::test]
async fn of_an_index_everything_or_what_a_client_chose() {
    for (prefetch, parts) in [(Prefetch::Nothing, 0), (Prefetch::Layers, 2), (Prefetch::All, 6)] {
        let fake = FakeRegistry::start().await;
        let images = [put_image(&fake, None, &[0, 1]), put_image(&fake, None, &[2, 3])];
        put_index(&fake, "index", &[&images[0], &images[1]]);
        let pulling = Setup::of(&[&fake]).policy(with(prefetch)).over(&Store::memory());
        let fetching = Fetching::begin(&pulling);
        pulling.digest("index").await;
        if prefetch == Prefetch::All {
            had_their_turn(&pulling, parts).await;
        }
        pulling.digest(&images[0].manifest.to_string()).await;
        let counted = had_their_turn(&pulling, parts).await;
        assert_eq!(counted.fetched, parts, "{prefetch:?}");
        assert_eq!(has_all(&pulling, &images[0]).await, prefetch != Prefetch::Nothing);
        assert_eq!(has_all(&pulling, &images[1]).await, prefetch == Prefetch::All);
        fetching.end().await;
        // All of it is here.
        if prefetch == Prefetch::All {
            let asked = fake.seen().len();
            pulling.digest(&images[1].manifest.to_string()).await;
            pulling.blob(&images[1].parts[1]).await;
            assert_eq!(fake.seen().len(), asked);
        }
    }
}

#[tokio::test]
async fn a_client_joins_what_is_fetched_ahead() {
    let fake = FakeRegistry::start().await;
    let image = put_image(&fake, Some("one"), &[0, 1]);
    let layer = image.parts[1];
    fake.fail(
        &format!("GET /v2/app/blobs/{layer}"),
        1,
        Act::Pace(SIZE / 2, Duration::from_millis(200)),
    );
    let pulling = Setup::of(&[&fake]).policy(with(Prefetch::Layers)).over(&Store::memory());
    let fetching = Fetching::begin(&pulling);
    pulling.digest("one").await;
    fake.wait_for(&layer.to_string(), 1).await;
    assert_eq!(pulling.blob(&layer).await.len(), SIZE + 1);
    had_their_turn(&pulling, 2).await;
    assert_eq!(fake.count(&layer.to_string()), 1);
    assert_eq!(pulling.mirror.counts().fetches.joined, 1);
    fetching.end().await;
}

#[tokio::test]
async fn an_upstream_that_has_little_to_spare_is_left_alone() {
    let fake = FakeRegistry::start().await;
    let child = put_image(&fake, None, &[0]);
    put_index(&fake, "index", &[&child]);
    // Half of what it allows is the clients'.
    for (remaining, skipped) in [("50;w=60", 1), ("51;w=60", 0)] {
        fake.mend();
        for (name, value) in [("ratelimit-remaining", remaining), ("ratelimit-limit", "100;w=60")] {
            fake.fail("GET ", usize::MAX, Act::Header(name, value.to_owned()));
            fake.fail("HEAD ", usize::MAX, Act::Header(name, value.to_owned()));
        }
        let pulling = Setup::of(&[&fake]).policy(with(Prefetch::All)).over(&Store::memory());
        let fetching = Fetching::begin(&pulling);
        pulling.digest("index").await;
        let counted = had_their_turn(&pulling, if skipped == 1 { 1 } else { 2 }).await;
        assert_eq!(counted.skipped, skipped, "{remaining}");
        fetching.end().await;
    }
    // And one that says so is not asked any more, for a while.
    fake.mend();
    let marks: Vec<u8> = (0..10).collect();
    put_image(&fake, Some("many"), &marks);
    fake.fail("GET /v2/app/blobs/", usize::MAX, Act::status(429));
    let pulling = Setup::of(&[&fake]).policy(with(Prefetch::Layers)).over(&Store::memory());
    let fetching = Fetching::begin(&pulling);
    pulling.digest("many").await;
    let counted = had_their_turn(&pulling, 10).await;
    let failed = PREFETCH_CONCURRENCY as u64;
    assert!((1..=failed).contains(&counted.failed), "{counted:?}");
    assert_eq!(counted.failed + counted.skipped, 10);
    fetching.end().await;
}

#[tokio::test]
async fn what_there_is_no_room_for_is_not_fetched() {
    let fake = FakeRegistry::start().await;
    let image = put_image(&fake, Some("one"), &[0, 1]);
    let size_bytes = image.size_bytes as u64;
    for (max, may_store, fetched) in
        [(size_bytes, true, 2), (size_bytes - 1, true, 0), (size_bytes, false, 0)]
    {
        let policy = Policy { prefetch_bytes_max: Some(max), ..with(Prefetch::Layers) };
        let pulling = Setup::of(&[&fake]).policy(policy).over(&Store::memory());
        let fetching = Fetching::begin_if(&pulling, may_store);
        pulling.digest("one").await;
        let counted = had_their_turn(&pulling, 2).await;
        assert_eq!((counted.fetched, counted.skipped), (fetched, 2 - fetched), "{max} {may_store}");
        fetching.end().await;
        // Nor is it because of who may keep nothing.
        let pulling = Setup::of(&[&fake]).policy(with(Prefetch::Layers)).over(&Store::memory());
        let passing = pulling.mirror.repository(&pulling.name, None, false).unwrap();
        passing.manifest(&crate::support::reference("one")).await.unwrap();
        assert_eq!(counts(&pulling), PrefetchCounts::default());
    }
}

#[tokio::test]
async fn what_is_too_much_is_dropped_and_counted() {
    let fake = FakeRegistry::start().await;
    let child = |at: usize| {
        described(OCI_MANIFEST, &crate::support::sha256(at.to_string().as_bytes()), 400)
    };
    let children: Vec<_> = (0..PREFETCH_QUEUE + 7).map(child).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    fake.put_manifest(THERE, Some("large"), OCI_INDEX, index.to_string().as_bytes());
    let pulling = Setup::of(&[&fake]).policy(with(Prefetch::All)).over(&Store::memory());
    pulling.digest("large").await;
    let counted = counts(&pulling);
    assert_eq!((counted.waiting, counted.dropped), (PREFETCH_QUEUE as u64, 7));
}

#[tokio::test]
async fn at_the_end_nothing_is_left_of_what_was_on_its_way() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let image = put_image(&fake, Some("one"), &[0, 1]);
        let [alone, wanted] = image.parts[..] else { unreachable!() };
        for (blob, act) in [
            (alone, Act::HangAt(SIZE / 2)),
            (wanted, Act::Pace(SIZE / 2, Duration::from_millis(400))),
        ] {
            fake.fail(&format!("GET /v2/app/blobs/{blob}"), 1, act);
        }
        let pulling = Setup::of(&[&fake]).policy(with(Prefetch::Layers)).over(&store);
        let fetching = Fetching::begin(&pulling);
        pulling.digest("one").await;
        fake.wait_for("/blobs/", 2).await;
        let blob = pulling.open(&wanted).await.unwrap();
        assert!(!first_piece(&blob).await.is_empty());
        let started = Instant::now();
        fetching.end().await;
        assert!(started.elapsed() < Duration::from_secs(5));
        // A client's own is brought to its end.
        let (bytes, error) = read(&blob).await;
        assert_eq!((bytes.len(), error), (SIZE + 1, None), "{}", store.label);
        pulling.landed().await;
        assert!(!pulling.has(&alone).await);
        assert!(pulling.has(&wanted).await);
        let left = store.files().await;
        assert!(!left.iter().any(|path| path.contains("_uploads")), "{}: {left:?}", store.label);
    }
}
