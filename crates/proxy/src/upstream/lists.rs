//! Lists of an upstream: tags, and what refers to a manifest.

use http::header::LINK;
use http::{HeaderMap, Method, StatusCode};
use oci::{Digest, Reference, RepositoryName, Tag};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Asking;
use super::endpoint::{Endpoint, Question};
use super::error::UpstreamError;
use super::reading::read_body;
use super::scope::Scope;
use crate::limits::{
    CATALOG_PAGE, CATALOG_PAGES_MAX, LIST_PAGE_BYTES_MAX, LIST_PAGES_MAX, REFERRERS_MAX, TAGS_MAX,
    TAGS_PAGE,
};

/// A page, and what is asked for the next one.
struct ListPage {
    content: bytes::Bytes,
    next: Option<String>,
}

impl Endpoint {
    pub(crate) async fn tags(
        &self,
        name: &RepositoryName,
        limit: Option<usize>,
        last: Option<&str>,
        asking: &Asking,
    ) -> Result<(Vec<Tag>, bool), UpstreamError> {
        #[derive(Deserialize)]
        struct Body {
            // `null` when there are none, as Go writes it.
            tags: Option<Vec<String>>,
        }
        let limit = limit.unwrap_or(TAGS_MAX).min(TAGS_MAX);
        let mut url = self.url_of(name, "tags/list");
        let page = limit.clamp(1, TAGS_PAGE).to_string();
        url.query_pairs_mut().append_pair("n", &page);
        if let Some(last) = last {
            url.query_pairs_mut().append_pair("last", last);
        }
        let mut tags = Vec::new();
        for _ in 0..LIST_PAGES_MAX {
            let page = self.page(Scope::Pull(name.clone()), &url, None, asking).await?;
            let body: Body = serde_json::from_slice(&page.content)
                .map_err(|_| self.invalid("it is no list of tags"))?;
            // What is no tag can't be asked for either.
            let found = body.tags.unwrap_or_default().into_iter();
            tags.extend(found.filter_map(|tag| Tag::parse(&tag).ok()));
            if tags.len() > limit {
                tags.truncate(limit);
                return Ok((tags, true));
            }
            let Some(next) = page.next.filter(|next| Some(next.as_str()) != url.query()) else {
                return Ok((tags, false));
            };
            if tags.len() == limit {
                return Ok((tags, true));
            }
            url.set_query(Some(&next));
        }
        Ok((tags, true))
    }

    /// Repositories, in the endpoint's order, and whether there are more. What is no name is left
    /// out: it can't be asked for either.
    pub(crate) async fn repositories(
        &self,
        limit: usize,
        asking: &Asking,
    ) -> Result<(Vec<RepositoryName>, bool), UpstreamError> {
        #[derive(Deserialize)]
        struct Body {
            repositories: Option<Vec<String>>,
        }
        let mut url = self.url_of_all("_catalog");
        url.query_pairs_mut().append_pair("n", &limit.clamp(1, CATALOG_PAGE).to_string());
        let mut names = Vec::new();
        for _ in 0..CATALOG_PAGES_MAX {
            let page = self.page(Scope::Catalog, &url, None, asking).await?;
            let body: Body = serde_json::from_slice(&page.content)
                .map_err(|_| self.invalid("it is no list of repositories"))?;
            let found = body.repositories.unwrap_or_default().into_iter();
            names.extend(found.filter_map(|name| RepositoryName::parse(&name).ok()));
            if names.len() > limit {
                names.truncate(limit);
                return Ok((names, true));
            }
            let Some(next) = page.next.filter(|next| Some(next.as_str()) != url.query()) else {
                return Ok((names, false));
            };
            url.set_query(Some(&next));
        }
        Ok((names, true))
    }

