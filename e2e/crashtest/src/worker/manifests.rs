//! Manifests: pushed by tag and by digest, tagged again and deleted.

use oci::{Algorithm, Digest};
use serde_json::{Value, json};

use super::{COMMON, Step, Stop, Worker};
use crate::http::Body;
use crate::ledger::{Content, Kind, Manifest};
use crate::report::count;

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Tags of each own repository, and of the shared one.
const TAGS: u64 = 6;
const COMMON_TAGS: u64 = 3;

impl Worker<'_> {
    pub(super) fn push_image_by_tag(&mut self, repository: usize) -> Step {
        let digest = self.image(repository, false)?;
        let tag = format!("v{}", self.random.below(TAGS));
        self.put(repository, digest, Some(tag))
    }

    pub(super) fn push_image_by_digest(&mut self, repository: usize) -> Step {
        let digest = self.image(repository, false)?;
        self.put(repository, digest, None)
    }

    /// An image with a `subject`, which the referrers list must show.
    pub(super) fn push_referrer(&mut self, repository: usize) -> Step {
        let digest = self.image(repository, true)?;
        self.put(repository, digest, None)
    }

    pub(super) fn push_index(&mut self, repository: usize) -> Step {
        let count = 1 + self.random.index(3);
        let children: Vec<Digest> = (0..count)
            .filter_map(|_| self.random.pick(&self.repositories[repository].manifests).copied())
            .collect();
        if children.is_empty() {
            return self.push_image_by_digest(repository);
        }
        let manifests: Vec<Value> =
            children.iter().map(|d| self.descriptor(d, OCI_IMAGE)).collect();
        let json = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests,
            "annotations": {"unique": self.random.next().to_string()},
        });
        let digest = self.learn(OCI_INDEX, &json, children, None);
        let tag = format!("index-{}", self.random.below(2));
        let tagged = repository != COMMON && self.random.percent(50);
        self.put(repository, digest, tagged.then_some(tag))
    }

    /// A manifest that is there already gets a tag that another one may have.
    pub(super) fn tag_again(&mut self, repository: usize) -> Step {
        let Some(digest) = self.random.pick(&self.repositories[repository].manifests).copied()
        else {
            return self.push_image_by_tag(repository);
        };
        let tag = format!("v{}", self.random.below(TAGS));
        self.put(repository, digest, Some(tag))
    }

    /// All clients move and delete the same few tags.
    pub(super) fn tag_in_common(&mut self) -> Step {
        let tag = format!("common-{}", self.random.below(COMMON_TAGS));
        if self.random.percent(15) {
            return self.delete_tag_named(COMMON, &tag, &[202, 404]);
        }
        let known = self.random.pick(&self.repositories[COMMON].manifests).copied();
        let digest = match known.filter(|_| self.random.percent(50)) {
            Some(digest) => digest,
            None => self.image(COMMON, false)?,
        };
        self.put(COMMON, digest, Some(tag))
    }

    pub(super) fn delete_tag(&mut self, repository: usize) -> Step {
        match self.random.pick(&self.repositories[repository].tags).cloned() {
            Some(tag) => self.delete_tag_named(repository, &tag, &[202]),
            None => Ok(()),
        }
    }

    fn delete_tag_named(&mut self, repository: usize, tag: &str, statuses: &[u16]) -> Step {
        let name = self.name(repository);
        self.repositories[repository].tags.retain(|t| t != tag);
        let write = [self.round.ledger.begin(&name, Kind::Tag(tag.to_owned()), None)];
        let url = format!("/v2/{name}/manifests/{tag}");
        if self.expect(statuses, "DELETE", &url, &[], Body::None)?.status == 404 {
            self.round.ledger.refuse(&write);
        } else {
            self.round.ledger.acknowledge(&write);
            count(&self.round.report.counters.acknowledged_deletes, 1);
        }
        Ok(())
    }

    /// Deletes a manifest that no index needs, and with it the tags that name it.
    pub(super) fn delete_manifest(&mut self, repository: usize) -> Step {
        let here = &self.repositories[repository];
        let free: Vec<Digest> =
            here.manifests.iter().filter(|d| !here.needed.contains(d)).copied().collect();
        let Some(digest) = self.random.pick(&free).copied() else { return Ok(()) };
        let name = self.name(repository);
        let mut writes = vec![self.round.ledger.begin(&name, Kind::Manifest(digest), None)];
        for tag in self.round.ledger.tags_that_may_name(&name, digest) {
            writes.push(self.round.ledger.begin(&name, Kind::Tag(tag.clone()), None));
            self.repositories[repository].tags.retain(|t| *t != tag);
        }
        self.repositories[repository].manifests.retain(|d| *d != digest);
        self.expect(&[202], "DELETE", &format!("/v2/{name}/manifests/{digest}"), &[], Body::None)?;
        self.round.ledger.acknowledge(&writes);
        count(&self.round.report.counters.acknowledged_deletes, 1);
        Ok(())
    }

    /// Makes an image of blobs that are there.
    fn image(&mut self, repository: usize, with_subject: bool) -> Step<Digest> {
        if self.repositories[repository].blobs.is_empty() {
            self.push_blob(repository)?;
        }
        let layers = 1 + self.random.index(4);
        let blobs: Vec<Digest> = (0..=layers)
            .filter_map(|_| self.random.pick(&self.repositories[repository].blobs).copied())
            .collect();
        let described: Vec<Value> = blobs.iter().map(|d| self.descriptor(d, LAYER)).collect();
        let [config, layers @ ..] = &described[..] else {
            return Err(Stop::Wrong("a push that was acknowledged left no blob".into()));
        };
        let docker = !with_subject && self.random.percent(30);
        let media_type = if docker { DOCKER_IMAGE } else { OCI_IMAGE };
        let mut json = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
            "annotations": {"unique": self.random.next().to_string()},
        });
        let manifests = &self.repositories[repository].manifests;
        let subject = self.random.pick(manifests).copied().filter(|_| with_subject);
        if let Some(subject) = subject {
            json["artifactType"] = "application/x.crash".into();
            json["subject"] = self.descriptor(&subject, OCI_IMAGE);
        }
        Ok(self.learn(media_type, &json, blobs, subject))
    }

    fn descriptor(&self, digest: &Digest, media_type: &str) -> Value {
        let content = self.round.ledger.content(digest);
        let media_type = match content.as_deref() {
            Some(Content::Manifest(manifest)) => manifest.media_type,
            _ => media_type,
        };
        let size = content.map_or(0, |c| c.size_bytes());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    }

    fn learn(
        &self,
        media_type: &'static str,
        json: &Value,
        needs: Vec<Digest>,
        subject: Option<Digest>,
    ) -> Digest {
        let bytes = json.to_string().into_bytes();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let manifest = Manifest { media_type, bytes, needs, subject };
        self.round.ledger.learn(digest, Content::Manifest(manifest));
        digest
    }

    fn put(&mut self, repository: usize, digest: Digest, tag: Option<String>) -> Step {
        let content = self.round.ledger.content(&digest);
        let Some(Content::Manifest(manifest)) = content.as_deref() else {
            return Err(Stop::Wrong(format!("{digest} is no manifest")));
        };
        let name = self.name(repository);
        let ledger = self.round.ledger;
        let mut writes = vec![ledger.begin(&name, Kind::Manifest(digest), Some(digest))];
        if let Some(tag) = &tag {
            writes.push(ledger.begin(&name, Kind::Tag(tag.clone()), Some(digest)));
        }
        let reference = tag.clone().unwrap_or_else(|| digest.to_string());
        let url = format!("/v2/{name}/manifests/{reference}");
        let headers = [("Content-Type", manifest.media_type)];
        let response = self.expect(&[201], "PUT", &url, &headers, Body::Whole(&manifest.bytes))?;
        if response.header("docker-content-digest") != Some(&digest.to_string()) {
            return Err(Stop::Wrong(format!("PUT {url}: the answer does not name {digest}")));
        }
        ledger.acknowledge(&writes);
        count(&self.round.report.counters.acknowledged_manifests, 1);
        let here = &mut self.repositories[repository];
        here.needed.extend(&manifest.needs);
        if !here.manifests.contains(&digest) {
            here.manifests.push(digest);
        }
        if let Some(tag) = tag.filter(|t| !here.tags.contains(t)) {
            here.tags.push(tag);
        }
        Ok(())
    }
}
