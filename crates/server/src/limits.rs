//! Every bound of this crate, with the reason for it. What a client sends is never held, waited
//! for or counted without one of these.

use std::time::Duration;

/// Largest manifest accepted, in bytes: 4 MiB, Distribution's limit. The distribution-spec asks
/// for at least 4 MB.
pub const MANIFEST_SIZE_BYTES_MAX: u64 = 4 << 20;

/// Most connections at a time unless set otherwise: each may keep a few hundred KiB in buffers while
/// it is busy, and 20 KiB while it is idle (32 KiB with TLS). One with HTTP/2 takes up to 6 MiB if its
/// client takes nothing of 32 answers (measured), see [`HTTP2_STREAMS_MAX`].
pub const CONNECTIONS_MAX: usize = 16_384;

/// How long a TLS handshake may take unless set otherwise: a few round trips, of which the slowest
/// link in use (a satellite's) takes a second each.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request's head may take from its first byte, unless set otherwise. It is a few KiB,
/// which every client sends at once.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection is kept without a request, unless set otherwise. Longer than the 60 seconds
/// after which common load balancers drop theirs, so that it is they who close.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a request's body may keep the server waiting before it has sent another
/// [`BODY_PROGRESS_BYTES_MIN`], unless set otherwise. Clients pause while they compress, or while
/// their network is away.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// What must come of a request's body each [`BODY_IDLE_TIMEOUT`], in bytes. With the default that is
/// 137 bytes a second: the slowest modem is ten times as fast, and a client that sends single bytes
/// to keep its connection is cut.
pub const BODY_PROGRESS_BYTES_MIN: u64 = 16 << 10;

/// How long a client may go without taking another [`WRITE_PROGRESS_BYTES_MIN`] of what waits for it
/// before its connection is dropped, unless set otherwise.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(300);

/// What a client must take of what waits for it each [`WRITE_TIMEOUT`], in bytes. With the default
/// that is 55 bytes a second; see [`BODY_PROGRESS_BYTES_MIN`].
pub const WRITE_PROGRESS_BYTES_MIN: usize = 16 << 10;

/// How often in [`WRITE_TIMEOUT`] it is looked whether a client takes anything.
pub const WRITE_LOOKS: u32 = 4;

/// The longest of the times that can be set for connections. One that is set to zero, for "no
/// limit", counts as this: nothing waits for ever.
pub const CONNECTION_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Clients whose allowance of requests is remembered at a time; each takes some 100 bytes.
pub const RATE_LIMIT_KEYS_MAX: usize = 1 << 16;

/// Most bytes of a request's head, without the request line: names and values of all fields. Bearer
/// tokens with many scopes reach 16 KiB.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// Longest request target that is looked at, in bytes. The longest legitimate one is a mount with
/// two names of 255 bytes and a sha512 digest, percent-encoded; ten `tag` parameters and `_state`
/// fit as well.
pub const REQUEST_TARGET_BYTES_MAX: usize = 16 << 10;

/// The largest read at once of HTTP/1, which lets large bodies arrive in few system calls, and what
/// may wait to be sent. A head that does not fit is answered with a bare 431; one that does and is
/// larger than [`HEADER_BYTES_MAX`] gets the specification's error.
pub const HTTP1_BUFFER_BYTES_MAX: usize = 128 << 10;

/// The same on a connection that comes while there are few: it takes a tenth off the CPU time of a
/// large push.
pub const HTTP1_BUFFER_BYTES_ROOMY: usize = 256 << 10;

/// How many connections count as few.
pub const ROOMY_CONNECTIONS_MAX: usize = 8;

/// Most header fields of a request.
pub const HEADER_FIELDS_MAX: usize = 100;

/// Most bytes of the header list of an HTTP/2 request, which counts 32 for each field (RFC 9113,
/// section 6.5.2). A larger one is answered with a bare 431.
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// Requests at a time on one HTTP/2 connection. A client that wants more opens another connection,
/// or waits. Each may have one piece of its answer (128 KiB) waiting for its client: 4 MiB when a
/// client takes nothing at all.
pub const HTTP2_STREAMS_MAX: u32 = 32;

/// Pieces of answers that one HTTP/2 connection may have waiting beyond one for each stream: 768
/// KiB. Who pulls two blobs at a time never waits for the storage; with more, one is sent while
/// another is read.
pub const HTTP2_PIECES_AHEAD: usize = 6;

/// Most of them that one stream may have. It then has four, as with HTTP/1.
pub const HTTP2_STREAM_PIECES_AHEAD: usize = 3;

