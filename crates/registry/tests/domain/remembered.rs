//! Lists that are remembered are those that the volume has, whoever changes it. Changes are made
//! beside the registry, by plain calls on files, as another process makes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oci::Digest;
use registry::{Options, Page, Registry};
use serde_json::json;
use storage::Observer;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::observed::{Action, Observed, Outcome};

use crate::support::{image, name, sha256};

const REPOSITORIES: [&str; 5] = ["a", "a/b", "a-b", "c/d/e", "big"];
const TAGS: [&str; 4] = ["1", "v1", "v2", "z"];
/// Enough for the listing to be followed.
const MANY_TAGS: usize = 300;

/// A volume, and someone who changes it.
struct Volume {
    _directory: tempfile::TempDir,
    root: PathBuf,
    subject: Digest,
    /// Manifests that lie in the volume; most have the subject.
    manifests: Vec<(Digest, Vec<u8>)>,
    random: u64,
}

impl Volume {
    /// None where changes can't be watched.
    #[expect(clippy::print_stdout, reason = "whoever runs the tests is to know")]
    fn new(seed: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        let driver = Filesystem::open(FilesystemOptions::new(&root)).unwrap();
        if storage::Driver::watcher(&driver).is_none() {
            println!("NOT RUN: changes can't be watched on this filesystem");
            return None;
        }
        let subject = sha256(b"subject");
        let manifests = (0..6).map(|number| {
            let of = json!({ "mediaType": "m", "digest": subject.to_string(), "size": 1 });
            let more = match number {
                0 => json!({ "annotations": { "subject": "none" } }),
                1 => json!({ "subject": of, "artifactType": "sbom" }),
                _ => json!({ "subject": of, "annotations": { "number": number.to_string() } }),
            };
            let content = image(&sha256(b"{}"), more).to_vec();
            (sha256(&content), content)
        });
        let manifests: Vec<_> = manifests.collect();
        let volume = Self { _directory: directory, root, subject, manifests, random: seed };
        // Some lack their data at first. That of others does not go: what a manifest says is
        // remembered by its digest, and only whether it is linked is looked up.
        for (digest, content) in &volume.manifests[..4] {
            write(&volume.data(digest), content);
        }
        Some(volume)
    }

    fn registry(&self) -> Registry {
        let driver = Filesystem::open(FilesystemOptions::new(&self.root)).unwrap();
        Registry::new(Arc::new(driver), Options::default())
    }

    /// One that remembers nothing.
    fn fresh_registry(&self) -> Registry {
        let options =
            FilesystemOptions { watch_changes: false, ..FilesystemOptions::new(&self.root) };
        let options_of_registry = Options { manifest_cache_entries: 0, ..Options::default() };
        Registry::new(Arc::new(Filesystem::open(options).unwrap()), options_of_registry)
    }

    fn repositories(&self) -> PathBuf {
        self.root.join("docker/registry/v2/repositories")
    }

    fn manifests_of(&self, repository: &str) -> PathBuf {
        self.repositories().join(repository).join("_manifests")
    }

    fn tag(&self, repository: &str, tag: &str) -> PathBuf {
        self.manifests_of(repository).join("tags").join(tag)
    }

    fn revision(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.manifests_of(repository).join("revisions/sha256").join(digest.hex())
    }

