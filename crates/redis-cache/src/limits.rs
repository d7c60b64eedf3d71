//! Every bound of this crate, with the reason for it.

use std::time::Duration;

/// How long Redis keeps what is written to it. A repository's entries go together, so long after
/// the first of them: something wrong (a revocation that was lost with a server or a fail-over, data
/// that another program deleted) lasts no longer than that.
pub const ENTRY_LIFETIME: Duration = Duration::from_secs(3600);

/// How long a connection to Redis may take unless configured.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How many times that the whole of it may take where it goes by several servers, of which some may
/// be gone: sentinels and their master, the nodes of a cluster. It goes on behind who waits.
pub const CONNECT_STEPS: u32 = 4;

/// How long an answer of Redis may take unless configured. The storage would have answered by then.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);

/// Attempts after the first unless configured: one, for a connection that was closed while idle.
pub const RETRIES: u32 = 1;

/// The most attempts after the first, whatever is configured; the time bounds them before.
pub const RETRIES_MAX: u32 = 10;

/// The shortest and the longest pause between two attempts unless configured (go-redis' defaults).
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(8);
/// See [`RETRY_PAUSE_MIN`].
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(512);

/// How many operations fail in a row before Redis is left alone for a while.
pub const FAILURES_MAX: u32 = 5;

/// How long Redis is left alone, with half of it again at random: many servers must not come back
/// to it at the same moment.
pub const PAUSE: Duration = Duration::from_secs(2);

/// How many repositories with revocations that could not be sent are kept in mind. With more, Redis
/// is not believed until everything in it has gone ([`ENTRY_LIFETIME`]).
pub const PENDING_REPOSITORIES_MAX: usize = 4096;

/// The pause between two attempts to send revocations that could not be sent.
pub const RESEND_PAUSE: Duration = Duration::from_millis(500);

/// The largest file with certificates or a key that is read, in bytes.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;
