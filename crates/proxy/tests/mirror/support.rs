//! A mirror in front of a storage, and short ways to pull from it.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::{Algorithm, Digest, Reference, RepositoryName};
use proxy::{
    Covering, Credentials, Mirror, MirrorError, NameRules, Policy, Served, TlsOptions, Upstream,
    UpstreamOptions,
};
use registry::{Blob, Options, Registry, StoredManifest};
use serde_json::json;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, EntryKind, StoragePath};

use crate::fake::FakeRegistry;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The repository at the upstream; it is `up/app` here.
pub(crate) const THERE: &str = "app";

/// So long is waited for what is to happen.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

/// An image without layers, told from others by its mark.
pub(crate) fn image(mark: &str) -> Vec<u8> {
    let config = sha256(b"{}").to_string();
    let config = json!({ "mediaType": "application/test", "digest": config, "size": 2 });
    let image = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [],
        "annotations": { "mark": mark },
    });
    image.to_string().into_bytes()
}

/// A storage.
pub(crate) struct Store {
    pub(crate) label: &'static str,
    pub(crate) registry: Arc<Registry>,
    _directory: Option<tempfile::TempDir>,
}

impl Store {
    pub(crate) fn of(label: &'static str, driver: Arc<dyn Driver>) -> Self {
        let registry = Arc::new(Registry::new(driver, Options::default()));
        Self { label, registry, _directory: None }
    }

    pub(crate) fn memory() -> Self {
        Self::of("memory", Arc::new(Memory::new()))
    }

