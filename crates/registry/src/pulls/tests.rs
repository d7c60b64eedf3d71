use std::sync::Arc;

use oci::{Algorithm, Digest, Tag};
use storage::Driver;
use storage::memory::Memory;

use super::*;
use crate::claims::{Claims, Clock, Timing};
use crate::{Options, layout};

fn name() -> RepositoryName {
    RepositoryName::parse("team/app").unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// A server whose clock says that it is so many minutes after the beginning.
fn server(driver: &Arc<dyn Driver>, minutes: u32) -> Registry {
    let options = Options { record_pulls: true, ..Options::default() };
    let mut registry = Registry::new(Arc::clone(driver), options);
    set_clock(&mut registry, minutes);
    registry
}

fn set_clock(registry: &mut Registry, minutes: u32) {
    let now = UNIX_EPOCH + Duration::from_secs(60 * u64::from(BEGINNING + minutes));
    let clock = Clock::Of(now, tokio::time::Instant::now());
    let timing = Timing::of(&**registry.driver());
    registry.claims = Claims::new(&**registry.driver(), Duration::ZERO).with_clock(clock, timing);
}

const BEGINNING: u32 = 20_000 * 24 * 60;
const DAY: u32 = 24 * 60;

/// When a tag was last pulled, in minutes after the beginning, by a server that only reads.
async fn pulled(driver: &Arc<dyn Driver>, text: &str, digest: Option<Digest>) -> Option<u32> {
    let times = server(driver, 0).pulls_of(&name()).await.unwrap();
    let time = times.of_tag(&tag(text), digest)?;
    Some(minute_of(time) - 1 - RESOLUTION_MINUTES - BEGINNING)
}

fn drivers() -> Vec<Arc<dyn Driver>> {
    let (replica, _) = objects::testing::replicas();
    vec![Arc::new(Memory::new()), Arc::new(replica)]
}

#[tokio::test(start_paused = true)]
async fn the_latest_pull_by_any_server_counts_and_survives_them() {
    for driver in drivers() {
        assert_eq!(pulled(&driver, "v1", None).await, None);
        let (mut one, two) = (server(&driver, 0), server(&driver, 50));
        let digest = Digest::of(Algorithm::Sha256, b"manifest");
        one.note_pull(&name(), &Reference::Tag(tag("v1")));
        one.flush_pulls().await.unwrap();
        assert_eq!(pulled(&driver, "v1", None).await, Some(0));
        // It was never pulled since it is noted.
        assert_eq!(pulled(&driver, "v2", None).await, Some(0));
        two.note_pull(&name(), &Reference::Tag(tag("v1")));
        two.note_pull(&name(), &Reference::Digest(digest));
        two.flush_pulls().await.unwrap();
        set_clock(&mut one, 30);
        one.note_pull(&name(), &Reference::Tag(tag("v1")));
        one.note_pull(&name(), &Reference::Tag(tag("v3")));
        one.flush_pulls().await.unwrap();
        assert_eq!(pulled(&driver, "v1", None).await, Some(50));
        assert_eq!(pulled(&driver, "v3", None).await, Some(30));
        assert_eq!(pulled(&driver, "v2", Some(digest)).await, Some(50));
        // What was not written down when a server was killed is lost, and nothing else.
        two.note_pull(&name(), &Reference::Tag(tag("v2")));
        drop(two);
        assert_eq!(pulled(&driver, "v2", None).await, Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_noted_lately_is_not_noted_again() {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let mut registry = server(&driver, 0);
    let mut at = async |minutes: u32| {
        set_clock(&mut registry, minutes);
        registry.note_pull(&name(), &Reference::Tag(tag("v1")));
        registry.flush_pulls().await.unwrap();
        pulled(&driver, "v1", None).await.unwrap()
    };
    assert_eq!(at(0).await, 0);
    assert_eq!(at(RESOLUTION_MINUTES - 1).await, 0);
    assert_eq!(at(RESOLUTION_MINUTES).await, RESOLUTION_MINUTES);
}

#[tokio::test(start_paused = true)]
async fn files_of_earlier_days_are_put_together() {
    for driver in drivers() {
        for day in 0..4 {
            for (text, minute) in [("v1", 1), ("v2", 2)] {
                let registry = server(&driver, day * DAY + minute);
                registry.note_pull(&name(), &Reference::Tag(tag(text)));
                registry.flush_pulls().await.unwrap();
            }
        }
        let registry = server(&driver, 3 * DAY + 5);
        let count = async || times::files(&*driver, &layout::pulls(&name())).await.unwrap().len();
        assert_eq!(count().await, 8);
        let before = (pulled(&driver, "v1", None).await, pulled(&driver, "v2", None).await);
        registry.merge_pulls(&name(), BEGINNING).await.unwrap();
        assert_eq!(count().await, 5);
        let after = (pulled(&driver, "v1", None).await, pulled(&driver, "v2", None).await);
        assert_eq!((before, after), ((Some(3 * DAY + 1), Some(3 * DAY + 2)), before));
        // What nobody asks for any more is dropped.
        let registry = server(&driver, 9 * DAY);
        registry.merge_pulls(&name(), BEGINNING + 3 * DAY + 2).await.unwrap();
        assert_eq!(count().await, 1);
        assert_eq!(pulled(&driver, "v1", None).await, Some(1));
        assert_eq!(pulled(&driver, "v2", None).await, Some(3 * DAY + 2));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_it_is_not_known_what_was_pulled() {
    let driver: Arc<dyn Driver> = Arc::new(Memory::new());
    let registry = server(&driver, 1);
    registry.note_pull(&name(), &Reference::Tag(tag("v1")));
    registry.flush_pulls().await.unwrap();
    registry.end_pulls().await.unwrap();
    assert_eq!(pulled(&driver, "v1", None).await, None);
    server(&driver, 77).flush_pulls().await.unwrap();
    assert_eq!(pulled(&driver, "v1", None).await, Some(77));
    // A note that can't be read is none, and replaced.
    driver.put(&layout::pulls_since(), "x".into()).await.unwrap();
    assert_eq!(pulled(&driver, "v1", None).await, None);
    server(&driver, 99).flush_pulls().await.unwrap();
    assert_eq!(pulled(&driver, "v1", None).await, Some(99));
}

#[test]
fn memory_is_bounded_and_what_is_written_makes_room() {
    let pulls = Pulls::default();
    let count = || pulls.shards.iter().map(|shard| shard.read().unwrap().len()).sum::<usize>();
    let note = |number: usize, minute| {
        pulls.note(&name(), &Reference::Tag(tag(&format!("t{number}"))), minute);
    };
    (0..PULLS_NOTED_MAX + 10_000).for_each(|number| note(number, 1));
    assert!(count() <= PULLS_NOTED_MAX);
    assert!(pulls.lost.load(Ordering::Relaxed) >= 10_000);
    for shard in &pulls.shards {
        for noted in shard.read().unwrap().values() {
            noted.written.store(1, Ordering::Relaxed);
        }
    }
    let lost = pulls.lost.load(Ordering::Relaxed);
    (0..10_000).for_each(|number| note(number + PULLS_NOTED_MAX + 20_000, 2));
    assert_eq!(pulls.lost.load(Ordering::Relaxed), lost);
}

#[test]
fn a_file_is_read_again_as_far_as_it_goes() {
    let digest = Digest::of(Algorithm::Sha512, b"x");
    let minutes = file::Minutes::from([
        (Reference::Tag(tag("v1")), 5),
        (Reference::Digest(digest), 7),
        (Reference::Tag(tag("v2")), 6),
    ]);
    assert_eq!(file::decode(&file::encode(&minutes, 10)), minutes);
    // The oldest goes first.
    let two = file::decode(&file::encode(&minutes, 2));
    assert!(two.len() == 2 && !two.contains_key(&Reference::Tag(tag("v1"))));
    let torn = b"wharf pulls 1\n5 v1\nx v2\n\xff\n7 v3\n8 v1\n9";
    assert_eq!(
        file::decode(torn),
        file::Minutes::from([(Reference::Tag(tag("v1")), 8), (Reference::Tag(tag("v3")), 7),])
    );
    assert!(file::decode(b"wharf pulls 2\n5 v1\n").is_empty());
}
