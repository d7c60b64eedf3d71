//! Manifests of an upstream.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, sniff_media_type};
use reqwest::Response;

use super::endpoint::{Answer, Endpoint, Question};
use super::error::UpstreamError;
use super::reading::{read_body, refusal};
use super::scope::Scope;
use super::{Asking, Fetched, Resolved};
use crate::limits::MANIFEST_BYTES_MAX;

/// The kinds of manifests that are asked for: those that wharf stores.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Endpoint {
    pub(crate) async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Resolved, UpstreamError> {
        let answer = self.ask_manifest(Method::HEAD, name, reference, asking).await?;
        let status = answer.response.status();
        // Who does not answer HEAD, and who answers it with less than was asked.
        if matches!(status.as_u16(), 405 | 501) {
            return self.resolve_by_content(name, reference, asking).await;
        }
        if status != StatusCode::OK {
            return Err(self.refused(answer.response).await);
        }
        let headers = answer.response.headers();
        let digest = match (reference, self.digest_said(headers)?) {
            (Reference::Digest(asked), said) => {
                self.check_said(asked, said.as_ref())?;
                Some(*asked)
            }
            (Reference::Tag(_), said) => said,
        };
        match (digest, media_type_said(headers)) {
            (Some(digest), Some(media_type)) => {
                Ok(Resolved { digest, media_type, size_bytes: size_said(headers) })
            }
            _ => self.resolve_by_content(name, reference, asking).await,
        }
    }

    async fn resolve_by_content(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Resolved, UpstreamError> {
        let Fetched { digest, media_type, content } =
            self.manifest(name, reference, asking).await?;
        Ok(Resolved { digest, media_type, size_bytes: Some(content.len() as u64) })
    }

    pub(crate) async fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Fetched, UpstreamError> {
        let answer = self.ask_manifest(Method::GET, name, reference, asking).await?;
        let mut response = answer.response;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let media_type = media_type_said(response.headers());
        let said = self.digest_said(response.headers())?;
        let content = read_body(&mut response, MANIFEST_BYTES_MAX, self.body_idle_timeout)
            .await
            .map_err(|fault| self.unread(fault, MANIFEST_BYTES_MAX))?;
        self.counters.add_bytes(content.len());
        let expected = match reference {
            Reference::Digest(asked) => Some(*asked),
            Reference::Tag(_) => said,
        };
        let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let digest = Digest::of(algorithm, &content);
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            let reason = format!("the manifest {expected} has the digest {digest}");
            return Err(self.invalid(reason));
        }
        let media_type = media_type.or_else(|| sniff_media_type(&content));
        let Some(media_type) = media_type.filter(|of| *of != MediaType::DockerSchema1) else {
            return Err(self.invalid("it is no manifest of a kind that is known"));
        };
        Ok(Fetched { digest, media_type, content })
    }

    async fn ask_manifest(
        &self,
        method: Method,
        repository: &RepositoryName,
        reference: &Reference,
        asking: &Asking,
    ) -> Result<Answer, UpstreamError> {
        let url = self.url_of(repository, &format!("manifests/{reference}"));
        let (scope, accept) = (Scope::Pull(repository.clone()), Some(ACCEPT));
        let (range, content) = (None, None);
        self.ask(&Question { method, url, scope, accept, range, content, asking }).await
    }

    /// The error that a refusal is.
    pub(crate) async fn refused(&self, response: Response) -> UpstreamError {
        refusal(&self.upstream, response, self.body_idle_timeout).await
    }

    /// The digest that an answer says its content has.
    pub(crate) fn digest_said(&self, headers: &HeaderMap) -> Result<Option<Digest>, UpstreamError> {
        let Some(value) = headers.get(DIGEST) else { return Ok(None) };
        let digest = value.to_str().ok().and_then(|text| Digest::parse(text).ok());
        digest.map(Some).ok_or_else(|| self.invalid("its Docker-Content-Digest is not a digest"))
    }

    /// An answer to a question for a digest says that one, or one of another algorithm.
    pub(crate) fn check_said(
        &self,
        asked: &Digest,
        said: Option<&Digest>,
    ) -> Result<(), UpstreamError> {
        match said {
            Some(said) if said.algorithm() == asked.algorithm() && said != asked => {
                Err(self.invalid(format!("{asked} was asked for, and it says that this is {said}")))
            }
            _ => Ok(()),
        }
    }
}

fn media_type_said(headers: &HeaderMap) -> Option<MediaType> {
    MediaType::from_content_type(headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

/// The size that an answer says its body has.
pub(crate) fn size_said(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
