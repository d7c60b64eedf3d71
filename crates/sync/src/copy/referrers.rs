//! What refers to an image: manifests that name it as their subject, and cosign's tags.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use oci::{Digest, Reference};
use serde_json::{Map, Value};
use std::collections::HashSet;

use super::{Brought, Copy};
use crate::fault::Result;
use crate::limits::REFERRERS_DEPTH_MAX;
use crate::place::{Content, Place};

impl Copy<'_> {
    /// Brings what refers to any of these manifests.
    pub(super) async fn bring_referrers(&self, tree: &[Digest]) -> Result<()> {
        let companions = self.engine.companions.of(&self.engine.source, self.from).await?;
        for digest in tree {
            self.bring_referrers_of(*digest, 0).await?;
            for tag in companions.get(digest).into_iter().flatten() {
                let reference = Reference::Tag(tag.clone());
                let named = self.engine.source.resolve(self.from, &reference).await?;
                // It may have gone since the tags were listed.
                let Some(named) = named else { continue };
                if self.engine.target.resolve(&self.to, &reference).await? == Some(named) {
                    continue;
                }
                let mut brought = self.bring(named, 0, &mut Vec::new()).await?;
                self.put_tag(&mut brought, tag).await?;
            }
        }
        Ok(())
    }

    fn bring_referrers_of(&self, subject: Digest, depth: usize) -> BoxFuture<'_, Result<()>> {
        async move {
            let referrers = self.engine.source.referrers(self.from, &subject).await?;
            if referrers.is_empty() {
                return Ok(());
            }
            let listed = self.engine.target.referrers(&self.to, &subject).await?;
            let listed: HashSet<_> = listed.into_iter().collect();
            let mut unlisted = Vec::new();
            for digest in referrers {
                let mut brought = self.bring(digest, 0, &mut Vec::new()).await?;
                if !listed.contains(&digest) {
                    // Also if it is there: what the target says of its subject is needed.
                    let lists_subject = self.put(&mut brought, None).await?;
                    if !lists_subject {
                        let found = self.content(&mut brought).await?;
                        unlisted.push(Content::parse(found)?.descriptor(found));
                    }
                }
                if depth + 1 < REFERRERS_DEPTH_MAX {
                    self.bring_referrers_of(digest, depth + 1).await?;
                }
            }
            self.tag_unlisted(&subject, unlisted).await
        }
        .boxed()
    }

    /// Has the target list what is there with what it refers to, if it refers to anything.
    /// `lists_subject` is what came of putting it there: `None` when it was there already.
    pub(super) async fn list_with_subject(
        &self,
        brought: &mut Brought,
        lists_subject: Option<bool>,
    ) -> Result<()> {
        if self.engine.writes_here() || lists_subject == Some(true) {
            return Ok(());
        }
        let found = self.content(brought).await?;
        let content = Content::parse(found)?;
        let descriptor = content.descriptor(found);
        let Some(subject) = content.manifest.subject_digest() else { return Ok(()) };
        if lists_subject.is_none() {
            // Whoever put it there may not have come to this; what the target says is asked anew.
            let listed = self.engine.target.referrers(&self.to, &subject).await?;
            if listed.contains(&brought.digest) || self.put(brought, None).await? {
                return Ok(());
            }
        }
        self.tag_unlisted(&subject, vec![descriptor]).await
    }

    /// Adds what the target does not list to the list that lies there under a tag.
    async fn tag_unlisted(
        &self,
        subject: &Digest,
        unlisted: Vec<Map<String, Value>>,
    ) -> Result<()> {
        if let (Place::There(there), false) = (&self.engine.target, unlisted.is_empty()) {
            // One at a time, so that none overwrites what another has added.
            let _turn = self.engine.turns.of(&self.to, subject).await;
            there.tag_referrers(&self.to, subject, unlisted).await?;
        }
        Ok(())
    }
}