    fn data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
    }

    fn number(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 11).unwrap() % below
    }

    /// One change, of all kinds that anybody makes, and some that nobody should.
    fn change(&mut self) -> String {
        let repository = REPOSITORIES[self.number(REPOSITORIES.len())];
        let other = REPOSITORIES[self.number(REPOSITORIES.len())];
        let number = self.number(MANY_TAGS);
        let tag = if repository == "big" {
            format!("t{number}")
        } else {
            TAGS[number % TAGS.len()].to_owned()
        };
        let tag = &tag;
        let (digest, content) = self.manifests[number % self.manifests.len()].clone();
        let at = self.tag(repository, tag);
        let link = at.join("current/link");
        let revision = self.revision(repository, &digest);
        let text = digest.to_string();
        let kind = self.number(28);
        match kind {
            0..=4 => write(&link, text.as_bytes()),
            5..=6 => replace(&link, text.as_bytes()),
            7 => gone(&at),
            8 => gone(&link),
            9 => gone(&at.join("current")),
            10 => write(&link, b""),
            11 => write(&link, b"sha256:torn"),
            12 => moved(&at, &self.tag(repository, TAGS[0])),
            13 => moved(&at.join("current"), &at.join("aside")),
            14..=16 => write(&revision.join("link"), text.as_bytes()),
            // As Distribution deletes a manifest.
            17 => gone(&revision.join("link")),
            18 => gone(&revision),
            19 | 20 if number.is_multiple_of(10) => write(&self.data(&digest), &content),
            21 if number.is_multiple_of(3) => gone(&self.repositories().join(repository)),
            22 => moved(&self.repositories().join(repository), &self.repositories().join(other)),
            23 => {
                let manifests = self.manifests_of(repository);
                moved(&manifests, &manifests.with_file_name("_aside"));
            }
            24 => {
                let manifests = self.manifests_of(repository);
                moved(&manifests.with_file_name("_aside"), &manifests);
            }
            25 => write(&self.tag(repository, "file"), b"not a tag"),
            26 if number.is_multiple_of(4) => {
                symlink(self.tag(other, "v1"), self.tag(repository, "linked")).unwrap_or_default();
            }
            27 => gone(&self.tag(repository, "linked")),
            _ => {}
        }
        format!("change {kind} of {repository}:{tag}, {other}, {}", &text[..16])
    }

    fn fill(&self) {
        for number in 0..MANY_TAGS {
            let (digest, _) = &self.manifests[number % self.manifests.len()];
            let text = digest.to_string();
            write(&self.tag("big", &format!("t{number}")).join("current/link"), text.as_bytes());
            write(&self.revision("big", digest).join("link"), text.as_bytes());
        }
        for (at, repository) in REPOSITORIES.into_iter().enumerate() {
            let (digest, _) = &self.manifests[at];
            let text = digest.to_string();
            write(&self.tag(repository, "v1").join("current/link"), text.as_bytes());
            write(&self.revision(repository, digest).join("link"), text.as_bytes());
        }
    }

    /// Everything that can be asked.
    async fn lists(&self, registry: &Registry) -> Vec<String> {
        let page = |limit, last| Page { limit, last };
        let mut lists = Vec::new();
        for page in [page(None, None), page(Some(2), None), page(Some(2), Some("a"))] {
            let found = registry.list_repositories(page).await;
            lists.push(format!("repositories {page:?}: {found:?}"));
        }
        for repository in REPOSITORIES {
            let of = name(repository);
            for page in [page(None, None), page(Some(2), None), page(Some(20), Some("t2"))] {
                let found = registry.list_tags(&of, page).await;
                lists.push(format!("tags of {repository} {page:?}: {found:?}"));
            }
            for (artifact_type, page) in
                [(None, page(None, None)), (Some("sbom"), page(Some(9), None))]
            {
                let found = registry.list_referrers(&of, &self.subject, artifact_type, page).await;
                lists.push(format!("referrers in {repository} {artifact_type:?}: {found:?}"));
            }
        }
        lists
    }
}

/// As Distribution writes: in place.
fn write(path: &Path, content: &[u8]) {
    // Something of another kind may be in the way.
    fs::create_dir_all(path.parent().unwrap()).ok();
    fs::write(path, content).ok();
}

/// As wharf writes: under another name first.
fn replace(path: &Path, content: &[u8]) {
    let temporary = path.with_file_name("link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp");
    write(&temporary, content);
    fs::rename(temporary, path).ok();
}

fn gone(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).ok(),
        _ => fs::remove_file(path).ok(),
    };
}

fn moved(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).ok();
    fs::rename(from, to).ok();
}

#[track_caller]
fn assert_same(expected: &[String], found: &[String], why: &str) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found, "after {why}");
    }
}

