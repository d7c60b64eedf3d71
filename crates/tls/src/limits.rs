//! Every bound of this crate, in one place.

use std::time::Duration;

/// The largest certificate, key or authority file that is read, in bytes. A bundle of all public
/// authorities has about 250 kB.
pub(crate) const FILE_SIZE_BYTES_MAX: u64 = 4 << 20;

/// How many certificates one file may hold.
pub(crate) const FILE_CERTIFICATES_MAX: usize = 4096;

/// How often the files are looked at.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// A file that was changed less than this before it was looked at may change again without its
/// times showing it, so it is compared once more by its content.
pub(crate) const FILE_SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The longest client identity that is logged, in characters.
pub(crate) const IDENTITY_CHARS_MAX: usize = 256;

/// How many TLS sessions are remembered for clients that resume without tickets.
pub(crate) const SESSIONS_MAX: usize = 1024;
