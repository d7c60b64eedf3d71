//! Requests that go through a guard, and what their answers mean.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};

use super::patience::{Patience, Silent};
use super::{Guard, Outcome};
use crate::failure::StoreFailure;
use crate::limits::ERROR_BODY_BYTES_MAX;

/// Makes clients whose requests go through a guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded(pub(crate) Arc<Guard>);

impl HttpConnector for Guarded {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // The library adds the headers that every request is to have where it signs them, and not
        // where it does not. A client that knew of them would add them everywhere, and S3 refuses
        // one that is not signed.
        let options = options.clone().with_default_headers(HeaderMap::new());
        let inner = ReqwestConnector::default().connect(&options)?;
        let (guard, patience) = (Arc::clone(&self.0), Patience::default());
        Ok(HttpClient::new(GuardedService { inner, guard, patience }))
    }
}

#[derive(Debug)]
struct GuardedService {
    inner: HttpClient,
    guard: Arc<Guard>,
    patience: Patience,
}

impl GuardedService {
    /// The answer to a request, if it comes in time. Its body may go on for as long as there is
    /// something coming.
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let time_max = self.patience.until_the_answer(request.body().content_length());
        match tokio::time::timeout(time_max, self.inner.execute(request)).await {
            Ok(answer) => Ok(answer?.map(|body| self.patience.while_it_comes(body))),
            Err(_) => Err(HttpError::new(HttpErrorKind::Timeout, Silent)),
        }
    }
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
        let _room = self.guard.room().await;
        let method = request.method().clone();
        let is_conditional = has_condition(request.headers());
        let answer = match self.answer(request).await {
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
        if status == StatusCode::CONFLICT && !is_conditional {
            return collided(answer).await;
        }
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

/// Whether a request is one that may rightly be refused because of what is there.
fn has_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// A conflict of a request that set no condition. It met another request at the wrong moment, where
/// the store says so, and was turned away: it is made again. `ExistingObjectIsDirectory` is what a
/// gateway before a filesystem says while somebody deletes the last object beside a new one.
async fn collided(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let status = answer.status();
    let (parts, body) = answer.into_parts();
    let body = first_bytes(body).await;
    let failure = failure(status, &body);
    let passing = ["OperationAborted", "ConditionalRequestConflict", "ExistingObjectIsDirectory"];
    match &failure {
        StoreFailure::Answered { code: Some(code), .. } if passing.contains(&code.as_str()) => {
            return Err(HttpError::new(HttpErrorKind::Request, failure));
        }
        _ => {}
    }
    Ok(HttpResponse::from_parts(parts, body.into()))
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
    use std::net::SocketAddr;
    use std::time::Duration;

    use object_store::ClientConfigKey;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::Transport;

    /// A server of one connection.
    async fn serve<F: Future<Output = ()> + Send>(
        handle: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            handle(stream).await;
        });
        (address, server)
    }

    /// A client that waits for a third of a second, and for a megabyte a second.
    fn impatient() -> HttpClient {
        let options = Transport::default().client_options().unwrap();
        assert_eq!(options.get_config_value(&ClientConfigKey::ReadTimeout), None);
        let inner = ReqwestConnector::default().connect(&options).unwrap();
        let silence_max = Duration::from_millis(300);
        let patience = Patience { silence_max, sending_rate_min: 1_000_000 };
        HttpClient::new(GuardedService { inner, guard: Arc::new(Guard::new(None)), patience })
    }

    async fn send(
        client: &HttpClient,
        address: SocketAddr,
        bytes: usize,
    ) -> Result<Bytes, HttpError> {
        let mut request = HttpRequest::new(vec![0; bytes].into());
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = format!("http://{address}/").parse().unwrap();
        client.execute(request).await?.into_body().bytes().await
    }

    #[tokio::test]
    async fn a_large_request_may_take_longer_than_an_answer() {
        const BYTES: usize = 8_000_000;
        let (address, _server) = serve(async move |mut stream: TcpStream| {
            let mut piece = vec![0; 1 << 20];
            let mut read = 0;
            while read < BYTES {
                read += stream.read(&mut piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        })
        .await;
        let begun = Instant::now();
        assert_eq!(send(&impatient(), address, BYTES).await.unwrap(), "ok");
        assert!(begun.elapsed() > Duration::from_millis(400), "it was not slow");
    }

    #[tokio::test]
    async fn a_store_that_is_silent_is_not_waited_for() {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"] {
            let (address, _server) = serve(async move |mut stream: TcpStream| {
                let mut read = 0;
                while read < 1000 {
                    read += stream.read(&mut [0; 2000]).await.unwrap();
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            })
            .await;
            let error = send(&impatient(), address, 1000).await.unwrap_err();
            // What may be repeated is, after this.
            assert_eq!(error.kind(), HttpErrorKind::Timeout, "{answer}");
        }
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

    #[tokio::test]
    async fn a_collision_is_repeated_and_no_other_conflict() {
        let conflict = |code: &str| {
            let body = format!("<Error><Code>{code}</Code></Error>");
            let mut answer = HttpResponse::new(Bytes::from(body).into());
            *answer.status_mut() = StatusCode::CONFLICT;
            answer
        };
        for code in ["OperationAborted", "ExistingObjectIsDirectory"] {
            let error = collided(conflict(code)).await.unwrap_err();
            assert_eq!(error.kind(), HttpErrorKind::Request, "{code}");
        }
        let answer = collided(conflict("BucketNotEmpty")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        let body = first_bytes(answer.into_body()).await;
        assert!(body.starts_with(b"<Error>"), "the library still finds the body");
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
