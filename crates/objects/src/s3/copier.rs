//! Copies of large objects in parts, and uploads that nobody will finish: requests of S3 that the
//! library has no operation for. It signs their URLs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{Attributes, ObjectStoreExt as _, PutMultipartOptions};
use serde::Deserialize;
use storage::{Result, StorageError, StoragePath};

use super::S3Options;
use crate::copying::Copier;
use crate::failure::{broken, storage_error, write_error};
use crate::limits::{
    OWN_URL_LIFETIME, PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX, RETRIES, RETRY_PAUSE_MIN,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Copies as the options say.
pub(super) struct S3Copier {
    store: Arc<AmazonS3>,
    http: HttpClient,
    bucket: String,
    attributes: Attributes,
    threshold_bytes: u64,
    part_bytes: u64,
    at_once: usize,
}

/// A part to be copied: its bytes, the last one included.
struct Piece {
    index: usize,
    first: u64,
    last: u64,
}

/// A request that is signed by its URL.
struct Request<'a> {
    method: Method,
    key: &'a Path,
    query: Vec<(&'a str, &'a str)>,
    headers: HeaderMap,
}

#[derive(Deserialize)]
struct CopyPartResult {
    #[serde(rename = "ETag")]
    e_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

impl Upload {
    /// Whether it was begun before then. One whose time can't be read is young.
    fn is_older(&self, than: SystemTime) -> bool {
        let begun = self.initiated.parse::<jiff::Timestamp>();
        begun.is_ok_and(|begun| SystemTime::from(begun) < than)
    }
}

impl S3Copier {
    pub(super) fn new(store: Arc<AmazonS3>, http: HttpClient, options: &S3Options) -> Self {
        Self {
            store,
            http,
            bucket: options.bucket.clone(),
            attributes: super::attributes(options),
            threshold_bytes: options.copy_threshold_bytes.min(PART_BYTES_MAX),
            part_bytes: options.copy_part_bytes.clamp(PART_BYTES_MIN as u64, PART_BYTES_MAX),
            at_once: options.copies_at_once.max(1),
        }
    }

    async fn copy_in_parts(
        &self,
        path: &StoragePath,
        (from, to): (&Path, &Path),
        id: &String,
        size_bytes: u64,
    ) -> Result<()> {
        let copies = pieces(self.part_bytes, size_bytes)
            .map(|piece| self.copy_piece(path, (from, to), id, piece));
        let parts: Vec<_> = stream::iter(copies).buffered(self.at_once).try_collect().await?;
        let completed = self.store.complete_multipart(to, id, parts).await;
        completed.map_err(|error| write_error("copy", path, error))?;
        Ok(())
    }

    /// `UploadPartCopy`.
    async fn copy_piece(
        &self,
        path: &StoragePath,
        (from, to): (&Path, &Path),
        id: &str,
        piece: Piece,
    ) -> Result<PartId> {
        let value = |text: String| {
            HeaderValue::from_str(&text).map_err(|e| broken("copy", path, &e.to_string()))
        };
        let source = value(format!("/{}/{from}", self.bucket))?;
        let range = value(format!("bytes={}-{}", piece.first, piece.last))?;
        let number = (piece.index + 1).to_string();
        let request = Request {
            method: Method::PUT,
            key: to,
            query: vec![("partNumber", &number), ("uploadId", id)],
            headers: HeaderMap::from_iter([
                (HeaderName::from_static("x-amz-copy-source"), source),
                (HeaderName::from_static("x-amz-copy-source-range"), range),
            ]),
        };
        let answer = self.ask("copy", path, request).await?;
        match quick_xml::de::from_str::<CopyPartResult>(&answer) {
            Ok(CopyPartResult { e_tag }) => Ok(PartId { content_id: e_tag }),
            Err(_) => Err(broken("copy", path, "the store did not say that a part was copied")),
        }
    }

    /// Makes a request, again when it fails in passing.
    async fn ask(
        &self,
        operation: &'static str,
        path: &StoragePath,
        request: Request<'_>,
    ) -> Result<String> {
        let mut pause = RETRY_PAUSE_MIN;
        let mut repetitions = 0;
        loop {
            let error = match self.ask_once(&request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => storage_error(operation, path, error),
            };
            if !matches!(error, StorageError::Unavailable { .. }) || repetitions >= RETRIES {
                return Err(error);
            }
            repetitions += 1;
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause *= 2;
        }
    }

