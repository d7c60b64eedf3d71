//! Registries, images and jobs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, Tag};
use proxy::{Credentials, NameRules, TlsOptions, Upstream, UpstreamOptions};
use registry::{Chunk, ManifestPush, Options, Registry, RepositoryPattern};
use serde_json::{Value, json};
use server::{App, ListenAddress, Listener, ServerOptions};
use storage::Driver;
use storage::memory::Memory;
use sync::{Direction, Job, NameMap, Pace, Platforms, RunReport, Selection, Synchronizer};
use tokio_util::sync::CancellationToken;

/// A registry that a job asks, and what is in it.
pub(crate) struct Remote {
    pub(crate) registry: Arc<Registry>,
    pub(crate) url: String,
}

impl Remote {
    pub(crate) async fn start() -> Self {
        let registry = registry();
        let listener = Listener::bind(&ListenAddress::tcp("127.0.0.1:0").unwrap()).await.unwrap();
        let url = format!("http://{}", listener.local_address().unwrap());
        let app = App::new(Arc::clone(&registry), ServerOptions::default());
        tokio::spawn(server::serve(listener, Arc::new(app), std::future::pending()));
        Self { registry, url }
    }

    pub(crate) fn client(&self) -> Arc<Upstream> {
        client(&self.url)
    }
}

pub(crate) fn client(url: &str) -> Arc<Upstream> {
    let options = UpstreamOptions {
        name: "remote".to_owned(),
        endpoints: vec![url.parse().unwrap()],
        credentials: Credentials::Anonymous,
        tls: TlsOptions::default(),
        names: NameRules::default(),
        answer_timeout: Duration::from_secs(20),
        body_idle_timeout: Duration::from_secs(20),
    };
    Arc::new(Upstream::new(options).unwrap())
}

pub(crate) fn registry() -> Arc<Registry> {
    registry_over(Arc::new(Memory::new()))
}

pub(crate) fn registry_over(driver: Arc<dyn Driver>) -> Arc<Registry> {
    Arc::new(Registry::new(driver, Options::default()))
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// A job that copies whatever these patterns name.
pub(crate) fn job(direction: Direction, patterns: &[&str]) -> Job {
    let repositories = patterns.iter().map(|p| RepositoryPattern::parse(p).unwrap()).collect();
    Job {
        name: "job".to_owned(),
        direction,
        selection: Selection { repositories, ..Selection::default() },
        names: NameMap::default(),
        platforms: Platforms::default(),
        referrers: false,
        pace: Pace::default(),
        concurrency: 2,
    }
}

pub(crate) fn from(remote: &Remote, patterns: &[&str]) -> Job {
    job(Direction::From(remote.client()), patterns)
}

pub(crate) fn to(remote: &Remote, patterns: &[&str]) -> Job {
    job(Direction::To(remote.client()), patterns)
}

pub(crate) async fn run(registry: &Arc<Registry>, job: &Job) -> RunReport {
    let synchronizer = Synchronizer::new(Arc::clone(registry), job.clone(), None);
    synchronizer.run(&CancellationToken::new()).await.unwrap()
}

/// Runs a job, which has to go well.
pub(crate) async fn copied(registry: &Arc<Registry>, job: &Job) -> RunReport {
    let report = run(registry, job).await;
    assert!(report.is_success(), "{report:?}");
    report
}

pub(crate) async fn push_blob(registry: &Registry, to: &str, content: &[u8]) -> Digest {
    let digest = sha256(content);
    let body = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(content))]));
    let chunk = Chunk { range: None, offset_bytes: None, content_length: None, body };
    registry.put_blob(&name(to), &digest, chunk).await.unwrap();
    digest
}

pub(crate) async fn push_manifest(
    registry: &Registry,
    to: &str,
    tag: Option<&str>,
    manifest: &Value,
) -> Digest {
    let content = Bytes::from(manifest.to_string());
    let digest = sha256(&content);
    let push = ManifestPush {
        reference: Reference::Digest(digest),
        tags: tag.map(|tag| Tag::parse(tag).unwrap()).into_iter().collect(),
        media_type: MediaType::from_content_type(manifest["mediaType"].as_str().unwrap()).unwrap(),
        content,
    };
    registry.put_manifest(&name(to), push).await.unwrap();
    digest
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({
        "mediaType": media_type, "digest": sha256(content).to_string(), "size": content.len(),
    })
}

/// An image of these layers, and its parts.
pub(crate) fn image(layers: &[&[u8]], subject: Option<&Value>) -> (Value, Vec<Vec<u8>>) {
    let config = format!(r#"{{"os":"linux","layers":{}}}"#, layers.len()).into_bytes();
    let list: Vec<_> = layers
        .iter()
        .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": list,
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
        manifest["artifactType"] = "application/x.signature".into();
        manifest["annotations"] = json!({"of": "a test"});
    }
    let parts = layers.iter().map(|layer| layer.to_vec()).chain([config]).collect();
    (manifest, parts)
}

/// Pushes an image.
pub(crate) async fn push_image(
    registry: &Registry,
    to: &str,
    tag: Option<&str>,
    layers: &[&[u8]],
) -> Digest {
    push(registry, to, tag, image(layers, None)).await
}

pub(crate) async fn push(
    registry: &Registry,
    to: &str,
    tag: Option<&str>,
    (manifest, parts): (Value, Vec<Vec<u8>>),
) -> Digest {
    for part in parts {
        push_blob(registry, to, &part).await;
    }
    push_manifest(registry, to, tag, &manifest).await
}

/// Pushes an index of images for `linux/amd64` and `linux/arm64`; returns it and the two.
pub(crate) async fn push_index(registry: &Registry, to: &str, tag: &str) -> (Digest, [Digest; 2]) {
    let mut children = Vec::new();
    let mut digests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layer = format!("layer of {to} for {architecture}");
        let (manifest, parts) = image(&[layer.as_bytes()], None);
        let mut child =
            descriptor(MediaType::OciManifest.as_str(), manifest.to_string().as_bytes());
        child["platform"] = json!({"os": "linux", "architecture": architecture});
        children.push(child);
        digests.push(push(registry, to, None, (manifest, parts)).await);
    }
    let index = json!({
        "schemaVersion": 2, "mediaType": MediaType::OciIndex.as_str(), "manifests": children,
    });
    let digest = push_manifest(registry, to, Some(tag), &index).await;
    (digest, [digests[0], digests[1]])
}

/// The digest that a tag names.
pub(crate) async fn tagged(registry: &Registry, repository: &str, tag: &str) -> Option<Digest> {
    let found = registry.get_manifest(&name(repository), &reference(tag)).await;
    found.ok().map(|stored| stored.digest)
}

pub(crate) async fn has(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    registry.get_manifest(&name(repository), &Reference::Digest(*digest)).await.is_ok()
}

pub(crate) async fn has_blob(registry: &Registry, repository: &str, digest: &Digest) -> bool {
    registry.stat_blob(&name(repository), digest).await.is_ok()
}
