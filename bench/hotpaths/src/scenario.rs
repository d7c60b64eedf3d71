//! What is asked for, and what must be there for it.

use anyhow::{Result, ensure};
use oci::{Algorithm, Digest};

use crate::client::Client;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BINARY: &str = "application/octet-stream";
const BLOB_BYTES: usize = 10 * 1024;
const TAGS: u32 = 500;
const REPOSITORIES: u32 = 200;
const REFERRERS: u32 = 50;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Base,
    ManifestByTag,
    ManifestByDigest,
    ManifestHead,
    Blob,
    TagsPage,
    CatalogPage,
    Referrers,
    PutManifest,
    PushBlob,
}

impl Scenario {
    const ALL: [(&'static str, Self); 10] = [
        ("base", Self::Base),
        ("manifest-tag", Self::ManifestByTag),
        ("manifest-digest", Self::ManifestByDigest),
        ("manifest-head", Self::ManifestHead),
        ("blob", Self::Blob),
        ("tags-page", Self::TagsPage),
        ("catalog-page", Self::CatalogPage),
        ("referrers", Self::Referrers),
        ("put-manifest", Self::PutManifest),
        ("push-blob", Self::PushBlob),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, scenario)| scenario)
    }

    pub(crate) fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    /// Whether it writes.
    pub(crate) fn pushes(self) -> bool {
        matches!(self, Self::PutManifest | Self::PushBlob)
    }

    /// Fills the registry, and says what is to be asked over and over.
    pub(crate) async fn prepare(self, client: &mut Client) -> Result<Requests> {
        let blob = blob_of(0);
        let config = push(client, "app", b"{}").await?;
        let layer = push(client, "app", &blob).await?;
        let image = Image { config, layer };
        let manifest = image.manifest("image", None);
        put(client, "app", "latest", &manifest).await?;
        let digest = Digest::of(Algorithm::Sha256, manifest.as_bytes());
        let get = |target: String| Requests::Same(request("GET", &target));
        Ok(match self {
            Self::Base => get("/v2/".into()),
            Self::ManifestByTag => get("/v2/app/manifests/latest".into()),
            Self::ManifestByDigest => get(format!("/v2/app/manifests/{digest}")),
            Self::ManifestHead => Requests::Same(request("HEAD", "/v2/app/manifests/latest")),
            Self::Blob => get(format!("/v2/app/blobs/{layer}")),
            Self::TagsPage => {
                for number in 0..TAGS {
                    put(client, "app", &format!("v{number:04}"), &manifest).await?;
                }
                get("/v2/app/tags/list?n=100".into())
            }
            Self::CatalogPage => {
                for number in 0..REPOSITORIES {
                    let name = format!("team/app{number:04}");
                    push(client, &name, b"{}").await?;
                    push(client, &name, &blob).await?;
                    put(client, &name, "latest", &manifest).await?;
                }
                get("/v2/_catalog?n=100".into())
            }
            Self::Referrers => {
                for number in 0..REFERRERS {
                    let referrer = image.manifest(&number.to_string(), Some((&digest, &manifest)));
                    let name = Digest::of(Algorithm::Sha256, referrer.as_bytes()).to_string();
                    put(client, "app", &name, &referrer).await?;
                }
                get(format!("/v2/app/referrers/{digest}"))
            }
            Self::PutManifest => Requests::PutManifest(image),
            Self::PushBlob => Requests::PushBlob,
        })
    }
}

/// The blobs of every manifest here.
pub(crate) struct Image {
    config: Digest,
    layer: Digest,
}

impl Image {
    fn manifest(&self, note: &str, subject: Option<(&Digest, &str)>) -> String {
        let subject = subject.map_or_else(String::new, |(digest, manifest)| {
            let size = manifest.len();
            format!(r#","subject":{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{size}}}"#)
        });
        let (config, layer) = (&self.config, &self.layer);
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{BLOB_BYTES}}}],"annotations":{{"note":"{note}"}}{subject}}}"#
        )
    }
}

/// What is asked over and over.
pub(crate) enum Requests {
    /// The same request.
    Same(Vec<u8>),
    /// A new manifest under a new tag.
    PutManifest(Image),
    /// A new blob: a session, one chunk, the end.
    PushBlob,
}

impl Requests {
    pub(crate) async fn make(&self, client: &mut Client, number: u32) -> Result<()> {
        match self {
            Self::Same(request) => {
                client.send(request, 200).await?;
            }
            Self::PutManifest(image) => {
                let manifest = image.manifest(&format!("{number:08}"), None);
                put(client, "app", &format!("tag{number:08}"), &manifest).await?;
            }
            Self::PushBlob => {
                push(client, "app", &blob_of(number + 1)).await?;
            }
        }
        Ok(())
    }
}

/// A blob like no other.
fn blob_of(number: u32) -> Vec<u8> {
    let mut blob = vec![7; BLOB_BYTES];
    blob[..4].copy_from_slice(&number.to_le_bytes());
    blob
}

fn request(method: &str, target: &str) -> Vec<u8> {
    let accept = format!("Accept: {MANIFEST}\r\nAccept: */*\r\n");
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n").into_bytes()
}

async fn put(client: &mut Client, name: &str, reference: &str, manifest: &str) -> Result<()> {
    let target = format!("/v2/{name}/manifests/{reference}");
    let answer = client.request("PUT", &target, MANIFEST, manifest.as_bytes(), 201).await?;
    ensure!(answer.body.is_empty(), "a body where none is expected");
    Ok(())
}

async fn push(client: &mut Client, name: &str, content: &[u8]) -> Result<Digest> {
    let digest = Digest::of(Algorithm::Sha256, content);
    let start = format!("/v2/{name}/blobs/uploads/");
    let location = location_of(client.request("POST", &start, BINARY, b"", 202).await?)?;
    let location = location_of(client.request("PATCH", &location, BINARY, content, 202).await?)?;
    let mark = if location.contains('?') { '&' } else { '?' };
    let end = format!("{location}{mark}digest={digest}");
    client.request("PUT", &end, BINARY, b"", 201).await?;
    Ok(digest)
}

fn location_of(answer: crate::client::Answer<'_>) -> Result<String> {
    let location = answer.header("location").unwrap_or_default();
    let path = location.find("/v2/").map(|at| location[at..].to_owned());
    path.ok_or_else(|| anyhow::anyhow!("no Location"))
}
