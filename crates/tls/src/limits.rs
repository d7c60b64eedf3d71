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

/// How many hosts certificates are ordered for.
pub(crate) const ACME_HOSTS_MAX: usize = 100;

/// How many certificates are ordered at the same time.
pub(crate) const ACME_ORDERS_MAX: usize = 4;

/// How long one request to an authority may take.
pub(crate) const ACME_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer of an authority, in bytes.
pub(crate) const ACME_RESPONSE_BYTES_MAX: usize = 1 << 20;

/// How long an authority may take to look at a challenge, and to make a certificate.
pub(crate) const ACME_POLL_TIMEOUT: Duration = Duration::from_secs(90);

/// How long getting one certificate may take altogether.
pub(crate) const ACME_ORDER_TIMEOUT: Duration = Duration::from_secs(300);

/// The pause after the first failure; each further one triples it.
pub(crate) const ACME_RETRY_FIRST: Duration = Duration::from_secs(60);

/// The longest pause after failures.
pub(crate) const ACME_RETRY_MAX: Duration = Duration::from_secs(3 * 3600);

/// By how much a pause may be longer than computed, as a share of it.
pub(crate) const ACME_RETRY_SPREAD: f64 = 0.2;

/// How often an authority is asked when it would like to renew (RFC 9773, section 4.3). Also the
/// longest sleep, so that a clock that was set or a machine that slept does no harm.
pub(crate) const RENEWAL_LOOK_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// How early a renewal may be without the authority's suggestion, as a share of the lifetime.
pub(crate) const RENEWAL_SPREAD: f64 = 0.02;

/// How long a new certificate is used at least, unless a third of its lifetime is shorter.
pub(crate) const RENEWAL_REST: jiff::SignedDuration = jiff::SignedDuration::from_hours(6);

/// How often a handshake that found no certificate is logged.
pub(crate) const HANDSHAKE_COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