    fn filesystem() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = Filesystem::open(FilesystemOptions::new(directory.path())).unwrap();
        Self { _directory: Some(directory), ..Self::of("filesystem", Arc::new(driver)) }
    }

    pub(crate) async fn objects() -> Self {
        let objects = objects::testing::replicas().0;
        objects.probe(false).await.unwrap();
        Self::of("objects", Arc::new(objects))
    }

    /// One of each kind.
    pub(crate) async fn each() -> [Self; 3] {
        [Self::filesystem(), Self::memory(), Self::objects().await]
    }

    /// Every file.
    pub(crate) async fn files(&self) -> Vec<String> {
        let driver = self.registry.driver();
        let (mut found, mut todo) = (Vec::new(), vec![StoragePath::root()]);
        while let Some(path) = todo.pop() {
            let Ok(listing) = driver.list(&path).await else { continue };
            for entry in listing.entries {
                let path = path.join(&entry.name).unwrap();
                match entry.kind {
                    EntryKind::Directory => todo.push(path),
                    EntryKind::File => found.push(path.to_string()),
                }
            }
        }
        found
    }

    /// Nothing was kept, and nothing is left of what was begun.
    pub(crate) async fn assert_empty(&self) {
        let started = Instant::now();
        loop {
            let files = self.files().await;
            if files.is_empty() {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{}: {files:?}", self.label);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a test wants of its mirror.
pub(crate) struct Setup {
    pub(crate) endpoints: Vec<String>,
    pub(crate) policy: Policy,
    pub(crate) names: NameRules,
    pub(crate) timeout: Duration,
    pub(crate) unattended: Duration,
}

impl Setup {
    pub(crate) fn of(endpoints: &[&FakeRegistry]) -> Self {
        Self {
            endpoints: endpoints.iter().map(|fake| fake.url()).collect(),
            policy: Policy::default(),
            names: NameRules::default(),
            timeout: Duration::from_secs(20),
            unattended: Duration::from_secs(300),
        }
    }

    /// An upstream that can't be reached.
    pub(crate) fn unreachable() -> Self {
        Self { endpoints: vec!["http://127.0.0.1:1".to_owned()], ..Self::of(&[]) }
    }

    pub(crate) fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    pub(crate) fn offline(self) -> Self {
        self.policy(Policy { offline: true, ..Policy::default() })
    }

    pub(crate) fn over(self, store: &Store) -> Pulling {
        let upstream = Upstream::new(UpstreamOptions {
            name: "up".to_owned(),
            endpoints: self.endpoints.iter().map(|url| url.parse().unwrap()).collect(),
            credentials: Credentials::Anonymous,
            tls: TlsOptions::default(),
            names: self.names,
            answer_timeout: self.timeout,
            body_idle_timeout: self.timeout,
        });
        let covering = Covering {
            upstream: Arc::new(upstream.unwrap()),
            prefix: "up".to_owned(),
            namespaces: Vec::new(),
            policy: self.policy,
        };
        let registry = Arc::clone(&store.registry);
        let mirror = Mirror::new(registry, vec![covering], Vec::new(), self.unattended).unwrap();
        Pulling { mirror: Arc::new(mirror), name: name("up/app") }
    }
}

/// A client of the mirror.
#[derive(Clone)]
pub(crate) struct Pulling {
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) name: RepositoryName,
}

macro_rules! mirrored {
    ($pulling:expr) => {
        $pulling.mirror.repository(&$pulling.name, None, true).unwrap()
    };
}
pub(crate) use mirrored;

impl Pulling {
    pub(crate) async fn open(&self, digest: &Digest) -> Result<Blob, MirrorError> {
        mirrored!(self).open_blob(digest).await
    }

    /// All bytes of a blob, which are expected to come.
    pub(crate) async fn blob(&self, digest: &Digest) -> Vec<u8> {
        let (bytes, error) = read(&self.open(digest).await.unwrap()).await;
        assert_eq!(error, None);
        bytes
    }

    pub(crate) async fn get(&self, of: &str) -> Result<Served<StoredManifest>, MirrorError> {
        mirrored!(self).manifest(&reference(of)).await
    }

    /// The digest of a manifest that is up to date.
    pub(crate) async fn digest(&self, of: &str) -> Digest {
        let served = self.get(of).await.unwrap();
        assert_eq!(served.stale, None);
        served.content.digest
    }

    pub(crate) async fn head(&self, of: &str) -> Result<Served<proxy::Head>, MirrorError> {
        mirrored!(self).head_manifest(&reference(of)).await
    }

    pub(crate) async fn has(&self, digest: &Digest) -> bool {
        mirrored!(self).has_blob(digest).await.unwrap()
    }

    /// Waits until nothing is being fetched.
    pub(crate) async fn landed(&self) {
        let started = Instant::now();
        while self.mirror.counts().fetches.in_flight > 0 {
            assert!(started.elapsed() < PATIENCE, "the fetch has no end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A part of a blob, and why it ended early.
pub(crate) async fn read_part(blob: &Blob, range: Range<u64>) -> (Vec<u8>, Option<String>) {
    let mut bytes = Vec::new();
    let mut pieces = Arc::clone(&blob.object).stream(range);
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error.to_string())),
        }
    }
    (bytes, None)
}

pub(crate) async fn read(blob: &Blob) -> (Vec<u8>, Option<String>) {
    read_part(blob, 0..blob.object.size_bytes()).await
}

/// The first piece of a blob that is just coming.
pub(crate) async fn first_piece(blob: &Blob) -> Bytes {
    let mut pieces = Arc::clone(&blob.object).stream(0..blob.object.size_bytes());
    pieces.next().await.unwrap().unwrap()
}

/// Lets the clock go twenty-five times as fast while this is done.
pub(crate) async fn hurried<T>(work: impl Future<Output = T>) -> T {
    tokio::time::pause();
    let clock = async {
        loop {
            // In a thread, as the clock jumps whenever there is nothing else to do.
            let wait = || std::thread::sleep(Duration::from_millis(10));
            tokio::task::spawn_blocking(wait).await.unwrap();
            tokio::time::advance(Duration::from_millis(250)).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = clock => unreachable!("the clock does not stop"),
    };
    tokio::time::resume();
    done
}
