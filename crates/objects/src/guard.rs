//! Between the library and the network: what keeps an outage of the store from becoming worse.
//!
//! Every attempt of every request goes through here. Repetitions are paid from a budget that only
//! successes fill, and a store that fails again and again is left alone for a moment, after which
//! one request tries it. Errors of the store become typed errors, so that nobody has to read texts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::failure::StoreFailure;
use crate::limits::{
    ERROR_BODY_BYTES_MAX, FAILURES_UNTIL_OPEN, OPEN_MAX, OPEN_MIN, RETRY_BUDGET_MAX,
    RETRY_BUDGET_PER_SUCCESS,
};

/// What is known of how the store does.
#[derive(Debug)]
pub(crate) struct Guard {
    state: Mutex<State>,
    requests: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    /// How many requests may wait for an answer.
    room: Option<Semaphore>,
}

#[derive(Debug)]
struct State {
    failures_in_a_row: u32,
    /// Until when nobody asks, and for how long that is.
    left_alone: Option<(Instant, Duration)>,
    /// One request is finding out whether it is back.
    is_tried: bool,
    budget: f64,
}

/// What a guard has counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Attempts that were made, repetitions among them.
    pub requests: u64,
    /// Those that failed: no connection, no answer in time, 5xx and 429.
    pub failures: u64,
    /// Those that were not made, since the store was left alone.
    pub refused: u64,
    /// Whether it is left alone at this moment.
    pub is_left_alone: bool,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
}

