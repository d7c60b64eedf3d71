//! Several ranges in one response (RFC 9110, section 14.6).

use std::ops::Range;
use std::sync::Arc;

use http::StatusCode;
use http::header;
use storage::{ByteStream, Object};

use crate::headers;
use crate::response::{self, Response, ResponseBody};

/// `multipart/byteranges` with the parts in the order they were asked for.
pub(super) fn response(object: &Arc<dyn Object>, parts: &[Range<u64>]) -> Response {
    // Random, so that it does not occur in what is sent.
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let total = object.size_bytes();
    let mut streams: Vec<ByteStream> = Vec::with_capacity(2 * parts.len() + 1);
    let mut size_bytes = 0;
    for (i, part) in parts.iter().enumerate() {
        let separator = part_head(&boundary, i == 0, part, total);
        size_bytes += separator.len() as u64 + (part.end - part.start);
        streams.push(response::once(separator));
        streams.push(Arc::clone(object).stream(part.clone()));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    size_bytes += end.len() as u64;
    streams.push(response::once(end));

    let mut response = Response::new(ResponseBody::stream(response::chain(streams), size_bytes));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let content_type = headers::value(&format!("multipart/byteranges; boundary={boundary}"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn part_head(boundary: &str, is_first: bool, part: &Range<u64>, total: u64) -> String {
    let line_end = if is_first { "" } else { "\r\n" };
    format!(
        "{line_end}--{boundary}\r\nContent-Range: bytes {}-{}/{total}\r\nContent-Type: \
         application/octet-stream\r\n\r\n",
        part.start,
        part.end - 1,
    )
}
