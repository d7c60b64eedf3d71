//! Every bound of this crate, with its reason.

use std::time::Duration;

/// The smallest part of a multipart upload but the last, in bytes: what S3, and with it every
/// store that speaks its protocol, takes.
pub const PART_BYTES_MIN: usize = 5 << 20;

/// The largest part, in bytes (S3, "Amazon S3 multipart upload limits").
pub const PART_BYTES_MAX: u64 = 5 << 30;

/// How many parts an upload may have (the same).
pub const PARTS_MAX: usize = 10_000;

/// After so many parts the next ones have twice the size, so that [`PARTS_MAX`] of them reach the
/// largest object that there may be.
pub const PARTS_OF_A_SIZE: usize = 1000;

/// The largest object, in bytes: that of S3 and of Google. Azure takes more.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;

/// What all uploads together gather in memory before they have to wait for each other, in bytes.
pub const GATHERED_BYTES_MAX: usize = 64 << 20;

/// The largest part that can be asked for, in bytes: an upload sends one and gathers the next.
pub const PART_BYTES_ASKED_MAX: usize = GATHERED_BYTES_MAX / 2;

/// How long an upload waits for others to send their parts before it takes memory all the same: a
/// few clients that send slowly must not keep out the others.
pub const GATHERING_WAIT_MAX: Duration = Duration::from_secs(2);

/// How many keys one listing asks for: what S3 gives at most.
pub const LIST_KEYS_MAX: usize = 1000;

/// How many keys a listing of a directory reads in all. Ten thousand pages take minutes; what is
/// larger has to be read page by page.
pub const LIST_ENTRIES_MAX: usize = 10_000_000;

/// The largest tail that is put into a record, in bytes. A larger one, as there are where parts have
/// grown, is a part of its own.
pub const TAIL_BYTES_MAX: usize = 64 << 20;

/// The largest record of an unfinished upload, in bytes: ten thousand parts, and a tail.
pub const RECORD_BYTES_MAX: u64 = 2 * TAIL_BYTES_MAX as u64;

/// How much of a record is read to learn what the upload has, in bytes.
pub const RECORD_HEAD_BYTES: u64 = 64 << 10;

/// How long a redirected client may use its URL: what Distribution gives it.
pub const REDIRECT_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// How long a URL that this server itself uses at once is good.
pub const OWN_URL_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long a connection to the store may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the store may be silent once it has a request, and in the middle of its answer.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How fast a request must get to the store on average, in bytes a second: the larger it is, the
/// longer it may take before the store has it. Eight uploads over 5 Mbit/s are a little faster.
pub const SENDING_RATE_MIN: u64 = 64 << 10;

/// How often a request is made again, unless the configuration says otherwise.
pub const RETRIES: usize = 5;

/// The pause before the first repetition; the following ones are longer, each by chance.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause before a repetition.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a request is repeated: clients wait for the answer meanwhile.
pub const RETRY_TIME_MAX: Duration = Duration::from_secs(15);

/// How many repetitions there may be at a time without a success in between, over all requests.
pub const RETRY_BUDGET_MAX: f64 = 50.0;

/// What a success adds to the budget: an outage of a tenth of the requests is repaired, one of all
/// of them is not multiplied.
pub const RETRY_BUDGET_PER_SUCCESS: f64 = 0.2;

/// After how many failures in a row the store is left alone.
pub const FAILURES_UNTIL_OPEN: u32 = 20;

/// How long the store is left alone the first time, and after each further failure twice as long.
pub const OPEN_MIN: Duration = Duration::from_secs(1);

/// How long it is left alone at most.
pub const OPEN_MAX: Duration = Duration::from_secs(15);

/// How much of a store's error is read, in bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 16 << 10;

/// How many characters of it are told.
pub const ERROR_TEXT_CHARS_MAX: usize = 300;

/// How often it is looked whether a copy that the store makes by itself has ended, and how long.
pub const COPY_POLL: Duration = Duration::from_millis(500);

/// How long such a copy may take.
pub const COPY_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// The largest list of Amazon's networks, in bytes; today's has 2.5 MB.
pub const NETWORKS_BYTES_MAX: usize = 16 << 20;

/// How long reading that list may take.
pub const NETWORKS_TIMEOUT: Duration = Duration::from_secs(60);

/// After how long a list that could not be read is asked for again, unless it would be sooner anyway.
pub const NETWORKS_PAUSE: Duration = Duration::from_mins(5);