impl Guard {
    /// Lets `at_once` requests wait for an answer at a time, or any number.
    pub(crate) fn new(at_once: Option<usize>) -> Self {
        let state = State {
            failures_in_a_row: 0,
            left_alone: None,
            is_tried: false,
            budget: RETRY_BUDGET_MAX,
        };
        Self {
            state: Mutex::new(state),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            room: at_once.map(|at_once| Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted.
    pub(crate) fn health(&self) -> StoreHealth {
        StoreHealth {
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            is_left_alone: self.state().left_alone.is_some(),
        }
    }

    /// Whether the store may be asked now.
    fn admit(self: &Arc<Self>, now: Instant) -> Result<Attempt, StoreFailure> {
        let mut state = self.state();
        if let Some((until, _)) = state.left_alone {
            if now < until || state.is_tried {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(StoreFailure::LeftAlone { failures: state.failures_in_a_row });
            }
            state.is_tried = true;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(Attempt { guard: Arc::clone(self), is_told: false })
    }

    /// Notes how an attempt went. Returns whether a failure may be repeated.
    fn tell(&self, outcome: Outcome, now: Instant) -> bool {
        let mut state = self.state();
        state.is_tried = false;
        if outcome == Outcome::Success {
            if state.left_alone.take().is_some() {
                info!("the store answers again");
            }
            state.failures_in_a_row = 0;
            state.budget = (state.budget + RETRY_BUDGET_PER_SUCCESS).min(RETRY_BUDGET_MAX);
            return true;
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        let pause = match state.left_alone {
            Some((_, pause)) => Some((2 * pause).min(OPEN_MAX)),
            None if state.failures_in_a_row >= FAILURES_UNTIL_OPEN => {
                let failures = state.failures_in_a_row;
                warn!(failures, "the store fails again and again, and is left alone for a moment");
                Some(OPEN_MIN)
            }
            None => None,
        };
        if let Some(pause) = pause {
            // Replicas come back one after the other.
            let pause = pause.mul_f64(rand::random_range(0.8..1.2));
            state.left_alone = Some((now + pause, pause));
            return false;
        }
        if state.budget < 1.0 {
            return false;
        }
        state.budget -= 1.0;
        true
    }
}

/// An attempt that was admitted. One that is given up tells nothing, but others may try.
struct Attempt {
    guard: Arc<Guard>,
    is_told: bool,
}

impl Attempt {
    fn tell(mut self, outcome: Outcome) -> bool {
        self.is_told = true;
        self.guard.tell(outcome, Instant::now())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_told {
            self.guard.state().is_tried = false;
        }
    }
}

/// Makes clients whose requests go through a guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded(pub(crate) Arc<Guard>);

impl HttpConnector for Guarded {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(GuardedService { inner, guard: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct GuardedService {
    inner: HttpClient,
    guard: Arc<Guard>,
}

/// A header of Azure's, handed to whoever asked: the library does not look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyStatus(pub(crate) String);

#[async_trait]
impl HttpService for GuardedService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let attempt = self.guard.admit(Instant::now());
        // Not repeated: the caller shall hear at once that there is no use in waiting.
        let attempt = attempt.map_err(|refused| HttpError::new(HttpErrorKind::Unknown, refused))?;
        let _room = match &self.guard.room {
            Some(room) => room.acquire().await.ok(),
            None => None,
        };
        let method = request.method().clone();
        let answer = match self.inner.execute(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let may_repeat = attempt.tell(Outcome::Failure);
                return Err(if may_repeat { error } else { final_error(error) });
            }
        };
        let status = answer.status();
        if is_failure(status) {
            let may_repeat = attempt.tell(Outcome::Failure);
            let failure = read_failure(answer).await;
            return Err(HttpError::new(kind_of(status, may_repeat), failure));
        }
        attempt.tell(Outcome::Success);
        if is_error(status, &method) {
            return explained(answer).await;
        }
        Ok(with_copy_status(answer))
    }
}

fn is_failure(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// Which kind makes the library repeat what may be repeated: what was turned away always, what may
/// have been done only where doing it twice is the same.
fn kind_of(status: StatusCode, may_repeat: bool) -> HttpErrorKind {
    match status {
        _ if !may_repeat => HttpErrorKind::Unknown,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => HttpErrorKind::Request,
        _ => HttpErrorKind::Interrupted,
    }
}

/// An error that is told as it is and not repeated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Final(#[source] HttpError);

fn final_error(error: HttpError) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, Final(error))
}

/// Whether an answer is an error that has a body with the reason. What is told by its status alone
/// is left to the library.
fn is_error(status: StatusCode, method: &Method) -> bool {
    let told_by_status =
        [StatusCode::NOT_MODIFIED, StatusCode::PRECONDITION_FAILED, StatusCode::CONFLICT];
    (status.is_client_error() || status.is_redirection())
        && !told_by_status.contains(&status)
        && *method != Method::HEAD
}

/// An answer with an error: typed, unless it says that an object is not there. That the bucket is
/// not there is another matter, with the same status.
async fn explained(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let status = answer.status();
    let (parts, body) = answer.into_parts();
    let body = first_bytes(body).await;
    let failure = failure(status, &body);
    if status == StatusCode::NOT_FOUND && is_absence(&failure) {
        return Ok(HttpResponse::from_parts(parts, body.into()));
    }
    Err(HttpError::new(HttpErrorKind::Unknown, failure))
}

/// Whether a 404 is about the object, or the upload, and not about the bucket or the account.
fn is_absence(failure: &StoreFailure) -> bool {
    let StoreFailure::Answered { code, .. } = failure else { return false };
    let known = ["NoSuchKey", "NoSuchUpload", "NoSuchVersion", "BlobNotFound", "NotFound"];
    code.as_deref().is_none_or(|code| known.contains(&code))
}

async fn read_failure(answer: HttpResponse) -> StoreFailure {
    let status = answer.status();
    let body = first_bytes(answer.into_body()).await;
    failure(status, &body)
}

async fn first_bytes(body: HttpResponseBody) -> Bytes {
    use futures_util::StreamExt as _;
    let mut stream = body.bytes_stream();
    let mut read = Vec::new();
    while let Some(Ok(piece)) = stream.next().await {
        read.extend_from_slice(&piece);
        if read.len() > ERROR_BODY_BYTES_MAX {
            read.truncate(ERROR_BODY_BYTES_MAX);
            break;
        }
    }
    read.into()
}

/// What S3, Google's XML API and Azure put into the body of an error.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
}

fn failure(status: StatusCode, body: &[u8]) -> StoreFailure {
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}');
    match quick_xml::de::from_str::<ErrorBody>(body) {
        Ok(ErrorBody { code, message }) => {
            StoreFailure::Answered { status, code, text: one_line(&message.unwrap_or_default()) }
        }
        Err(_) => StoreFailure::Answered { status, code: None, text: one_line(body) },
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn with_copy_status(mut answer: HttpResponse) -> HttpResponse {
    let status = answer.headers().get("x-ms-copy-status").and_then(|value| value.to_str().ok());
    if let Some(status) = status.map(|status| CopyStatus(status.to_owned())) {
        answer.extensions_mut().insert(status);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(guard: &Arc<Guard>, now: Instant, outcome: Outcome) -> Option<bool> {
        let mut attempt = guard.admit(now).ok()?;
        attempt.is_told = true;
        Some(guard.tell(outcome, now))
    }

    #[test]
    fn a_store_that_fails_is_left_alone_and_tried_by_one() {
        let guard = Arc::new(Guard::new(None));
        let mut now = Instant::now();
        for _ in 0..FAILURES_UNTIL_OPEN {
            assert!(attempt(&guard, now, Outcome::Failure).is_some());
        }
        assert!(attempt(&guard, now, Outcome::Success).is_none());
        assert!(guard.health().is_left_alone);
        now += 2 * OPEN_MIN;
        let first = guard.admit(now).ok().unwrap();
        assert!(guard.admit(now).is_err(), "a second one tries as well");
        drop(first);
        assert_eq!(attempt(&guard, now, Outcome::Failure), Some(false));
        assert!(guard.admit(now + OPEN_MIN).is_err());
        now += 4 * OPEN_MIN;
        assert_eq!(attempt(&guard, now, Outcome::Success), Some(true));
        assert_eq!(attempt(&guard, now, Outcome::Success), Some(true));
        assert!(!guard.health().is_left_alone);
    }

    #[test]
    fn repetitions_are_paid_by_successes() {
        let guard = Arc::new(Guard::new(None));
        let now = Instant::now();
        let mut repeated = 0;
        for _ in 0..1000 {
            for outcome in [Outcome::Failure, Outcome::Success] {
                if attempt(&guard, now, outcome) == Some(true) && outcome == Outcome::Failure {
                    repeated += 1;
                }
            }
        }
        let paid = RETRY_BUDGET_MAX + 1000.0 * RETRY_BUDGET_PER_SUCCESS;
        assert!((f64::from(repeated) - paid).abs() <= 2.0, "{repeated}");
    }

    #[test]
    fn only_an_object_is_absent() {
        for (code, expected) in [
            ("NoSuchKey", true),
            ("NoSuchUpload", true),
            ("BlobNotFound", true),
            ("NoSuchBucket", false),
            ("ContainerNotFound", false),
            ("InvalidAccessKeyId", false),
        ] {
            let body = format!("<Error><Code>{code}</Code></Error>");
            let failure = failure(StatusCode::NOT_FOUND, body.as_bytes());
            assert_eq!(is_absence(&failure), expected, "{code}");
        }
        assert!(is_absence(&failure(StatusCode::NOT_FOUND, b"")));
    }

    #[test]
    fn errors_are_read() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code>\n<Message>Please\n reduce</Message><X>1</X></Error>";
        let told = failure(StatusCode::SERVICE_UNAVAILABLE, xml).to_string();
        assert_eq!(told, "the store answered 503 Service Unavailable, SlowDown: Please reduce");
        let told = failure(StatusCode::BAD_GATEWAY, b"<html>nginx").to_string();
        assert_eq!(told, "the store answered 502 Bad Gateway: <html>nginx");
        assert_eq!(
            failure(StatusCode::FORBIDDEN, b"").to_string(),
            "the store answered 403 Forbidden"
        );
    }
}
