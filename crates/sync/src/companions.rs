//! Tags that belong to other manifests: signatures, attestations and lists of materials as cosign
//! keeps them, and the lists of referrers of registries that keep none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use oci::{Algorithm, Digest, RepositoryName, Tag};
use tokio::time::Instant;

use crate::fault::Result;
use crate::limits::{COMPANIONS_AGE_MAX, COMPANIONS_REPOSITORIES_MAX};
use crate::place::Place;

/// What a tag belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// It is cosign's, about this manifest: `sha256-<hex>.sig`, `.att` or `.sbom`.
    Companion(Digest),
    /// It is the list of what refers to a manifest: `sha256-<hex>`.
    Referrers,
}

/// What a tag belongs to; `None` when it is one of its own.
pub(crate) fn belonging(tag: &Tag) -> Option<Belonging> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let algorithm = Algorithm::from_name(algorithm)?;
    let (hex, kind) = rest.split_once('.').map_or((rest, None), |(hex, kind)| (hex, Some(kind)));
    match kind {
        Some("sig" | "att" | "sbom") => {
            Digest::from_hex(algorithm, hex).ok().map(Belonging::Companion)
        }
        // The tag of a longer digest has only a part of it.
        None if hex.len() == (algorithm.size_bytes() * 2).min(64)
            && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) =>
        {
            Some(Belonging::Referrers)
        }
        _ => None,
    }
}

/// The companions of a repository by what they belong to.
pub(crate) type ByDigest = HashMap<Digest, Vec<Tag>>;

/// The companions among these tags.
pub(crate) fn among<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> ByDigest {
    let mut found = ByDigest::new();
    for tag in tags {
        if let Some(Belonging::Companion(digest)) = belonging(tag) {
            found.entry(digest).or_default().push(tag.clone());
        }
    }
    found
}

/// What companions the repositories of the source have, as of a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Companions(Mutex<HashMap<RepositoryName, (Instant, Arc<ByDigest>)>>);

impl Companions {
    /// Those of a repository.
    pub(crate) async fn of(&self, source: &Place, name: &RepositoryName) -> Result<Arc<ByDigest>> {
        let known = self.lock().get(name).cloned();
        if let Some((at, found)) = known
            && at.elapsed() < COMPANIONS_AGE_MAX
        {
            return Ok(found);
        }
        let at = Instant::now();
        let found = Arc::new(among(&source.tags(name).await?.names));
        self.note(name, at, Arc::clone(&found));
        Ok(found)
    }

    /// Notes those of a repository whose tags were listed just now.
    pub(crate) fn note(&self, name: &RepositoryName, at: Instant, found: Arc<ByDigest>) {
        let mut known = self.lock();
        if known.len() >= COMPANIONS_REPOSITORIES_MAX && !known.contains_key(name) {
            known.retain(|_, (at, _)| at.elapsed() < COMPANIONS_AGE_MAX);
            let oldest = known.iter().min_by_key(|(_, (at, _))| *at).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| known.len() >= COMPANIONS_REPOSITORIES_MAX) {
                known.remove(&oldest);
            }
        }
        known.insert(name.clone(), (at, found));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryName, (Instant, Arc<ByDigest>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tags_belong_to() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let tag = |text: String| Tag::parse(&text).unwrap();
        let hex = digest.hex();
        for kind in ["sig", "att", "sbom"] {
            let found = belonging(&tag(format!("sha256-{hex}.{kind}")));
            assert_eq!(found, Some(Belonging::Companion(digest)), "{kind}");
        }
        assert_eq!(belonging(&tag(format!("sha256-{hex}"))), Some(Belonging::Referrers));
        let long = Digest::of(Algorithm::Sha512, b"x").referrers_tag();
        assert_eq!(belonging(&tag(long)), Some(Belonging::Referrers));
        for own in [
            "latest".to_owned(),
            "sha256-abc".to_owned(),
            format!("sha256-{hex}.txt"),
            format!("sha256-{}.sig", &hex[1..]),
            format!("md5-{hex}"),
        ] {
            assert_eq!(belonging(&tag(own.clone())), None, "{own}");
        }
    }
}
