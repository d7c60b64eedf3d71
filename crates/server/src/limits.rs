//! Every bound of this crate, with the reason for it. What a client sends is never held, waited
//! for or counted without one of these.

use std::time::Duration;

/// Largest manifest accepted, in bytes: 4 MiB, Distribution's limit. The distribution-spec asks
/// for at least 4 MB.
pub const MANIFEST_SIZE_BYTES_MAX: u64 = 4 << 20;

/// Longest request target that is looked at, in bytes. The longest legitimate one is a mount with
/// two names of 255 bytes and a sha512 digest, percent-encoded; ten `tag` parameters and `_state`
/// fit as well.
pub const REQUEST_TARGET_BYTES_MAX: usize = 16 << 10;

/// Most bytes of an HTTP/1 request's head, and the largest read at once. Bearer tokens with many
/// scopes reach 16 KiB; the rest is what lets large bodies arrive in few system calls.
pub const HTTP1_BUFFER_BYTES_MAX: usize = 128 << 10;

/// Most header fields of a request.
pub const HEADER_FIELDS_MAX: usize = 100;

/// Most bytes of the header list of an HTTP/2 request.
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// Requests at a time on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 128;

/// Flow-control window of one HTTP/2 stream, in bytes: what one slow upload may keep in memory.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Flow-control window of a whole HTTP/2 connection, in bytes.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// How often an HTTP/2 connection is pinged.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long an HTTP/2 peer may take to answer a ping.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client may take to send a request's head, and how long an idle HTTP/1 connection is
/// kept. Longer than the 60 seconds after which common load balancers drop theirs, so that it is
/// they who close.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may go without reading any of a response before its connection is dropped.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(300);

/// After an early answer: how many bytes of the unread request are still taken, so that the client
/// gets to read the answer instead of a connection reset.
pub const LINGER_BYTES_MAX: u64 = 64 << 20;

/// After an early answer: how long the client is given to read it and to close.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait after `accept` failed, typically for want of file descriptors.
pub const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Range parts in one request. More than that gets the whole blob, as a client that wants so many
/// pieces wants all of it or means harm (RFC 9110, section 14.2).
pub const RANGES_MAX: usize = 16;

/// `tag` parameters in one manifest push. The distribution-spec asks for at least 10.
pub const TAG_PARAMETERS_MAX: usize = 32;

/// Entries in one page of referrers, and the default.
pub const REFERRERS_PAGE_MAX: usize = 1000;

/// Entries in a page of the catalog when the client names no number: Distribution's.
pub const CATALOG_PAGE_DEFAULT: usize = 100;

/// Longest detail of an error, in characters: details quote what the client sent.
pub const ERROR_DETAIL_CHARS_MAX: usize = 1024;

/// Bytes of access log lines that wait for standard output. Lines beyond that are dropped and
/// counted, as a stuck pipe must not stall requests.
pub const ACCESS_LOG_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Shortest time after which a health check that does not return counts as failed.
pub const HEALTH_CHECK_TIMEOUT_MIN: Duration = Duration::from_secs(5);

/// Largest `_state` parameter that is decoded, in bytes of its text. A token holds a repository
/// name, an upload id and two numbers.
pub const STATE_TOKEN_BYTES_MAX: usize = 2048;

/// Longest `artifactType` or `last` parameter that is used, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 1024;

/// Elements of an `Accept`, `If-None-Match` or `Forwarded` list that are looked at.
pub const LIST_ELEMENTS_MAX: usize = 64;
