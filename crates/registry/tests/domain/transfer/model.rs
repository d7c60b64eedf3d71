//! What may happen to a registry, and what of it is whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType, Reference};
use proptest::prelude::*;
use registry::{Chunk, Options, Registry, layout};
use serde_json::json;
use storage::{Driver, StoragePath};

use crate::support::{
    chunk, files, image, index, name, push, push_blob, sha256, tag as parsed_tag,
};

const REPOSITORIES: [&str; 5] = ["a", "a/b", "a/b/c", "library/al-pine", "x__y/z.1"];

/// The size of a blob that is copied in several parts.
pub(super) const LARGE_BYTES: usize = 3 << 19;

/// Something that a client does. The numbers choose among few things, so that they meet.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Blob { repository: usize, content: usize, algorithm: usize },
    Image { repository: usize, tag: usize, content: usize },
    ImageBySha512 { repository: usize, content: usize },
    Index { repository: usize, tag: usize, content: usize },
    Referrer { repository: usize, content: usize },
    Upload { repository: usize },
    DeleteTag { repository: usize, tag: usize },
    DeleteImage { repository: usize, content: usize },
    DeleteBlob { repository: usize, content: usize, algorithm: usize },
}

impl Step {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        (0..9usize, 0..REPOSITORIES.len(), 0..3usize, 0..4usize).prop_map(
            |(kind, repository, small, content)| match kind {
                0 => Self::Blob { repository, content, algorithm: small },
                1 => Self::Image { repository, tag: small, content },
                2 => Self::ImageBySha512 { repository, content },
                3 => Self::Index { repository, tag: small, content },
                4 => Self::Referrer { repository, content },
                5 => Self::Upload { repository },
                6 => Self::DeleteTag { repository, tag: small },
                7 => Self::DeleteImage { repository, content },
                _ => Self::DeleteBlob { repository, content, algorithm: small },
            },
        )
    }
}

/// One of everything, in nested repositories.
pub(super) fn everything() -> Vec<Step> {
    vec![
        Step::Blob { repository: 2, content: 3, algorithm: 2 },
        Step::Blob { repository: 0, content: 1, algorithm: 1 },
        Step::Image { repository: 1, tag: 0, content: 0 },
        Step::Image { repository: 1, tag: 0, content: 1 },
        Step::Image { repository: 2, tag: 1, content: 0 },
        Step::ImageBySha512 { repository: 0, content: 2 },
        Step::Index { repository: 3, tag: 2, content: 1 },
        Step::Referrer { repository: 4, content: 0 },
        Step::Upload { repository: 4 },
    ]
}

fn content(number: usize) -> Vec<u8> {
    match number {
        3 => vec![7; LARGE_BYTES],
        number => format!("content {number}").into_bytes(),
    }
}

/// Pushes what an image consists of; returns its manifest.
async fn pushed_image(registry: &Registry, repository: &str, number: usize) -> Bytes {
    let config = push_blob(registry, repository, b"{}").await;
    let layer = push_blob(registry, repository, &content(number % 3)).await;
    let layer = json!({"mediaType": "application/test", "digest": layer.to_string(), "size": 9});
    image(&config, json!({"layers": [layer], "annotations": {"number": number.to_string()}}))
}

/// Does these things to the registry on a storage. What can't be done is passed over: only what is
/// there can be deleted.
pub(super) async fn play(driver: &Arc<dyn Driver>, steps: &[Step]) {
    let registry = Registry::new(Arc::clone(driver), Options::default());
    for step in steps {
        play_step(&registry, step).await;
    }
}

async fn play_step(registry: &Registry, step: &Step) {
    let manifest = MediaType::OciManifest;
    match *step {
        Step::Blob { repository, content: number, algorithm } => {
            let (repository, content) = (name(REPOSITORIES[repository]), content(number));
            let digest = Digest::of(Algorithm::ALL[algorithm], &content);
            let upload = registry.start_upload(&repository, None).await.unwrap();
            registry.append_upload(&repository, &upload.id, chunk(content)).await.unwrap();
            let end = Chunk::empty();
            registry.commit_upload(&repository, &upload.id, &digest, end).await.unwrap();
        }
        Step::Image { repository, tag, content } => {
            let repository = REPOSITORIES[repository];
            let image = pushed_image(registry, repository, content).await;
            push(registry, repository, &format!("t{tag}"), manifest, &image).await.unwrap();
        }
        Step::ImageBySha512 { repository, content } => {
            let repository = REPOSITORIES[repository];
            let image = pushed_image(registry, repository, content).await;
            let digest = Digest::of(Algorithm::Sha512, &image).to_string();
            push(registry, repository, &digest, manifest, &image).await.unwrap();
        }
        Step::Index { repository, tag, content } => {
            let repository = REPOSITORIES[repository];
            let image = pushed_image(registry, repository, content).await;
            let digest = sha256(&image);
            push(registry, repository, &digest.to_string(), manifest, &image).await.unwrap();
            let (index, tag) = (index(&[digest]), format!("t{tag}"));
            push(registry, repository, &tag, MediaType::OciIndex, &index).await.unwrap();
        }
        Step::Referrer { repository, content } => {
            let repository = REPOSITORIES[repository];
            let subject = sha256(&pushed_image(registry, repository, content).await);
            let config = push_blob(registry, repository, b"{}").await;
            let subject =
                json!({"mediaType": manifest.as_str(), "digest": subject.to_string(), "size": 2});
            let referrer = image(&config, json!({"subject": subject}));
            let digest = sha256(&referrer).to_string();
            push(registry, repository, &digest, manifest, &referrer).await.unwrap();
        }
        Step::Upload { repository } => {
            let repository = name(REPOSITORIES[repository]);
            let upload = registry.start_upload(&repository, None).await.unwrap();
            registry.append_upload(&repository, &upload.id, chunk("unfinished")).await.unwrap();
        }
        Step::DeleteTag { repository, tag } => {
            let tag = parsed_tag(&format!("t{tag}"));
            let _ = registry.delete_tag(&name(REPOSITORIES[repository]), &tag).await;
        }
        Step::DeleteImage { repository, content } => {
            let repository = REPOSITORIES[repository];
            let digest = sha256(&pushed_image(registry, repository, content).await);
            let _ = registry.delete_manifest(&name(repository), &digest).await;
        }
        Step::DeleteBlob { repository, content: number, algorithm } => {
            let digest = Digest::of(Algorithm::ALL[algorithm], &content(number));
            let _ = registry.delete_blob(&name(REPOSITORIES[repository]), &digest).await;
        }
    }
}

