//! Every bound of the domain, in one place.

use std::time::Duration;

/// The longest link file that is read, in bytes. A sha512 digest takes 135.
pub const LINK_BYTES_MAX: u64 = 512;

/// The largest manifest that is read back, in bytes. Larger than what is accepted for a push, so
/// that a volume whose manifests were accepted under another limit can still be served.
pub const STORED_MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// Manifests above this size are not kept in memory: a few of them would push out thousands.
pub const CACHED_MANIFEST_BYTES_MAX: usize = 256 << 10;

/// What the manifest cache holds at most, in bytes.
pub const MANIFEST_CACHE_BYTES_MAX: u64 = 16 << 20;

/// Entries of the manifest cache unless configured (Distribution's default for
/// `storage.cache.blobdescriptorsize`).
pub const MANIFEST_CACHE_ENTRIES: usize = 10_000;

/// What the cache of directory listings holds at most, in bytes.
pub const LISTING_CACHE_BYTES_MAX: u64 = 32 << 20;

/// From how many entries on a listing is followed instead of read again after a change. Reading
/// fewer takes less than a tenth of a millisecond.
pub const FOLLOWED_ENTRIES_MIN: usize = 256;

/// What following a directory counts for in the cache of listings, in bytes: the few directories on
/// the way to it that are watched, and what is noted of its changes.
pub const FOLLOWED_BYTES: u64 = 16 << 10;

/// How many entries of a listing are copied when one of them changes.
pub const LISTING_CHUNK_ENTRIES: usize = 256;

/// What remembered answers hold at most, in bytes, with [`WATCH_BYTES`] for each watch. It is that
/// which keeps the watches below what the storage has of them.
pub const ANSWERS_BYTES_MAX: u64 = 16 << 20;

/// What remembered answers may always hold, in bytes, on a system that allows few watches.
pub const ANSWERS_BYTES_MIN: u64 = 1 << 20;

/// What a watch counts for in a remembered answer, in bytes: about what the kernel needs for it,
/// and half as much goes to keep account of it here.
pub const WATCH_BYTES: usize = 1024;

/// How many watches one answer may take. A page of 100 repositories takes 500, of 1,000 tags 2,000.
pub const ANSWER_WATCHES_MAX: usize = 6 * 1024;

/// How many files and listings one answer may be derived from to be remembered.
pub const ANSWER_SOURCES_MAX: usize = 4096;

/// How many tags a list may have for each of their links to be read, rather than to be remembered
/// as seen; such a list can be watched.
pub const TAGS_READ_MAX: usize = 2000;

/// How many questions are noted as asked lately, about 40 bytes each.
pub const QUESTIONS_NOTED_MAX: usize = 4096;

/// What the referrers indexes of all repositories hold at most, in bytes.
pub const REFERRERS_CACHE_BYTES_MAX: u64 = 32 << 20;

/// What all uploads together may have received and not yet written, in bytes, as long as each has
/// its [`UPLOAD_AHEAD_BYTES_MIN`]. Each gets an equal share.
pub const UPLOADS_AHEAD_BYTES: usize = 8 << 20;

/// What one upload may have received and not yet written, in bytes, however few others there are.
/// More does not make it faster: it has to fit the processor's cache.
pub const UPLOAD_AHEAD_BYTES_MAX: usize = 512 << 10;

/// What one upload may have received and not yet written, in bytes, however many others there are:
/// one read of the connection.
pub const UPLOAD_AHEAD_BYTES_MIN: usize = 128 << 10;

/// How much of an upload is hashed and written in one go, in bytes. It has to fit the processor's
/// second-level cache, so that what was hashed is still there to be written.
pub const UPLOAD_BATCH_BYTES: usize = 256 << 10;

/// How much of a body has to have come before hashing and writing it begins, in bytes. To a smaller
/// one it is done at its end.
pub const UPLOAD_BATCH_BYTES_MIN: usize = 64 << 10;

/// From this size on, an upload's running digest is saved beside it at the end of a chunk. Below
/// it, reading the data again is cheaper than the write.
pub const MIDSTATE_UPLOAD_BYTES_MIN: u64 = 4 << 20;

/// How much of an upload may be read again to bring its running digest up to date before a chunk
/// is taken. With more than that the digest is computed at the end, as the client must not be
/// kept waiting at the start.
pub const REHASH_BEFORE_CHUNK_BYTES_MAX: u64 = 32 << 20;

/// How many uploads' running digests are kept in memory; about 500 bytes each.
pub const HASH_STATES_MAX: usize = 10_000;

/// The longest upload id that is looked at, in bytes; Distribution's and wharf's have 36.
pub const UPLOAD_ID_BYTES_MAX: usize = 128;

/// The largest saved digest state that is read, in bytes.
pub const MIDSTATE_BYTES_MAX: u64 = 4096;

