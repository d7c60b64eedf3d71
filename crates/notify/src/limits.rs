//! Every bound of this crate, with the reason for it.

use std::time::Duration;

/// Events that an outbox keeps unless the configuration says otherwise: two days at one event
/// every two seconds.
pub const OUTBOX_EVENTS_DEFAULT: u64 = 100_000;

/// Bytes that an outbox keeps unless the configuration says otherwise. An event without references
/// has about 1 KiB.
pub const OUTBOX_BYTES_DEFAULT: u64 = 256 << 20;

/// The fewest bytes an outbox can be limited to. Below that, one event with the longest texts that
/// are taken would push out all others.
pub const OUTBOX_BYTES_MIN: u64 = 1 << 20;

/// Parts that an outbox consists of at least when it is full. The oldest part is what is lost when
/// something new comes.
pub const SEGMENTS_MIN: u64 = 8;

/// Most bytes after which a segment of the outbox is closed. A segment is read as a whole when the
/// outbox is opened, and when a damaged record has to be skipped.
pub const SEGMENT_BYTES_MAX: u64 = 8 << 20;

/// Most bytes of an event's envelope. A manifest of 4 MiB can list so many descriptors that the
/// indented envelope has a multiple of that; such an event goes without `references`.
pub const EVENT_BYTES_MAX: u64 = 8 << 20;

/// Events that wait for the writer at a time and whose requests wait for them.
pub const ACCEPT_QUEUE_EVENTS: usize = 1024;

/// Bytes of the events whose requests wait for the writer.
pub const ACCEPT_QUEUE_BYTES: usize = 32 << 20;

/// Longest that a request waits for its event to be on stable storage. A disk that takes longer
/// must not hold up a push that is itself already stored.
pub const ACCEPT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Events that wait for the writer while no request waits for them (pulls).
pub const OFFER_QUEUE_EVENTS: usize = 4096;

/// Bytes of the events that wait for the writer while no request waits for them.
pub const OFFER_QUEUE_BYTES: usize = 16 << 20;

/// Events that are written and synced together at most.
pub const BATCH_EVENTS: usize = 512;

/// Bytes after which no further event is added to a batch.
pub const BATCH_BYTES: usize = 4 << 20;

/// Bytes read ahead from the outbox for one endpoint, unless a single event is larger.
pub const READ_AHEAD_BYTES: u64 = 256 << 10;

/// How often a cursor is saved at most while events are being delivered. What was delivered after
/// the last time is delivered again after a `kill -9`.
pub const CURSOR_SAVE_INTERVAL: Duration = Duration::from_millis(100);

/// Most bytes of a cursor file that are read. It holds a number and an endpoint's name.
pub const CURSOR_FILE_BYTES_MAX: u64 = 64 << 10;

/// Timeout of a POST unless the configuration says otherwise (`timeout`), as in Distribution.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// Failures in a row after which an endpoint is left alone for a while, unless the configuration
/// says otherwise (`threshold`), as in Distribution.
pub const THRESHOLD_DEFAULT: u32 = 10;

/// How long an endpoint is left alone unless the configuration says otherwise (`backoff`), as in
/// Distribution.
pub const BACKOFF_DEFAULT: Duration = Duration::from_secs(1);

/// Pause between tries before `threshold` is reached. Distribution makes none, and so burns a core
/// on a port that refuses connections.
pub const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Longest that is waited between reading an outbox that can't be read and trying again.
pub const READ_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Redirects followed for one POST, as Go's client does.
pub const REDIRECTS_MAX: u32 = 10;

/// Bytes read of an endpoint's answer, so that its connection can be used again. A longer answer is
/// cut off with its connection.
pub const ANSWER_BYTES_MAX: usize = 4 << 10;

/// How long an idle connection to an endpoint is kept.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(10);

/// Most bytes of each field that a client chooses (`useragent`, `host`, `addr`, `name`): more is cut
/// off.
pub const FIELD_BYTES_MAX: usize = 4 << 10;
