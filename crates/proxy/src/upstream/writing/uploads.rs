//! Pushing blobs: an upload is begun with one request, and all of it is sent with another one.

use std::fmt;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use oci::{Digest, RepositoryName};
use reqwest::Url;

use super::super::Asking;
use super::super::endpoint::{Answer, Endpoint, Question};
use super::super::error::UpstreamError;
use super::super::reading::{describe, forbidden};
use super::super::scope::Scope;
use super::Outgoing;
use super::flow::Flow;

/// What came of beginning to push a blob.
#[derive(Debug)]
pub enum Begun {
    /// The upstream has taken it from another repository.
    Mounted,
    /// It has to be sent.
    Upload(PendingUpload),
}

/// An upload that was begun.
pub struct PendingUpload {
    scope: Scope,
    url: Url,
    /// The URL was made by somebody else than the endpoint.
    strayed: bool,
}

impl fmt::Debug for PendingUpload {
    // The URL may be signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpload").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(super) async fn begin_upload(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        mount_from: Option<&RepositoryName>,
        asking: &Asking,
    ) -> Result<Begun, UpstreamError> {
        let mut url = self.url_of(name, "blobs/uploads/");
        let mut scope = Scope::Push(name.clone());
        if let Some(from) = mount_from {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from.as_str());
            scope = Scope::Mount { to: name.clone(), from: from.clone() };
        }
        let question = Question {
            method: Method::POST,
            url: url.clone(),
            scope: scope.clone(),
            accept: None,
            range: None,
            content: None,
            asking,
        };
        let Answer { response, strayed } = self.ask(&question).await?;
        match response.status() {
            StatusCode::CREATED if mount_from.is_some() => {
                let said = self.digest_said(response.headers())?;
                self.check_said(digest, said.as_ref())?;
                self.drain(response).await;
                Ok(Begun::Mounted)
            }
            StatusCode::ACCEPTED => {
                let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
                let location = location.and_then(|location| response.url().join(location).ok());
                let location = location
                    .ok_or_else(|| self.invalid("it does not say where the blob is to be sent"))?;
                let location = self.may_lead(response.url(), location)?;
                self.drain(response).await;
                let strayed = strayed || location.origin() != self.base().origin();
                Ok(Begun::Upload(PendingUpload { scope, url: location, strayed }))
            }
            _ => Err(self.refused(response).await),
        }
    }

    pub(super) async fn finish_upload(
        &self,
        upload: PendingUpload,
        digest: &Digest,
        size_bytes: u64,
        body: Outgoing,
        asking: &Asking,
    ) -> Result<(), UpstreamError> {
        let PendingUpload { scope, mut url, strayed } = upload;
        let begun = url.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let client = self.clients.client_for(&url).map_err(|reason| self.invalid(reason))?;
        let flow = Flow::new(size_bytes);
        let mut request = client
            .put(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(CONTENT_LENGTH, HeaderValue::from(size_bytes))
            .body(flow.body(body));
        let authorization = match strayed {
            true => None,
            false => self.authorization(&scope, asking).await?,
        };
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.turn().await;
        let sent = tokio::select! {
            sent = request.send() => sent.map_err(|error| match forbidden(&error) {
                Some(forbidden) => self.invalid(forbidden.to_string()),
                None => self.unsent(&flow, describe(error)),
            }),
            reason = flow.stalled(self.body_idle_timeout) => Err(self.unsent(&flow, reason)),
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                self.give_up(client, begun, authorization.as_ref()).await;
                return Err(error);
            }
        };
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let said = self.digest_said(response.headers())?;
        self.check_said(digest, said.as_ref())?;
        self.drain(response).await;
        Ok(())
    }

    /// Tells the endpoint that an upload goes no further, so that it need not keep what it has of it.
    /// One that does not know how is left with it until it purges its uploads.
    async fn give_up(
        &self,
        client: &reqwest::Client,
        upload: Url,
        authorization: Option<&HeaderValue>,
    ) {
        let mut request = client.delete(upload);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Ok(response) = self.send(request).await {
            self.drain(response).await;
        }
    }

    fn unsent(&self, flow: &Flow, reason: String) -> UpstreamError {
        match flow.sent_bytes() {
            0 => self.unreachable(reason),
            at_bytes => {
                UpstreamError::Cut { upstream: self.upstream.to_string(), at_bytes, reason }
            }
        }
    }
}
