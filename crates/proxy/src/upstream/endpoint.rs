//! One endpoint of an upstream, and the requests to it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION,
    RANGE,
};
use http::{Method, StatusCode};
use oci::RepositoryName;
use reqwest::{Response, Url};
use tokio::time::Instant;

use super::Asking;
use super::authority::{Authority, Who};
use super::challenge::Challenge;
use super::client::Clients;
use super::error::{UpstreamError, UpstreamSetupError};
use super::health::Counters;
use super::logins::Logins;
use super::options::UpstreamOptions;
use super::reading::{BodyFault, describe, forbidden, read_body};
use super::scope::Scope;
use super::throttle::Throttle;
use crate::limits::{ENDPOINT_DOWN_FOR, ERROR_BYTES_MAX, REDIRECTS_MAX};

/// One endpoint of an upstream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The upstream's name.
    pub(crate) upstream: Arc<str>,
    /// Its path ends with a slash.
    url: Url,
    pub(crate) clients: Clients,
    authority: Authority,
    logins: Arc<Logins>,
    pub(crate) counters: Arc<Counters>,
    throttle: Arc<Throttle>,
    answer_timeout: Duration,
    pub(crate) body_idle_timeout: Duration,
    down_until: Mutex<Option<Instant>>,
}

/// What an endpoint is asked.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) scope: Scope,
    pub(crate) accept: Option<&'static str>,
    pub(crate) range: Option<HeaderValue>,
    /// What is sent, and its media type; only with what writes.
    pub(crate) content: Option<(&'static str, Bytes)>,
    pub(crate) asking: &'a Asking,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// It came from elsewhere.
    pub(crate) strayed: bool,
}

