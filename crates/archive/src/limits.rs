//! Every bound of this crate, in one place.

/// Up to this size content is copied as a whole, in bytes; there is one such buffer for each thing
/// that is copied at once.
pub const PUT_BYTES_MAX: u64 = 1 << 20;

/// How much of larger content is collected before it is written, in bytes. While it is written the
/// next part is read, so that there are two for each thing that is copied at once.
pub const BATCH_BYTES: usize = 1 << 20;

/// How many things are copied at once, unless told otherwise.
pub const CONCURRENCY: usize = 8;

/// The most that can be asked for.
pub const CONCURRENCY_MAX: usize = 64;

/// How many blobs are remembered as being there. Another one is looked for again; each takes about
/// 150 bytes.
pub const SETTLED_BLOBS: usize = 200_000;

/// How many locks keep two tasks from copying the same blob. One for each first byte of a digest.
pub const BLOB_LOCKS: usize = 256;

/// How many names of repositories are asked for at once.
pub const REPOSITORIES_PAGE: usize = 1000;

/// The longest record of a repository in a snapshot, in bytes: some 3,000,000 tags or blobs.
pub const RECORD_BYTES_MAX: usize = 512 << 20;

/// The largest description of a snapshot, in bytes.
pub const SNAPSHOT_BYTES_MAX: u64 = 64 << 10;

/// The largest `oci-layout`, in bytes.
pub const OCI_LAYOUT_BYTES_MAX: u64 = 4 << 10;

/// The largest `index.json` or `manifest.json` of images that are imported, in bytes.
pub const INDEX_BYTES_MAX: u64 = 16 << 20;

/// The largest manifest that is read, in bytes: what the registry reads back.
pub const MANIFEST_BYTES_MAX: u64 = registry::limits::STORED_MANIFEST_BYTES_MAX;

/// The largest configuration of an image in a docker archive, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// How many links are written in one go.
pub const LINKS_AT_ONCE: usize = 128;

/// After how long what a writer has left is removed, in seconds. What is still being written after
/// a day would have to be larger than what stores take.
pub const STAGED_AGE_SECS: u64 = 24 * 3600;

/// How often a job says that it is still at work, in seconds.
pub const MARK_INTERVAL_SECS: u64 = 60;

/// After how long a job that says nothing is taken for dead, in seconds.
pub const MARK_AGE_SECS_MAX: u64 = 15 * 60;

/// How many digests are held in memory while it is found out which blobs nothing names: about 70
/// bytes each. With more of them the snapshots are read several times.
pub const PRUNED_AT_ONCE: u64 = 2_000_000;

/// How many entries an archive may have. An image has some hundred.
pub const TAR_ENTRIES_MAX: usize = 100_000;

/// The longest path or extended header in an archive, in bytes.
pub const TAR_HEADER_BYTES_MAX: u64 = 1 << 20;

/// How many links in an archive lead from one to the next.
pub const TAR_LINKS_MAX: usize = 16;

/// How deep indexes may lie within indexes.
pub const INDEX_DEPTH_MAX: usize = 8;

/// How many manifests one import or export may have.
pub const MANIFESTS_MAX: usize = 10_000;

/// How much a compressed archive, or one that comes by a pipe, may hold, in bytes: it is laid down in
/// a temporary file.
pub const SPOOLED_BYTES_MAX: u64 = 1 << 40;