    pub(crate) async fn referrers(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        artifact_type: Option<&str>,
        asking: &Asking,
    ) -> Result<Vec<Map<String, Value>>, UpstreamError> {
        let mut url = self.url_of(name, &format!("referrers/{digest}"));
        if let Some(of) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", of);
        }
        let mut found = Vec::new();
        for number in 0..LIST_PAGES_MAX {
            let page = match self.page(Scope::Pull(name.clone()), &url, Some(INDEX), asking).await {
                Err(error) if number == 0 && knows_no_referrers(&error) => {
                    found = self.tagged_referrers(name, digest, asking).await?;
                    break;
                }
                page => page?,
            };
            // A server that takes unknown paths for those of its web pages has no referrers.
            match descriptors(&page.content) {
                Some(descriptors) => found.extend(descriptors),
                None if number == 0 => {
                    found = self.tagged_referrers(name, digest, asking).await?;
                    break;
                }
                None => return Err(self.invalid("it is no list of referrers")),
            }
            let next = page.next.filter(|next| Some(next.as_str()) != url.query());
            match next.filter(|_| found.len() < REFERRERS_MAX) {
                Some(next) => url.set_query(Some(&next)),
                None => break,
            }
        }
        // Not every server does it.
        if let Some(of) = artifact_type {
            found.retain(|descriptor| {
                descriptor.get("artifactType").and_then(Value::as_str) == Some(of)
            });
        }
        found.truncate(REFERRERS_MAX);
        Ok(found)
    }

    /// What the tag lists that clients keep where there are no referrers (distribution-spec,
    /// "Referrers Tag Schema").
    async fn tagged_referrers(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        asking: &Asking,
    ) -> Result<Vec<Map<String, Value>>, UpstreamError> {
        let Ok(tag) = Tag::parse(&digest.referrers_tag()) else { return Ok(Vec::new()) };
        match self.manifest(name, &Reference::Tag(tag), asking).await {
            Ok(fetched) => Ok(descriptors(&fetched.content).unwrap_or_default()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        scope: Scope,
        url: &Url,
        accept: Option<&'static str>,
        asking: &Asking,
    ) -> Result<ListPage, UpstreamError> {
        let url = url.clone();
        let (method, range, content) = (Method::GET, None, None);
        let question = Question { method, url, scope, accept, range, content, asking };
        let mut response = self.ask(&question).await?.response;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let next = next_query(response.headers());
        let content = read_body(&mut response, LIST_PAGE_BYTES_MAX, self.body_idle_timeout)
            .await
            .map_err(|fault| self.unread(fault, LIST_PAGE_BYTES_MAX))?;
        self.counters.add_bytes(content.len());
        Ok(ListPage { content, next })
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Whether an answer says that there is no such request.
fn knows_no_referrers(error: &UpstreamError) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404 | 405 | 406 | 501))
}

/// The descriptors of an index.
fn descriptors(content: &[u8]) -> Option<Vec<Map<String, Value>>> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Option<Vec<Map<String, Value>>>,
    }
    let index: Index = serde_json::from_slice(content).ok()?;
    Some(index.manifests.unwrap_or_default())
}

/// The query of the next page. Its path and host are known: those of a registry behind a load
/// balancer are often wrong.
fn next_query(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|links| links.split(',')).find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            matches!(parameter.as_str(), "rel=next" | "rel=\"next\"")
        });
        let (_, query) = url.split_once('?').filter(|_| is_next)?;
        Some(query.split('#').next().unwrap_or_default().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn links() {
        let next = |text: &str| {
            next_query(&[(LINK, HeaderValue::from_str(text).unwrap())].into_iter().collect())
        };
        let expected = Some("last=b&n=2".to_owned());
        assert_eq!(next(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#), expected);
        assert_eq!(next("<http://10.0.0.1/x?last=b&n=2>;rel=next"), expected);
        assert_eq!(
            next(r#"</a?x>; rel="prev", </v2/a/tags/list?last=b&n=2>; rel="next""#),
            expected
        );
        for odd in ["", "</v2/a/tags/list>; rel=\"next\"", "</a?x>; rel=\"prev\"", "/a?x; rel=next"]
        {
            assert_eq!(next(odd), None, "{odd}");
        }
    }
}