/// The memory for which manifests tags were seen to lead to, in bytes: some 25,000 of them.
pub const TAGGED_BYTES_MAX: u64 = 8 << 20;

/// For how long it is remembered that a tag's manifest is linked: what another server deletes while a
/// tag still names it can be pulled by that tag for so long at most.
pub const TAGGED_AGE_MAX: Duration = Duration::from_secs(30);

/// The size at which a page of referrers ends, in bytes of JSON: clients read an index of at most
/// 4 MiB.
pub const REFERRERS_PAGE_BYTES_MAX: usize = 3 << 20;

/// Work done in one go before other tasks get their turn, in directory entries.
pub const ENTRIES_BETWEEN_YIELDS: usize = 64;

/// How many tags are read at once when looking for those of a manifest, unless configured.
pub const TAG_LOOKUP_CONCURRENCY: usize = 8;

/// Up to how many tags of a repository are all read when one of its manifests is deleted. Of more it
/// is remembered what they name.
pub const TAGS_ALWAYS_READ_MAX: usize = 256;

/// For how long it is remembered what tags name where the storage tells of no changes. There other
/// servers may be on it, which move tags.
pub const TAG_TARGETS_AGE_MAX: Duration = Duration::from_secs(600);

/// How deep repositories may be nested. A name has at most 255 bytes, so 128 components.
pub const REPOSITORY_DEPTH_MAX: usize = 128;

/// How many reads one list makes at once where each is a request to another machine.
pub const REMOTE_READS_AT_ONCE: usize = 16;

/// How long a lease on an object store lasts that is not renewed.
pub const LEASE_LIFE: Duration = Duration::from_secs(60);

/// How many subdirectories are read at once where a directory is read in pages: what one request
/// gives.
pub const REMOTE_PAGE_ENTRIES: usize = storage::limits::LISTING_PAGE_ENTRIES;

/// The longest reason for read-only mode that is kept, in characters.
pub const READ_ONLY_REASON_CHARS_MAX: usize = 500;

/// The largest note of read-only mode that is read, in bytes.
pub const READ_ONLY_NOTE_BYTES_MAX: u64 = 4096;

/// How many things are copied to another storage at once, unless told otherwise.
pub const TRANSFER_CONCURRENCY: usize = 8;

/// The most that can be asked for. Beyond it the storage, not the waiting, is what takes the time.
pub const TRANSFER_CONCURRENCY_MAX: usize = 64;

/// How many passes a copy to another storage makes at most, unless told otherwise.
pub const TRANSFER_PASSES: u32 = 3;

/// Up to this size a blob is copied as a whole, in bytes; there is one such buffer for each thing
/// that is copied at once.
pub const TRANSFER_PUT_BYTES_MAX: u64 = 1 << 20;

/// How much of a larger blob is collected before it is written, in bytes. While it is written the
/// next part is read, so that there are two for each blob that is copied at once.
pub const TRANSFER_BATCH_BYTES: usize = 1 << 20;

/// How many blobs are remembered as being at the target. Another one is looked for there again;
/// each takes about 100 bytes.
pub const TRANSFER_SETTLED_BLOBS: usize = 100_000;

/// How many blobs are remembered as not having been copied, so that no link brings them up again.
pub const TRANSFER_FAILED_BLOBS_MAX: usize = 100_000;

/// After how many failures of the storage in a row a copy gives up: it is the storage then, and not
/// a file.
pub const TRANSFER_FAILURES_IN_A_ROW_MAX: u64 = 64;

/// How many findings of a kind a copy's report lists, about 300 bytes each. The others are counted.
pub const TRANSFER_FINDINGS_LISTED_MAX: usize = 1000;

/// How long something is kept that nothing refers to, unless configured. A push of many large layers
/// over a slow line names the first of them at its end.
pub const COLLECTION_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The largest announcement of a collection that is read, in bytes.
pub const ANNOUNCEMENT_BYTES_MAX: u64 = 4096;

/// How much is announced at once at most: claims of 16 bytes, and about 150 bytes for each in the
/// memory of the collector. With more, it is done in rounds.
pub const COLLECTION_LIST_CLAIMS_MAX: usize = 100_000;

/// The largest list of a collection that is read, in bytes: twice what is ever written.
pub const COLLECTION_LIST_BYTES_MAX: u64 = 2 * 16 * COLLECTION_LIST_CLAIMS_MAX as u64;

/// How many of its own pins a server remembers, about 80 bytes each. Others are written again.
pub const PINNED_NOTED_MAX: usize = 100_000;

/// How deep indexes of indexes are followed when what an index is made of is claimed.
pub const CLAIMED_DEPTH_MAX: usize = 8;

/// How much is deleted in one batch at most. Whoever relies on something in it waits for its end.
pub const COLLECTION_BATCH_ITEMS: usize = 500;

