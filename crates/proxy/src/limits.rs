//! Every bound of this crate, with the reason for it.

use std::time::Duration;

// ---- requests ----

/// How long the server of an upstream may take to be connected to.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection to an upstream is kept that nothing is asked on.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60);

/// Redirects that are followed from one request. Registries in front of object stores need one,
/// those behind a load balancer two or three.
pub const REDIRECTS_MAX: usize = 5;

/// How long an endpoint that could not be reached is tried last.
pub const ENDPOINT_DOWN_FOR: Duration = Duration::from_secs(30);

// ---- answers ----

/// How long a body may take that is read as a whole, however it trickles: at the largest, some
/// 70 KB/s are fast enough.
pub const SHORT_BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// Largest manifest, in bytes: what the specification says that registries should take.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// Largest page of a list of tags or of referrers, in bytes.
pub const LIST_PAGE_BYTES_MAX: usize = 8 << 20;

/// Most pages of a list that are asked for one after the other.
pub const LIST_PAGES_MAX: usize = 100;

/// Most tags that are taken from an upstream for one list.
pub const TAGS_MAX: usize = 100_000;

/// Tags that are asked for in one page.
pub const TAGS_PAGE: usize = 1000;

/// Repositories that are asked for in one page of a catalog. Some registries refuse more.
pub const CATALOG_PAGE: usize = 100;

/// Most pages of a catalog that are asked for one after the other.
pub const CATALOG_PAGES_MAX: usize = 2000;

/// Most referrers that are taken from an upstream for one subject.
pub const REFERRERS_MAX: usize = 10_000;

/// Most of an answer that says why something is refused, in bytes.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Most characters of it that are repeated.
pub const ERROR_CHARS_MAX: usize = 300;

/// Longest wait that an upstream may ask for with `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

// ---- pushing ----

/// How long an upstream may take to make a blob of what it has got: one behind an object store copies
/// it.
pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How often it is looked whether the sending of a blob stands still.
pub const SENDING_LOOK_INTERVAL: Duration = Duration::from_millis(500);

// ---- tokens ----

/// Largest answer of a token service, in bytes. Tokens with certificates have some 16 KiB.
pub const TOKEN_BYTES_MAX: usize = 256 << 10;

/// How long a token is valid that does not say so (the token specification's default).
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Longest lifetime that a token is believed to have.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long before its end a token is renewed, at most; a tenth of its lifetime when that is less.
pub const TOKEN_MARGIN_MAX: Duration = Duration::from_secs(30);

/// Repositories whose tokens are kept, for each upstream.
pub const TOKENS_MAX: usize = 10_000;

// ---- fetching ----

/// Up to which size a blob is waited for, in bytes, before its client gets the head of an answer:
/// what is as small as this has come and was checked in no time.
pub const WAITED_FOR_BYTES_MAX: u64 = 64 << 10;

/// How often in a row a body that breaks off is asked for anew without a byte coming of it.
pub const RESUMES_MAX: u32 = 6;

/// The wait before a body is asked for the third time, after which it grows with the square.
pub const RESUME_AFTER: Duration = Duration::from_millis(500);

/// How much of a temporary file is read in one go, in bytes.
pub const SPOOL_PIECE_BYTES: u64 = 256 << 10;

// ---- fetching ahead of clients ----

/// Manifests and blobs that wait to be fetched ahead. Each takes some 300 bytes; what comes beyond that
/// is left to whoever asks for it.
pub const PREFETCH_QUEUE: usize = 2000;

/// How many of them are fetched at once: enough that one large layer does not hold up the others, and
/// few beside the fetches that somebody waits for.
pub const PREFETCH_CONCURRENCY: usize = 3;

/// How long an upstream that says that it is asked too much is not asked for them, unless it says how
/// long itself.
pub const PREFETCH_PAUSE: Duration = Duration::from_secs(60);

/// Pulls that are left to clients by an upstream that says how many are left, and not of how many.
pub const PREFETCH_PULLS_KEPT: u64 = 50;

/// How long it may take at the end to give up what is being fetched.
pub const PREFETCH_END_WITHIN: Duration = Duration::from_secs(2);

// ---- what is remembered ----

/// Tags of which it is remembered when they were looked up last.
pub const TAGS_CHECKED_MAX: usize = 20_000;

/// Repositories of which it is remembered that their tags are listed in the order of wharf.
pub const LISTS_SORTED_MAX: usize = 2000;

/// How long that is remembered: for as long as somebody takes to read a list page by page.
pub const LIST_SORTED_FOR: Duration = Duration::from_secs(600);

/// Things of which it is remembered for a while that an upstream does not have them.
pub const ABSENT_MAX: usize = 20_000;

// ---- credentials ----

/// How long a credential helper may run.
pub const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Most that a credential helper may write, in bytes.
pub const HELPER_BYTES_MAX: u64 = 64 << 10;

/// Largest file with certificates or a key, in bytes. A system's bundle has some 200 KiB.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;

/// Largest key of a service account, in bytes. One has some 3 KiB.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// How long the services of a cloud may take to say who wharf is.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
