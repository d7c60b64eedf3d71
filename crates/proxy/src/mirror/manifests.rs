//! Manifests of a mirrored repository.

use std::sync::Arc;
use std::time::Duration;

use oci::{Reference, RepositoryName, Tag};
use registry::{Error, ManifestPush, Registry, StoredManifest};
use tracing::warn;

use super::memory::Memory;
use super::{Head, Mirrored, Served};
use crate::ahead::{Ahead, Prefetch, Wish};
use crate::error::{MirrorError, Result, Wanted};
use crate::upstream::{Asking, Fetched, Upstream, UpstreamError};

impl Mirrored<'_> {
    /// A manifest. What a tag names is asked of the upstream, and its last answer is served, marked
    /// as such, when that can't be asked.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn manifest(&self, reference: &Reference) -> Result<Served<StoredManifest>> {
        let served = self.manifest_of(reference).await?;
        self.mirror.memory.manifests().pushed(served.content.content.len() as u64);
        Ok(served)
    }

    async fn manifest_of(&self, reference: &Reference) -> Result<Served<StoredManifest>> {
        let tag = match reference {
            Reference::Digest(_) => {
                let content = self.manifest_by_digest(reference).await?;
                return Ok(Served { content, stale: None });
            }
            Reference::Tag(tag) => tag,
        };
        if let Some(content) = self.fresh(tag, reference).await? {
            self.mirror.memory.manifests().hit();
            return Ok(Served { content, stale: None });
        }
        let looked_up = async {
            let head = self.look_up(tag, reference).await?;
            let by_digest = Reference::Digest(head.digest);
            let content = self.manifest_by_digest(&by_digest).await?;
            self.let_name(tag, &content).await?;
            Ok(content)
        };
        match looked_up.await {
            Ok(content) => Ok(Served { content, stale: None }),
            Err(error) => self.stale(tag, reference, error).await,
        }
    }

    /// What the answer to HEAD says of a manifest, which is not fetched because of it.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn head_manifest(&self, reference: &Reference) -> Result<Served<Head>> {
        let tag = match reference {
            Reference::Digest(_) => {
                // It is not promised to whoever asks: there are no pushes that could rely on it.
                let content = match self.here(reference).await? {
                    Some(stored) => Head::of(&stored),
                    None => self.look(reference).await?,
                };
                return Ok(Served { content, stale: None });
            }
            Reference::Tag(tag) => tag,
        };
        if let Some(stored) = self.fresh(tag, reference).await? {
            return Ok(Served { content: Head::of(&stored), stale: None });
        }
        match self.look_up(tag, reference).await {
            Ok(head) => {
                match self.here(&Reference::Digest(head.digest)).await? {
                    Some(stored) => self.let_name(tag, &stored).await?,
                    // Its client is going to ask for it by its digest.
                    None => self.mirror.memory.note_named(self.name, &head.digest, tag),
                }
                Ok(Served { content: head, stale: None })
            }
            Err(error) => {
                let Served { content, stale } = self.stale(tag, reference, error).await?;
                Ok(Served { content: Head::of(&content), stale })
            }
        }
    }

    /// A manifest that is here.
    pub(super) async fn here(&self, reference: &Reference) -> Result<Option<StoredManifest>> {
        here(&self.mirror.registry, self.name, reference).await
    }

    /// What a tag names, if it was looked up so lately that it is not asked again.
    async fn fresh(&self, tag: &Tag, reference: &Reference) -> Result<Option<StoredManifest>> {
        let policy = &self.covering.policy;
        if policy.offline {
            return self.here(reference).await;
        }
        let checked = self.mirror.memory.checked_ago(self.name, tag);
        let Some((_, digest)) = checked.filter(|(ago, _)| *ago < policy.tag_ttl) else {
            return Ok(None);
        };
        // What it named may not have come here: then the tag here still names another.
        let here = self.here(reference).await?;
        Ok(here.filter(|stored| stored.digest == digest))
    }

    /// What a tag names at the upstream.
    async fn look_up(&self, tag: &Tag, reference: &Reference) -> Result<Head> {
        let head = self.look(reference).await?;
        self.mirror.memory.note_checked(self.name, tag, head.digest);
        Ok(head)
    }

    /// Asks the upstream what a reference names, once for all who want to know.
    async fn look(&self, reference: &Reference) -> Result<Head> {
        let wanted = Wanted::Manifest(reference.clone());
        let there = self.there(&wanted)?;
        let upstream = Arc::clone(&self.covering.upstream);
        let (of, asking) = (reference.clone(), self.asking.clone());
        let key = (self.name.clone(), reference.clone());
        let look = self.mirror.looks.join(key, || async move {
            let resolved = upstream.resolve(&there, &of, &asking).await?;
            let size_bytes = match resolved.size_bytes {
                Some(size_bytes) => size_bytes,
                None => {
                    let by_digest = Reference::Digest(resolved.digest);
                    upstream.manifest(&there, &by_digest, &asking).await?.content.len() as u64
                }
            };
            Ok(Head { digest: resolved.digest, media_type: resolved.media_type, size_bytes })
        });
        let head = look.await.unwrap_or_else(|| Err(self.given_up()));
        self.note_absence(&wanted, &head);
        head
    }

    /// A manifest by its digest: from here, or fetched and kept, once for all who want it.
    async fn manifest_by_digest(&self, reference: &Reference) -> Result<StoredManifest> {
        if let Some(stored) = self.here(reference).await? {
            self.mirror.memory.manifests().hit();
            return Ok(stored);
        }
        self.mirror.memory.manifests().miss();
        self.fetch_manifest(reference).await
    }

    /// Fetches a manifest that is not here, and keeps it; once for all who want it.
    pub(super) async fn fetch_manifest(&self, reference: &Reference) -> Result<StoredManifest> {
        let policy = &self.covering.policy;
        let wish = Wish { what: policy.prefetch, image_bytes_max: policy.prefetch_bytes_max };
        let wanted = Wanted::Manifest(reference.clone());
        let fetch = Fetch {
            registry: Arc::clone(&self.mirror.registry),
            upstream: Arc::clone(&self.covering.upstream),
            memory: Arc::clone(&self.mirror.memory),
            ahead: (wish.what != Prefetch::Nothing).then(|| (Arc::clone(&self.mirror.ahead), wish)),
            name: self.name.clone(),
            there: self.there(&wanted)?,
            reference: reference.clone(),
            asking: self.asking.clone(),
            keeps: self.keeps,
        };
        let key = (self.name.clone(), reference.clone());
        let fetched = self.mirror.manifests.join(key, || fetch.run()).await;
        let fetched = fetched.unwrap_or_else(|| Err(self.given_up()));
        self.note_absence(&wanted, &fetched);
        fetched
    }

    /// Lets a tag name a manifest that is here, unless it does already.
    async fn let_name(&self, tag: &Tag, stored: &StoredManifest) -> Result<()> {
        if !self.keeps {
            return Ok(());
        }
        let registry = &self.mirror.registry;
        match registry.resolve_tag(self.name, tag).await {
            Ok(digest) if digest == stored.digest => return Ok(()),
            Ok(_) | Err(Error::ManifestUnknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let tags = vec![tag.clone()];
        keep_if_possible(registry, self.name, stored.clone(), tags).await
    }

    /// The last answer about a tag in the place of one that could not be had.
    async fn stale(
        &self,
        tag: &Tag,
        reference: &Reference,
        error: MirrorError,
    ) -> Result<Served<StoredManifest>> {
        // That it is not there is an answer, and what may not be asked for has no better one; a
        // storage that fails has nothing better.
        let may_be_served = match &error {
            MirrorError::Upstream(UpstreamError::NotAllowed { .. }) => false,
            MirrorError::Upstream(_) | MirrorError::GivenUp { .. } => !error.is_not_found(),
            _ => false,
        };
        if !may_be_served {
            return Err(error);
        }
        let Some(content) = self.here(reference).await? else { return Err(error) };
        if let Some(limit) = self.covering.policy.stale_if_error
            && self.age(tag).await?.is_none_or(|age| age > limit)
        {
            return Err(error);
        }
        self.mirror.memory.count_stale();
        let (repository, digest) = (self.name, &content.digest);
        warn!(%repository, %tag, %digest, %error, "the tag is served as it was");
        Ok(Served { content, stale: Some(error.to_string()) })
    }

    /// How long ago a tag was looked up last, or was written when that was before this process.
    async fn age(&self, tag: &Tag) -> Result<Option<Duration>> {
        if let Some((ago, _)) = self.mirror.memory.checked_ago(self.name, tag) {
            return Ok(Some(ago));
        }
        let written = self.mirror.registry.tag_written_at(self.name, tag).await?;
        Ok(written.map(|at| at.elapsed().unwrap_or_default()))
    }

    pub(super) fn given_up(&self) -> MirrorError {
        MirrorError::GivenUp { upstream: self.upstream_name().to_owned() }
    }
}

impl Head {
    fn of(stored: &StoredManifest) -> Self {
        Self {
            digest: stored.digest,
            media_type: stored.media_type,
            size_bytes: stored.content.len() as u64,
        }
    }
}

/// One manifest on its way here.
struct Fetch {
    registry: Arc<Registry>,
    upstream: Arc<Upstream>,
    memory: Arc<Memory>,
    /// Where it is noted what is to be fetched next.
    ahead: Option<(Arc<Ahead>, Wish)>,
    name: RepositoryName,
    there: RepositoryName,
    reference: Reference,
    asking: Asking,
    keeps: bool,
}

impl Fetch {
    async fn run(self) -> Result<StoredManifest> {
        // Somebody else's fetch may have ended just now.
        if let Some(stored) = here(&self.registry, &self.name, &self.reference).await? {
            return Ok(stored);
        }
        let fetched = self.upstream.manifest(&self.there, &self.reference, &self.asking).await?;
        let Fetched { digest, media_type, content } = fetched;
        self.memory.manifests().pulled(content.len() as u64);
        let tags = self.memory.take_named(&self.name, &digest).into_iter().collect();
        let stored = StoredManifest { digest, media_type, content };
        if !self.keeps {
            return Ok(stored);
        }
        match keep_if_possible(&self.registry, &self.name, stored.clone(), tags).await {
            // It is what the upstream has, and no fault of the client's.
            Err(MirrorError::Registry(error)) if matches!(*error, Error::ManifestInvalid(_)) => {
                let (upstream, reason) = (self.upstream.name().to_owned(), error.to_string());
                Err(UpstreamError::Invalid { upstream, reason }.into())
            }
            Err(error) => Err(error),
            Ok(()) => {
                if let Some((ahead, wish)) = &self.ahead {
                    ahead.note(*wish, &self.name, &stored.content, &self.asking);
                }
                Ok(stored)
            }
        }
    }
}

/// A manifest that is here. One whose content is damaged is not: it is fetched anew, and what is stored
/// of it is replaced by that.
async fn here(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Option<StoredManifest>> {
    match registry.get_manifest(name, reference).await {
        Ok(stored) => Ok(Some(stored)),
        Err(Error::ManifestUnknown { .. } | Error::NameUnknown { .. }) => Ok(None),
        Err(error @ Error::Corrupt { .. }) => {
            warn!(repository = %name, %reference, %error, "the cached manifest is not used");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps a manifest. A storage that can't take it is no reason not to serve it.
async fn keep_if_possible(
    registry: &Registry,
    name: &RepositoryName,
    stored: StoredManifest,
    tags: Vec<Tag>,
) -> Result<()> {
    let StoredManifest { digest, media_type, content } = stored;
    let reference = Reference::Digest(digest);
    let push = ManifestPush { reference, tags, media_type, content };
    match registry.cache_manifest(name, push).await {
        Err(error @ Error::Storage(_)) => {
            warn!(repository = %name, %digest, %error, "manifest can't be kept");
            Ok(())
        }
        kept => Ok(kept.map(drop)?),
    }
}