/// How many deletions are made at once where one is quick.
pub const COLLECTION_DELETIONS_AT_ONCE: usize = 4;

/// After how many failures in a row a collection gives up: it is the storage then, and not a file.
pub const COLLECTION_FAILURES_IN_A_ROW_MAX: u32 = 16;

/// How many problems a collection's report lists. The others are counted.
pub const COLLECTION_PROBLEMS_LISTED_MAX: usize = 1000;

/// How many blobs and links a check looks at at once, unless told otherwise.
pub const CHECK_CONCURRENCY: usize = 4;

/// The most that can be asked for.
pub const CHECK_CONCURRENCY_MAX: usize = 64;

/// How many findings of a kind a check's report lists, about 500 bytes each. The others are counted.
pub const CHECK_FINDINGS_LISTED_MAX: usize = 1000;

/// After how many failures of the storage in a row a check gives up: it is the storage then, and not
/// a file.
pub const CHECK_FAILURES_IN_A_ROW_MAX: u64 = 64;

/// How long a check waits before it looks again at what seems damaged: Distribution 2 writes small
/// files in place.
pub const CHECK_SECOND_LOOK: Duration = Duration::from_millis(10);

/// From what age on an unfinished file counts as one whose writer is dead.
pub const CHECK_LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// How often a scrub looks at its note: whether it is its turn, and to say that it is at it.
pub const SCRUB_LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// From what age on the note of another server says no more that it is at it.
pub const SCRUB_LEASE: Duration = Duration::from_secs(300);

/// How long a scrub waits to see whether another one has taken the note at the same time.
pub const SCRUB_CLAIM_WAIT: Duration = Duration::from_secs(2);

/// How often what is damaged is looked at again between two passes.
pub const SCRUB_RECHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// How many damaged blobs are remembered by name, each in about 150 bytes.
pub const SCRUB_CORRUPT_BLOBS_MAX: usize = 1000;

/// The largest note of a scrub that is read, in bytes.
pub const SCRUB_NOTE_BYTES_MAX: u64 = 256 << 10;

/// After how many blobs in a row that can't be read a scrub waits: it is the storage then.
pub const SCRUB_FAILURES_IN_A_ROW_MAX: u32 = 16;

/// How many errors of links and manifests one pass logs.
pub const SCRUB_FINDINGS_LOGGED_MAX: usize = 100;

/// How many manifests a server has in mind that were pulled lately, about 250 bytes each. Of more than
/// that within a minute it is not known that they were pulled.
pub const PULLS_NOTED_MAX: usize = 65_536;

/// How exactly it is noted when something was pulled: again after so long. Whoever asks takes the end
/// of that time.
pub const PULL_RESOLUTION: Duration = Duration::from_secs(600);

/// How often what was pulled is written down.
pub const PULLS_FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Of how many of a repository's manifests and tags a server notes that they were pulled on a day: of
/// those that were pulled last.
pub const PULLS_OF_DAY_MAX: usize = 20_000;

/// Of how many of a repository's manifests and tags it is kept that they were pulled on earlier days.
pub const PULLS_MERGED_MAX: usize = 100_000;

/// The largest file of pulls that is read, in bytes. The longest of its lines takes 147.
pub const PULLS_FILE_BYTES_MAX: u64 = 16 << 20;

/// How many decisions about tags a collection's report lists. The others are counted.
pub const RETENTION_LISTED_MAX: usize = 1000;

/// What was used within this time is no eviction's, unless configured: a client that has pulled a
/// manifest goes on to pull what it is made of. Twice as long as content counts as pinned, without a
/// pin, that was just written.
pub const EVICTION_IN_USE: Duration = Duration::from_secs(1800);

/// To how much of the bound an eviction goes down, unless configured, in percent.
pub const EVICTION_LOW_WATER_PERCENT: u8 = 90;

/// How many things that it took an eviction's report lists. The others are counted.
pub const EVICTION_LISTED_MAX: usize = 1000;

/// How much content is noted whose links an eviction took and whose data is still to go: what one
/// run takes, and as much that was left of earlier ones.
pub const EVICTION_PENDING_MAX: usize = 2 * COLLECTION_LIST_CLAIMS_MAX;

/// The largest note of that which is read, in bytes. A line takes 72.
pub const EVICTION_PENDING_BYTES_MAX: u64 = 80 * EVICTION_PENDING_MAX as u64;

/// For how long it is kept when something cached was pulled.
pub const EVICTION_PULLS_KEPT: Duration = Duration::from_secs(366 * 24 * 3600);

/// The largest `scheduler-state.json` of Distribution that is read, in bytes: that of some 150,000
/// blobs and manifests.
pub const SCHEDULER_STATE_BYTES_MAX: u64 = 32 << 20;

/// How old Distribution lets what it caches become, unless configured.
pub const DISTRIBUTION_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