impl Question<'_> {
    /// Whether it is to change something.
    fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Endpoint {
    pub(crate) fn new(
        options: &UpstreamOptions,
        url: &Url,
        logins: Arc<Logins>,
        counters: Arc<Counters>,
        throttle: Arc<Throttle>,
    ) -> Result<Self, UpstreamSetupError> {
        let unusable = |reason: &str| UpstreamSetupError::Url {
            upstream: options.name.clone(),
            reason: reason.to_owned(),
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(unusable("it is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("user and password belong to settings of their own"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(unusable("it has a query or a fragment"));
        }
        let mut base = url.clone();
        // The name under which images are known is not that of the registry.
        if base.host_str() == Some("docker.io") {
            let _ = base.set_host(Some("registry-1.docker.io"));
        }
        base.set_path(&format!("{}/", url.path().trim_end_matches('/')));
        Ok(Self {
            upstream: options.name.as_str().into(),
            clients: Clients::new(options, &base)?,
            url: base,
            authority: Authority::default(),
            logins,
            counters,
            throttle,
            answer_timeout: options.answer_timeout,
            body_idle_timeout: options.body_idle_timeout,
            down_until: Mutex::default(),
        })
    }

    /// The URL of something in a repository.
    pub(crate) fn url_of(&self, repository: &RepositoryName, what: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}v2/{repository}/{what}", self.url.path()));
        url
    }

    /// The URL of something that is in no repository.
    pub(crate) fn url_of_all(&self, what: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}v2/{what}", self.url.path()));
        url
    }

    /// How it is told who asks, without a question: for what can be sent only once.
    ///
    /// # Errors
    /// [`UpstreamError`] when there is nobody to be.
    pub(crate) async fn authorization(
        &self,
        scope: &Scope,
        asking: &Asking,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        self.authority.ready(self, scope, &Who::of(asking)).await
    }

    /// Waits until it may be asked once more.
    pub(crate) async fn turn(&self) {
        self.throttle.turn().await;
    }

    /// Asks, and lets the endpoint know who asks when it wants to know. The answer may be a no.
    ///
    /// # Errors
    /// [`UpstreamError`] when there is no answer, or none to the question who may ask.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Answer, UpstreamError> {
        let who = Who::of(question.asking);
        let ready = self.authority.ready(self, &question.scope, &who).await?;
        let answer = self.follow(question, ready.as_ref()).await?;
        if answer.response.status() != StatusCode::UNAUTHORIZED || answer.strayed {
            return Ok(answer);
        }
        let Some(challenge) = Challenge::of(answer.response.headers()) else { return Ok(answer) };
        let met = self.authority.meet(self, &question.scope, &who, challenge, ready.as_ref());
        match met.await? {
            None => Ok(answer),
            Some(authorization) => {
                self.drain(answer.response).await;
                self.follow(question, Some(&authorization)).await
            }
        }
    }

    /// Asks, and goes where the answers lead to. The credentials go to the endpoint only.
    async fn follow(
        &self,
        question: &Question<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, UpstreamError> {
        let mut url = question.url.clone();
        let mut strayed = false;
        for _ in 0..=REDIRECTS_MAX {
            // Once elsewhere, a URL here was made by someone else.
            strayed = strayed || url.origin() != self.url.origin();
            let client = self.clients.client_for(&url).map_err(|reason| self.invalid(reason))?;
            let mut request = client
                .request(question.method.clone(), url.clone())
                .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(accept) = question.accept {
                request = request.header(ACCEPT, HeaderValue::from_static(accept));
            }
            if let Some(range) = &question.range {
                request = request.header(RANGE, range);
            }
            if let Some(authorization) = authorization.filter(|_| !strayed) {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some((media_type, content)) = &question.content {
                request = request
                    .header(CONTENT_TYPE, HeaderValue::from_static(media_type))
                    .body(content.clone());
            } else if question.writes() {
                request = request.header(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            let response = self.send(request).await?;
            if !strayed {
                self.counters.note_rate_limit(response.headers());
            }
            // Another method would be meant there.
            let is_final = question.writes() && !matches!(response.status().as_u16(), 307 | 308);
            let next = if is_final { None } else { self.redirected(&response, &url)? };
            let Some(next) = next else {
                return Ok(Answer { response, strayed });
            };
            self.drain(response).await;
            url = next;
        }
        Err(self.invalid(format!("it leads on more than {REDIRECTS_MAX} times")))
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Response, UpstreamError> {
        self.throttle.turn().await;
        match tokio::time::timeout(self.answer_timeout, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match forbidden(&error) {
                Some(forbidden) => self.invalid(forbidden.to_string()),
                None => self.unreachable(describe(error)),
            }),
            Err(_) => {
                let seconds = self.answer_timeout.as_secs_f32();
                Err(self.unreachable(format!("no answer within {seconds} s")))
            }
        }
    }

    /// Where an answer leads to.
    fn redirected(&self, response: &Response, url: &Url) -> Result<Option<Url>, UpstreamError> {
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        let next = next.ok_or_else(|| self.invalid("it leads nowhere".to_owned()))?;
        self.may_lead(url, next).map(Some)
    }

    /// Where an answer to a request for `url` leads to, if that may be.
    pub(crate) fn may_lead(&self, url: &Url, mut next: Url) -> Result<Url, UpstreamError> {
        if url.scheme() == "https" && next.scheme() != "https" {
            return Err(self.invalid("it leads from https to http".to_owned()));
        }
        // Credentials in a URL are not followed anywhere.
        let _ = next.set_username("");
        let _ = next.set_password(None);
        Ok(next)
    }

    /// Reads a short answer to its end, so that its connection can be used again.
    pub(crate) async fn drain(&self, mut response: Response) {
        let _ = read_body(&mut response, ERROR_BYTES_MAX, self.body_idle_timeout).await;
    }

    /// Whether this endpoint is to be tried last.
    pub(crate) fn is_down(&self) -> bool {
        lock(&self.down_until).is_some_and(|until| Instant::now() < until)
    }

    /// Whether it answered.
    pub(crate) fn note_reached(&self, reached: bool) {
        *lock(&self.down_until) = (!reached).then(|| Instant::now() + ENDPOINT_DOWN_FOR);
    }

    /// What wharf is to this upstream.
    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// The URL that is configured.
    pub(crate) fn base(&self) -> &Url {
        &self.url
    }

    /// An answer that can't be right.
    pub(crate) fn invalid(&self, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::Invalid { upstream: self.upstream.to_string(), reason: reason.into() }
    }

    pub(crate) fn unreachable(&self, reason: String) -> UpstreamError {
        UpstreamError::Unreachable { upstream: self.upstream.to_string(), reason }
    }

    /// The error that a body is which was not read to its end.
    pub(crate) fn unread(&self, fault: BodyFault, bytes_max: usize) -> UpstreamError {
        let upstream = self.upstream.to_string();
        match fault {
            BodyFault::TooLarge => self.invalid(format!("it is larger than {bytes_max} bytes")),
            BodyFault::Cut(at_bytes, reason) => UpstreamError::Cut { upstream, at_bytes, reason },
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
