//! Every bound of this crate, with its reason.

use std::time::Duration;

/// The largest piece that a stream hands out, in bytes. Measured on loopback, pieces of 64 to
/// 128 KiB move the most bytes per CPU second: smaller ones cost calls, larger ones fall out of
/// the processor's second-level cache before the socket has read them.
pub const STREAM_PIECE_BYTES: usize = 128 * 1024;

/// The piece that a stream hands out however many streams there are, in bytes.
pub const STREAM_PIECE_BYTES_MIN: usize = 32 * 1024;

/// What the pieces of all streams may take together, in bytes, as long as each gets
/// [`STREAM_PIECE_BYTES_MIN`] for a piece. hyper holds two or three of a stream's pieces before it
/// stops asking, of small ones a few more.
pub const STREAMS_BYTES: usize = 8 * 1024 * 1024;

/// How many buffers a stream recycles. With so many the ring is seldom empty.
pub const STREAM_BUFFERS: usize = 4;

/// After how many appended bytes the kernel is asked to start writing them back. Without that, a
/// gigabyte layer lies in the page cache until its commit, which then waits for all of it.
pub const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// After how many bytes an appender that is fed gives its turn to who waits for one: 2 ms of hashing
/// and copying.
pub const APPEND_TURN_BYTES: u64 = 2 * 1024 * 1024;

/// How many appenders are fed at once on a machine with fewer processors: while one waits for the
/// disk, another may go on.
pub const FEEDS_AT_ONCE_MIN: usize = 2;

/// How many pieces one vectored write takes: the kernel's `IOV_MAX`.
pub const VECTORED_PIECES: usize = 1024;

/// How often an operation that makes directories starts over because another request deleted one
/// of them as empty in between. Each round needs another deletion in a window of microseconds, so
/// running out of rounds means that something else is wrong.
pub const PARENT_RETRIES: u32 = 32;

/// The longest pause before an operation starts over. Two that keep undoing each other's work
/// come out of step with pauses of growing length; the first rounds have none.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(5);

/// How often an appender starts over because the file it had opened was deleted, replaced or
/// published before it held the lock.
pub const APPEND_RETRIES: u32 = 32;

/// A directory that was changed less than this before it was looked at may change again within
/// the same tick of its clock, so that its time says nothing yet. Kernel ticks are 10 ms at most,
/// but some filesystems keep whole seconds, FAT even two.
pub const RACY_CLOCK: Duration = Duration::from_secs(2);

/// How far ahead a reader that met a cold page asks the kernel to read, in bytes, so that the
/// disk works while the client takes what is there.
pub const READ_AHEAD_BYTES: u64 = 2 * 1024 * 1024;

/// How many directories and files a driver remembers as being on stable storage with their names.
/// Each costs eight bytes and saves a sync; when they are forgotten, the next write below each
/// directory, and the next who finds a file in place, syncs once more.
pub const DURABLE_PATHS: usize = 32 * 1024;

/// From which size on a deleted file is not closed for the last time on an async worker, in
/// bytes. Freeing the blocks of a smaller one takes microseconds.
pub const CLOSE_ELSEWHERE_BYTES: u64 = 1024 * 1024;

/// How often the deletion of a directory starts over because others write into it meanwhile.
pub const DELETE_RETRIES: u32 = 32;

/// How many blocking file operations one filesystem driver runs at once, unless its options say
/// otherwise. Distribution's `maxthreads` has the same default and the same lower bound.
pub const MAX_THREADS_DEFAULT: usize = 100;

/// The lowest number of blocking operations at once that can be asked for. Below it a few slow
/// syncs would hold up every read; Distribution raises lower values in silence, too.
pub const MAX_THREADS_MIN: usize = 25;

/// How many directories one driver has the kernel watch at most. Each takes about 1 KiB of the
/// kernel's memory, with the inode that it holds, and counts against the user's
/// `fs.inotify.max_user_watches`, which is 8,192 on old kernels and a hundred times that on others.
pub const WATCHES_MAX: usize = 16 * 1024;

/// How many directories may be watched to follow one: those on the way there. A repository's
/// name has at most 255 bytes, so 128 components, and there are a few above and below them.
pub const FOLLOWING_WATCHES_MAX: usize = 160;

/// How many changes to a directory are noted for whoever follows it. Somebody who does not ask for
/// longer lists it anew, which from this number on is not much more work.
pub const JOURNAL_CHANGES_MAX: usize = 4096;

/// How much of the queue of events is read at once, in bytes. Lies on the stack, and an event has
/// 16 bytes and a name; the kernel's queue holds 16,384 of them.
pub const EVENT_BUFFER_BYTES: usize = 16 * 1024;

/// How many entries of a directory are read at once where it is read in pages: what one request gives.
pub const LISTING_PAGE_ENTRIES: usize = 1000;