/// Largest answer that an HTTP/2 stream may end with before all of it has been sent, in bytes. It
/// takes a frame and a wake-up less, and what it leaves behind when its client takes nothing is not
/// worth a reset.
pub const HTTP2_UNATTENDED_BYTES_MAX: u64 = 16 << 10;

/// Flow-control window of one HTTP/2 stream, in bytes: what may be under way. 1 Gbit/s over 100 ms
/// is 12 MiB. How much of it is held here is for [`HTTP2_AHEAD_BYTES`] to say.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 16 << 20;

/// Flow-control window of a whole HTTP/2 connection, in bytes.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// What all HTTP/2 connections together may hold of bodies before the handlers have asked for it,
/// in bytes, as long as each has its [`HTTP2_AHEAD_BYTES_MIN`]. Each gets an equal share.
pub const HTTP2_AHEAD_BYTES: usize = 8 << 20;

/// What one HTTP/2 connection may hold however few others there are, in bytes.
pub const HTTP2_AHEAD_BYTES_MAX: usize = 512 << 10;

/// What one HTTP/2 connection may hold however many others there are, in bytes: a few frames.
pub const HTTP2_AHEAD_BYTES_MIN: usize = 64 << 10;

/// What may wait to be sent on one HTTP/2 stream, in bytes. The socket has a buffer of its own.
pub const HTTP2_SEND_BYTES_MAX: usize = 128 << 10;

/// How often an HTTP/2 connection is pinged.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long an HTTP/2 peer may take to answer a ping.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// After an early answer: how many bytes of the unread request are still taken, so that the client
/// gets to read the answer instead of a connection reset.
pub const LINGER_BYTES_MAX: u64 = 64 << 20;

/// After an early answer: how long the client is given to read it and to close.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that the system keeps until there is room for them, of those that were made beyond the
/// limit: Linux' default for the most, which is also what Go asks for. Whoever comes then has to try
/// again, which TCP does by itself after a second and later.
pub const LISTEN_BACKLOG: i32 = 4096;

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

/// How often the same trouble with connections is logged. In between it is counted.
pub const TROUBLE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Shortest time after which a look at the storage that does not return counts as failed.
pub const HEALTH_CHECK_TIMEOUT_MIN: Duration = Duration::from_secs(5);

/// How long a health check by `http` or `tcp` may take that names no timeout.
pub const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// How much longer such a check is waited for: it ends at its timeout by itself, and knows better what
/// was wrong.
pub const HEALTH_CHECK_OVERDUE: Duration = Duration::from_secs(1);

/// The time between two looks of a health check that names none: Distribution's.
pub const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest time between two looks of a health check.
pub const HEALTH_CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Redirects that a health check by `http` follows: as many as Go's client.
pub const HEALTH_CHECK_REDIRECTS_MAX: usize = 10;

/// How much of a path, a reference or a digest goes into a span, in bytes. The longest name and
/// digest fit.
pub const SPAN_PATH_BYTES_MAX: usize = 1024;

/// How much of a `User-Agent`, of a host or of an unknown method goes into a span, in bytes.
pub const SPAN_USER_AGENT_BYTES_MAX: usize = 256;

/// Largest `_state` parameter that is decoded, in bytes of its text. A token holds a repository
/// name, an upload id and two numbers.
pub const STATE_TOKEN_BYTES_MAX: usize = 2048;

/// Longest `artifactType` or `last` parameter that is used, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 1024;

/// Elements of an `Accept`, `If-None-Match` or `Forwarded` list that are looked at.
pub const LIST_ELEMENTS_MAX: usize = 64;

/// How large a request's body may be for what is left of it to be taken before an early answer
/// leaves, so that its HTTP/1 connection stays open, in bytes. As in Go's server.
pub const REST_BYTES_MAX: u64 = 256 << 10;

/// How long an early answer waits for that. A client that sends at all has sent it by then.
pub const REST_TIMEOUT: Duration = Duration::from_millis(500);

/// For how long it is believed how much of the storage is free.
pub const FREE_SPACE_KEPT: Duration = Duration::from_secs(1);

/// One part in so many of a volume stays free unless it is configured: room for the links of what
/// has come already, for events and logs.
pub const FREE_SPACE_DEFAULT_DIVISOR: u64 = 200;

/// But not more than this of a large one, in bytes: about what a fast network brings in the
/// seconds that an upload under way may go on.
pub const FREE_SPACE_DEFAULT_BYTES_MAX: u64 = 1 << 30;
