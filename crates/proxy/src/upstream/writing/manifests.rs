//! Pushing manifests.

use bytes::Bytes;
use http::{HeaderName, Method};
use oci::{Algorithm, Digest, MediaType, Reference, RepositoryName};

use super::super::Asking;
use super::super::endpoint::{Endpoint, Question};
use super::super::error::UpstreamError;
use super::super::scope::Scope;

/// The header by which a registry says that it keeps referrers (distribution-spec, "Pushing
/// Manifests with Subject").
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What came of pushing a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutManifest {
    /// Whether the upstream took note of its subject, so that no list of referrers has to be kept
    /// under a tag.
    pub lists_subject: bool,
}

impl Endpoint {
    pub(super) async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        media_type: MediaType,
        content: &Bytes,
        asking: &Asking,
    ) -> Result<PutManifest, UpstreamError> {
        let question = Question {
            method: Method::PUT,
            url: self.url_of(name, &format!("manifests/{reference}")),
            scope: Scope::Push(name.clone()),
            accept: None,
            range: None,
            content: Some((media_type.as_str(), content.clone())),
            asking,
        };
        let response = self.ask(&question).await?.response;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let said = self.digest_said(response.headers())?;
        let algorithm = said.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        self.check_said(&Digest::of(algorithm, content), said.as_ref())?;
        let lists_subject = response.headers().contains_key(SUBJECT);
        self.drain(response).await;
        Ok(PutManifest { lists_subject })
    }
}