#[tokio::test]
async fn after_each_change_the_lists_are_those_of_the_volume() {
    for seed in 1..=3 {
        let Some(mut volume) = Volume::new(seed) else { return };
        volume.fill();
        let registry = volume.registry();
        let mut changes = Vec::new();
        for _ in 0..250 {
            changes.push(volume.change());
            let why = format!("seed {seed}: {:?}", &changes[changes.len().saturating_sub(8)..]);
            let expected = volume.lists(&volume.fresh_registry()).await;
            // Derived, remembered, and recalled.
            for _ in 0..3 {
                assert_same(&expected, &volume.lists(&registry).await, &why);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_many_changes_under_way_the_lists_are_those_of_the_volume() {
    let Some(mut volume) = Volume::new(4) else { return };
    volume.fill();
    let registry = volume.registry();
    for round in 0..60 {
        let (changed, lists) = std::thread::scope(|scope| {
            let changer = scope.spawn(|| {
                let mut changer = Volume {
                    _directory: tempfile::tempdir().unwrap(),
                    root: volume.root.clone(),
                    manifests: volume.manifests.clone(),
                    ..volume
                };
                let changed: Vec<_> = (0..20).map(|_| changer.change()).collect();
                (changer.random, changed)
            });
            let lists = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let mut lists = 0;
                    while !changer.is_finished() {
                        lists += volume.lists(&registry).await.len();
                    }
                    lists
                })
            });
            (changer.join().unwrap(), lists)
        });
        volume.random = changed.0;
        let why = format!("round {round}, {lists} lists: {:?}", changed.1);
        let expected = volume.lists(&volume.fresh_registry()).await;
        for _ in 0..2 {
            assert_same(&expected, &volume.lists(&registry).await, &why);
        }
    }
}

/// Counts what is asked of the storage.
#[derive(Debug, Default)]
struct Counted {
    all: AtomicU64,
    lists: AtomicU64,
}

impl Observer for Counted {
    fn observed(&self, action: Action, _: Duration, _: Outcome) {
        self.all.fetch_add(1, Ordering::SeqCst);
        self.lists.fetch_add((action == Action::List).into(), Ordering::SeqCst);
    }
}

impl Counted {
    fn take(&self) -> (u64, u64) {
        (self.all.swap(0, Ordering::SeqCst), self.lists.swap(0, Ordering::SeqCst))
    }
}

fn counted(volume: &Volume) -> (Registry, Arc<Counted>) {
    let driver = Filesystem::open(FilesystemOptions::new(&volume.root)).unwrap();
    let counted = Arc::<Counted>::default();
    let observer = Arc::clone(&counted) as Arc<dyn Observer>;
    let driver = Arc::new(Observed::new(Arc::new(driver), Some(observer)));
    (Registry::new(driver, Options::default()), counted)
}

#[tokio::test]
async fn what_is_asked_again_asks_nothing_of_the_storage() {
    let Some(volume) = Volume::new(5) else { return };
    volume.fill();
    let (registry, counted) = counted(&volume);
    let first = volume.lists(&registry).await;
    assert!(counted.take().0 > 100);
    volume.lists(&registry).await;
    assert!(counted.take().0 > 100, "what is asked for once is not remembered");
    assert_same(&first, &volume.lists(&registry).await, "nothing");
    assert_eq!(counted.take(), (0, 0));
    // A push to a repository does not concern the catalog, nor other repositories.
    let (digest, _) = &volume.manifests[5];
    write(&volume.revision("a", digest).join("link"), digest.to_string().as_bytes());
    write(&volume.tag("a", "new").join("current/link"), digest.to_string().as_bytes());
    registry.list_repositories(Page::default()).await.unwrap();
    registry.list_tags(&name("a/b"), Page::default()).await.unwrap();
    assert_eq!(counted.take(), (0, 0));
    let tags = registry.list_tags(&name("a"), Page::default()).await.unwrap();
    assert_eq!(tags.names, ["new", "v1"]);
    assert!(counted.take().0 > 0);
}

#[tokio::test]
async fn a_large_listing_is_not_read_again_for_a_change() {
    let Some(volume) = Volume::new(6) else { return };
    volume.fill();
    let (registry, counted) = counted(&volume);
    let digest = volume.manifests[0].0;
    let page = Page { limit: Some(10), last: Some("t1") };
    let mut names = Vec::new();
    for number in 0..50 {
        let tag = format!("t1-{number:03}");
        write(&volume.tag("big", &tag).join("current/link"), digest.to_string().as_bytes());
        if number < 10 {
            names.push(tag);
        }
        if number == 3 {
            // By now it is followed, although it was changed within the last two seconds.
            counted.take();
        }
        let found = registry.list_tags(&name("big"), page).await.unwrap();
        assert_eq!(found.names[..names.len()], names);
    }
    assert_eq!(counted.take().1, 0);
}
