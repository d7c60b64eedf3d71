//! Every bound of this crate, with the reason for it.

use std::time::Duration;

// ---- planning ----

/// Most repositories of a remote that a run looks at.
pub const REPOSITORIES_MAX: usize = 100_000;

/// Most items in the queue of a job, about 300 bytes each in memory while it is worked off. What one
/// run has no room for is left for the next one.
pub const QUEUE_ITEMS_MAX: usize = 100_000;

/// How many tags are looked at at once.
pub const LOOKS_AT_ONCE: usize = 4;

/// Manifests of a remote of which it is remembered when they were made, about 150 bytes each.
pub const AGES_MAX: usize = 50_000;

/// Largest note of that which is read, in bytes. A line has at most 170.
pub const AGES_BYTES_MAX: u64 = 170 * AGES_MAX as u64;

/// The wait before planning again, after a plan that broke off as a side did not work. It doubles with
/// each in a row.
pub const PLAN_AGAIN_MIN: Duration = Duration::from_secs(60);

/// The longest such wait.
pub const PLAN_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// How many problems a plan or a report lists, about 300 bytes each. The others are counted.
pub const PROBLEMS_LISTED_MAX: usize = 1000;

// ---- copying ----

/// Most images that a job copies at once, whatever is configured.
pub const CONCURRENCY_MAX: usize = 16;

/// How many blobs of an image are copied at once.
pub const BLOBS_AT_ONCE: usize = 3;

/// How deep indexes of indexes are followed.
pub const DEPTH_MAX: usize = 8;

/// How deep what refers to what refers to an image is followed.
pub const REFERRERS_DEPTH_MAX: usize = 4;

/// Most manifests that one item consists of, what refers to it included.
pub const MANIFESTS_MAX: usize = 20_000;

/// How much of a blob passes in one piece where the bandwidth is limited, in bytes: so small that a
/// slow pace is still even.
pub const PACED_PIECE_BYTES: usize = 64 << 10;

/// How much of a blob of the storage is asked for at once, in bytes: so little that a slow remote
/// never lets a request to an object store wait for long.
pub const READ_BYTES: u64 = 8 << 20;

/// How often in a row a blob that breaks off is asked for anew without a byte coming of it.
pub const RESUMES_MAX: u32 = 4;

/// The wait before that, which grows with each time.
pub const RESUME_AFTER: Duration = Duration::from_millis(500);

/// Blobs of which it is remembered in which repository of a remote they are, about 150 bytes each.
pub const MOUNTABLE_MAX: usize = 50_000;

/// Manifests of which it is remembered that the target has them in whole, about 150 bytes each.
pub const WHOLE_MAX: usize = 50_000;

/// Repositories of which the tags that belong to other manifests are remembered.
pub const COMPANIONS_REPOSITORIES_MAX: usize = 32;

/// For how long they are.
pub const COMPANIONS_AGE_MAX: Duration = Duration::from_secs(30);

/// Largest configuration of an image that is read for its time, in bytes.
pub const CONFIGURATION_BYTES_MAX: u64 = 4 << 20;

// ---- failures ----

/// How often an item fails of itself before it is given up until the next run. That a side does not
/// work is outlasted, however long it takes.
pub const ATTEMPTS_MAX: u32 = 6;

/// The wait after the first attempt that failed. It grows fourfold with each.
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(2);

/// The longest wait between two attempts.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

/// The longest wait between two attempts while a side does not work.
pub const OUTAGE_RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a run waits for an item that is due again soon, before it leaves it to the next time.
pub const WAITED_FOR_MAX: Duration = Duration::from_secs(40);

/// Up to which wait a remote that wants to be left alone is waited for at once. Longer ones end what
/// is done, and the queue waits.
pub const HOLD_MAX: Duration = Duration::from_secs(60);

/// How long it is waited for at least, if it says less.
pub const HOLD_MIN: Duration = Duration::from_secs(1);

/// How long a remote that still says that it is asked too much is left alone at least, if it says less.
pub const REST_MIN: Duration = Duration::from_secs(10);

/// How often in a row a question is put again that was answered with a wait.
pub const HOLDS_MAX: u32 = 3;

/// After how many failures in a row that say that a side does not work at all no more is tried.
pub const FAILURES_IN_A_ROW_MAX: u32 = 8;

/// For how long nothing is tried after that.
pub const PAUSE: Duration = Duration::from_secs(60);

/// Most characters that are kept of why something failed.
pub const ERROR_CHARS_MAX: usize = 500;

// ---- the storage ----

/// Largest item of a queue that is read, in bytes. One has some 700, and a name at most 255 more.
pub const ITEM_BYTES_MAX: u64 = 16 << 10;

/// Largest report of a run that is read, in bytes: that of all problems that are listed.
pub const REPORT_BYTES_MAX: u64 = 4 << 20;

/// How many items are written at once.
pub const QUEUED_AT_ONCE: usize = 200;

/// How many things that were given up a status lists.
pub const FAILED_LISTED_MAX: usize = 100;

/// How many things that were given up are kept.
pub const FAILED_MAX: usize = 10_000;

/// How often it is looked whether the lease is still held.
pub const LEASE_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How old the note of who works on a job may be to count. It is written again with every third look
/// at the lease.
pub const HOLDER_AGE_MAX: Duration = Duration::from_secs(60);
