//! Every bound of this crate, with its reason.

use std::time::Duration;

/// The largest piece that a stream hands out, in bytes. Measured on loopback, pieces of 64 to
/// 128 KiB move the most bytes per CPU second: smaller ones cost calls, larger ones fall out of
/// the processor's second-level cache before the socket has read them.
pub const STREAM_PIECE_BYTES: usize = 128 * 1024;

/// How many buffers of [`STREAM_PIECE_BYTES`] a stream recycles. hyper holds up to 400 KiB of
/// pieces before it stops asking, so with four buffers the ring is seldom empty, and a stream
/// never costs more than 512 KiB.
pub const STREAM_BUFFERS: usize = 4;

/// Up to this size an object is read by a single call into a single piece of its own size, in
/// bytes: manifests, configurations and small layers.
pub const SMALL_OBJECT_BYTES: u64 = 64 * 1024;

/// After how many appended bytes the kernel is asked to start writing them back. Without that, a
/// gigabyte layer lies in the page cache until its commit, which then waits for all of it.
pub const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// How many pieces one vectored write takes: the kernel's `IOV_MAX`.
pub const VECTORED_PIECES: usize = 1024;

/// How often an operation that makes directories starts over because another request deleted one
/// of them as empty in between. Each round needs another deletion in a window of microseconds, so
/// running out of rounds means that something else is wrong.
pub const PARENT_RETRIES: usize = 16;

/// How often an appender starts over because the file it had opened was deleted, replaced or
/// published before it held the lock.
pub const APPEND_RETRIES: usize = 16;

/// How deep a tree may be that is deleted as a whole. A repository's name has at most 255
/// characters and so at most 128 components; the layout adds fewer than ten.
pub const DELETE_DEPTH: usize = 256;

/// A directory that was changed less than this before it was looked at may change again within
/// the same tick of its clock, so that its time says nothing yet. Kernel ticks are 10 ms at most,
/// but some filesystems keep whole seconds, FAT even two.
pub const RACY_CLOCK: Duration = Duration::from_secs(3);

/// Size of the buffer through which a file is copied when it has to change filesystems, in bytes.
pub const COPY_BYTES: usize = 1024 * 1024;

/// How many blocking file operations one filesystem driver runs at once, unless its options say
/// otherwise. Distribution's `maxthreads` has the same default and the same lower bound.
pub const MAX_THREADS_DEFAULT: usize = 100;

/// The lowest number of blocking operations at once that can be asked for. Below it a few slow
/// syncs would hold up every read; Distribution raises lower values in silence, too.
pub const MAX_THREADS_MIN: usize = 25;
