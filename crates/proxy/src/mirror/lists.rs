//! Lists of a mirrored repository: the upstream's, with what is here.

use std::collections::BTreeMap;

use oci::{Digest, RepositoryName, Tag};
use registry::{Error, Names, Page};
use serde_json::{Map, Value};
use tracing::warn;

use super::{Mirrored, Served};
use crate::error::{MirrorError, Result, Wanted};
use crate::limits::{REFERRERS_MAX, TAGS_MAX, TAGS_PAGE};

impl Mirrored<'_> {
    /// A page of the tags, sorted: those of the upstream and those that are here, or those alone
    /// when the upstream can't be asked.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn list_tags(&self, page: Page<'_>) -> Result<Served<Names>> {
        let here = match self.mirror.registry.list_tags(self.name, page).await {
            Ok(answer) => Some((*answer).clone()),
            Err(Error::NameUnknown { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let there = match self.there(&Wanted::List) {
            Ok(there) => self.tags_there(&there, page).await,
            Err(error) => Err(error),
        };
        match (there, here) {
            (Ok((tags, more)), here) => {
                Ok(Served { content: merged(tags, more, here, page), stale: None })
            }
            (Err(error), Some(here)) if !error.is_not_found() => {
                warn!(repository = %self.name, %error, "the tags are those that are here");
                Ok(Served { content: here, stale: Some(error.to_string()) })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The tags of the upstream behind `page.last`, sorted as here, and whether there are more; one
    /// more than the page has, if there are so many.
    ///
    /// The upstream may have an order of its own, such as one that ignores case, in which other tags
    /// are behind `last`. So it is looked how its list begins, and a list in another order is read as
    /// a whole each time. Most lists are whole by then.
    async fn tags_there(&self, there: &RepositoryName, page: Page<'_>) -> Result<(Vec<Tag>, bool)> {
        let Mirrored { name, covering, asking, .. } = self;
        let (upstream, memory) = (&covering.upstream, &self.mirror.memory);
        let limit = page.limit.map_or(TAGS_MAX, |limit| limit.saturating_add(1)).min(TAGS_MAX);
        if let Some(last) = page.last
            && memory.is_sorted(name)
        {
            let (tags, more) = upstream.tags(there, Some(limit), Some(last), asking).await?;
            if are_sorted_behind(Some(last), &tags) {
                return Ok((tags, more));
            }
        }
        let begin = limit.max(TAGS_PAGE);
        let (mut tags, mut more) = upstream.tags(there, Some(begin), None, asking).await?;
        let is_sorted = are_sorted_behind(None, &tags);
        memory.note_sorted(name, is_sorted);
        if more && is_sorted {
            let Some(last) = page.last else { return Ok((tags, more)) };
            let (behind, more) = upstream.tags(there, Some(limit), Some(last), asking).await?;
            if are_sorted_behind(Some(last), &behind) {
                return Ok((behind, more));
            }
            memory.note_sorted(name, false);
        }
        if more && begin < TAGS_MAX {
            (tags, more) = upstream.tags(there, None, None, asking).await?;
        }
        tags.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        tags.retain(|tag| page.last.is_none_or(|last| tag.as_str() > last));
        Ok((tags, more))
    }

    /// All that refers to a manifest, by digest: what the upstream knows and what is here.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn list_referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Served<BTreeMap<String, Map<String, Value>>>> {
        let page = Page { limit: Some(REFERRERS_MAX), last: None };
        let registry = &self.mirror.registry;
        let here = registry.list_referrers(self.name, subject, artifact_type, page).await?;
        let mut found: BTreeMap<_, _> = here
            .manifests
            .iter()
            .filter_map(|descriptor| match serde_json::to_value(&**descriptor) {
                Ok(Value::Object(map)) => Some((descriptor.digest.to_string(), map)),
                _ => None,
            })
            .collect();
        let there = match self.there(&Wanted::List) {
            Ok(there) => {
                let upstream = &self.covering.upstream;
                let asked = upstream.referrers(&there, subject, artifact_type, &self.asking).await;
                asked.map_err(MirrorError::from)
            }
            Err(error) => Err(error),
        };
        match there {
            Ok(descriptors) => {
                let by_digest = descriptors.into_iter().filter_map(|descriptor| {
                    let digest = descriptor.get("digest")?.as_str()?;
                    Some((Digest::parse(digest).ok()?.to_string(), descriptor))
                });
                found.extend(by_digest);
                Ok(Served { content: found, stale: None })
            }
            // What has no manifest has no referrers.
            Err(error) if error.is_not_found() => Ok(Served { content: found, stale: None }),
            // An empty list would say that there are none.
            Err(error) if found.is_empty() => Err(error),
            Err(error) => {
                warn!(repository = %self.name, %subject, %error, "the referrers are those that are here");
                Ok(Served { content: found, stale: Some(error.to_string()) })
            }
        }
    }
}

/// Whether tags are in the order of their bytes, and behind `last`.
fn are_sorted_behind(last: Option<&str>, tags: &[Tag]) -> bool {
    let first = tags.first().map(Tag::as_str);
    first.is_none_or(|first| last.is_none_or(|last| first > last))
        && tags.is_sorted_by(|a, b| a.as_str() <= b.as_str())
}

/// The first tags of two sorted lists.
fn merged(tags: Vec<Tag>, more: bool, here: Option<Names>, page: Page<'_>) -> Names {
    let here = here.unwrap_or_default();
    let mut names: Vec<String> = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    // Behind the end of a list that has more, nothing is known of what comes between.
    let ends = [
        names.iter().max().filter(|_| more).cloned(),
        here.names.last().filter(|_| here.more).cloned(),
    ];
    names.extend(here.names);
    names.sort_unstable();
    names.dedup();
    let mut more = false;
    if let Some(end) = ends.iter().flatten().min() {
        names.retain(|name| name <= end);
        more = true;
    }
    if let Some(limit) = page.limit
        && names.len() > limit
    {
        names.truncate(limit);
        more = limit > 0;
    }
    Names { names, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str], more: bool) -> Names {
        Names { names: names.iter().map(ToString::to_string).collect(), more }
    }

    #[test]
    fn two_lists_become_one_page() {
        let tags = |names: &[&str]| names.iter().map(|name| Tag::parse(name).unwrap()).collect();
        let page = |limit| Page { limit, last: None };
        for (there, more, here, limit, expected) in [
            (tags(&["a", "c"]), false, None, None, names(&["a", "c"], false)),
            (
                tags(&["a", "c"]),
                false,
                Some(names(&["b", "c"], false)),
                None,
                names(&["a", "b", "c"], false),
            ),
            (
                tags(&["a", "c"]),
                false,
                Some(names(&["b"], false)),
                Some(2),
                names(&["a", "b"], true),
            ),
            // What lies between "c" and "x" there is not known.
            (
                tags(&["a", "c"]),
                true,
                Some(names(&["x"], false)),
                Some(9),
                names(&["a", "c"], true),
            ),
            (tags(&["b", "a"]), false, None, Some(1), names(&["a"], true)),
            (tags(&[]), false, Some(names(&[], false)), Some(0), names(&[], false)),
        ] {
            assert_eq!(merged(there, more, here, page(limit)), expected);
        }
    }
}