/// What every file of a storage holds.
pub(super) async fn contents(driver: &Arc<dyn Driver>) -> BTreeMap<String, Bytes> {
    let mut contents = BTreeMap::new();
    for path in files(&**driver, "/").await {
        let at = StoragePath::parse(path.clone()).unwrap();
        contents.insert(path, driver.get(&at, 100 << 20).await.unwrap());
    }
    contents
}

/// Everything of a registry that is whole: blobs with the digest under which they lie, and links that
/// lead to what is there.
pub(super) async fn whole(driver: &Arc<dyn Driver>) -> BTreeMap<String, Bytes> {
    let all = contents(driver).await;
    let is_whole = |path: &String| leads_somewhere(&all, path);
    all.clone().into_iter().filter(|(path, _)| is_whole(path)).collect()
}

/// Nothing is there that is not whole; but for what is being copied, which nobody looks for.
pub(super) async fn assert_whole(driver: &Arc<dyn Driver>) {
    let staged = layout::transfer().to_string();
    let all = contents(driver).await;
    for path in all.keys().filter(|path| !path.starts_with(&staged)) {
        assert!(leads_somewhere(&all, path), "{path}");
    }
}

/// Every tag names a manifest whose blobs and manifests the repository has. For sources in which no
/// part of an image was deleted.
pub(super) async fn assert_images_are_whole(driver: &Arc<dyn Driver>) {
    let all = contents(driver).await;
    for (path, content) in &all {
        let tag =
            path.strip_suffix("/current/link").and_then(|p| p.split_once("/_manifests/tags/"));
        let Some((repository, tag)) = tag else { continue };
        let digest = Digest::parse(std::str::from_utf8(content).unwrap()).unwrap();
        let manifest = &all[layout::blob_data(&digest).as_str()];
        let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let config = manifest.get("config").cloned();
        let blobs = list("layers").into_iter().chain(config).map(|d| (d, "_layers"));
        let children = list("manifests").into_iter().map(|d| (d, "_manifests/revisions"));
        for (descriptor, directory) in blobs.chain(children) {
            let part = descriptor["digest"].as_str().unwrap().replace(':', "/");
            let link = format!("{repository}/{directory}/{part}/link");
            assert!(leads_somewhere(&all, &link), "{repository}:{tag} lacks {link}");
        }
    }
}

fn leads_somewhere(all: &BTreeMap<String, Bytes>, path: &str) -> bool {
    let Some(content) = all.get(path) else { return false };
    let parts: Vec<_> = path.split('/').collect();
    if path.ends_with("/data") && parts[4] == "blobs" {
        let algorithm = Algorithm::from_name(parts[5]).unwrap();
        return Digest::of(algorithm, content).hex() == parts[7];
    }
    let digest = std::str::from_utf8(content).ok().and_then(|text| Digest::parse(text).ok());
    let (true, Some(digest)) = (path.ends_with("/link"), digest) else { return false };
    let blob = layout::blob_data(&digest).to_string();
    if let Some((repository, _)) = path.split_once("/_manifests/tags/") {
        let revisions = format!("{repository}/_manifests/revisions");
        let link = format!("{revisions}/{}/{}/link", digest.algorithm(), digest.hex());
        return leads_somewhere(all, &link);
    }
    // A link under another digest needs the canonical one beside it.
    let own = format!("{}/{}/link", digest.algorithm(), digest.hex());
    if !path.ends_with(&own) && !path.starts_with("/wharf/") {
        let beside: Vec<_> = parts[..parts.len() - 3].to_vec();
        return leads_somewhere(all, &format!("{}/{own}", beside.join("/")));
    }
    leads_somewhere(all, &blob)
}

/// What a tag leads to, read from a registry, if it is there.
pub(super) async fn pulled(driver: &Arc<dyn Driver>, repository: &str, tag: &str) -> Option<Bytes> {
    let registry = Registry::new(Arc::clone(driver), Options::default());
    let reference = Reference::Tag(parsed_tag(tag));
    Some(registry.get_manifest(&name(repository), &reference).await.ok()?.content)
}