    async fn ask_once(&self, request: &Request<'_>) -> object_store::Result<String> {
        let Request { method, key, query, headers } = request;
        let mut signed = SignedUrlOptions::new().with_query(query.iter().copied());
        signed.signed_headers.clone_from(headers);
        let url =
            self.store.signed_url_opts(method.clone(), key, OWN_URL_LIFETIME, &signed).await?;
        let mut asked = HttpRequest::new(HttpRequestBody::empty());
        *asked.method_mut() = method.clone();
        *asked.uri_mut() = url.as_str().parse().map_err(generic)?;
        asked.headers_mut().clone_from(headers);
        if *method == Method::PUT {
            asked.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let answer = self.http.execute(asked).await.map_err(generic)?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(generic)?;
        if !status.is_success() {
            return Err(generic(format!("the store answered {status}")));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// One page of `ListMultipartUploads`.
    async fn uploads(&self, prefix: &str, after: Option<(&str, &str)>) -> Result<Uploads> {
        let mut query = vec![("uploads", ""), ("prefix", prefix)];
        if let Some((key, id)) = after {
            query.extend([("key-marker", key), ("upload-id-marker", id)]);
        }
        let (operation, root, whole) =
            ("list the uploads of", StoragePath::root(), Path::default());
        let request =
            Request { method: Method::GET, key: &whole, query, headers: HeaderMap::new() };
        let answer = self.ask(operation, &root, request).await?;
        quick_xml::de::from_str(&answer)
            .map_err(|_| broken(operation, &root, "the store's answer is no list of uploads"))
    }
}

fn generic(source: impl Into<BoxError>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: source.into() }
}

/// Parts of the configured size, or of a larger one when there would be too many.
fn pieces(part_bytes: u64, size_bytes: u64) -> impl Iterator<Item = Piece> {
    let part_bytes = part_bytes.max(size_bytes.div_ceil(PARTS_MAX as u64));
    let count = usize::try_from(size_bytes.div_ceil(part_bytes)).unwrap_or(usize::MAX);
    (0..count).map(move |index| {
        let first = index as u64 * part_bytes;
        Piece { index, first, last: (first + part_bytes).min(size_bytes) - 1 }
    })
}

#[async_trait]
impl Copier for S3Copier {
    async fn copy(
        &self,
        path: &StoragePath,
        from: &Path,
        to: &Path,
        size_bytes: u64,
    ) -> Result<()> {
        // A copy by one request has the bucket's storage class, whatever its source has. One in parts
        // is made like an upload; it needs a part, and has the rest of what is configured either way.
        let is_plain = self.attributes.is_empty() || size_bytes == 0;
        if is_plain && size_bytes <= self.threshold_bytes {
            let copied = self.store.copy(from, to).await;
            return copied.map_err(|error| write_error("copy", path, error));
        }
        let attributes = self.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begun = self.store.create_multipart_opts(to, options).await;
        let id = begun.map_err(|error| write_error("copy", path, error))?;
        let copied = self.copy_in_parts(path, (from, to), &id, size_bytes).await;
        if copied.is_err()
            && let Err(error) = self.store.abort_multipart(to, &id).await
        {
            let error = write_error("abort", path, error);
            tracing::warn!(%path, %error, "a copy in parts takes space until it is purged");
        }
        copied
    }

    async fn abandon(
        &self,
        prefix: &str,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<Vec<String>> {
        let Some(then) = SystemTime::now().checked_sub(older_than) else { return Ok(Vec::new()) };
        let mut abandoned = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let marker = after.as_ref().map(|(key, id)| (&**key, &**id));
            let page = self.uploads(prefix, marker).await?;
            for upload in page.uploads.iter().filter(|upload| upload.is_older(then)) {
                abandoned.push(format!("/{} (parts of an upload)", upload.key));
                if dry_run {
                    continue;
                }
                let Ok(key) = Path::parse(&upload.key) else { continue };
                match self.store.abort_multipart(&key, &upload.upload_id).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(write_error("abort", &StoragePath::root(), error)),
                }
            }
            after = match (page.is_truncated, page.next_key_marker, page.next_upload_id_marker) {
                (true, Some(key), Some(id)) => Some((key, id)),
                _ => return Ok(abandoned),
            };
        }
    }
}

impl fmt::Debug for S3Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Copier").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_object_and_are_not_too_many() {
        for (part_bytes, size_bytes) in [(10, 1), (10, 10), (10, 11), (10, 95), (5, 1_000_000)] {
            let all: Vec<_> = pieces(part_bytes, size_bytes).collect();
            assert!(all.len() <= PARTS_MAX);
            assert_eq!((all[0].first, all[all.len() - 1].last), (0, size_bytes - 1));
            assert!(all.windows(2).all(|pair| pair[1].first == pair[0].last + 1));
            assert!(all.iter().enumerate().all(|(at, piece)| piece.index == at));
        }
    }

    #[test]
    fn uploads_are_read() {
        let text = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker/>\
            <NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker>\
            <IsTruncated>true</IsTruncated>\
            <Upload><Key>a/b</Key><UploadId>1</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>\
            <Upload><Key>c</Key><UploadId>2</UploadId><Initiated>soon</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        let page: Uploads = quick_xml::de::from_str(text).unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_key_marker.as_deref(), Some("k"));
        assert!(page.uploads[0].is_older(SystemTime::now()));
        assert!(!page.uploads[1].is_older(SystemTime::now()));
        let none: Uploads =
            quick_xml::de::from_str("<R><IsTruncated>false</IsTruncated></R>").unwrap();
        assert!(none.uploads.is_empty());
    }
}
