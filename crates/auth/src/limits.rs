//! Every bound of this crate, with the reason for it.

use std::time::Duration;

// ---- htpasswd ----

/// Largest htpasswd file, in bytes. 8 MiB are about 100,000 users.
pub const HTPASSWD_BYTES_MAX: u64 = 8 << 20;

/// Most lines of an htpasswd file, comments included.
pub const HTPASSWD_LINES_MAX: usize = 100_000;

/// Lines of an htpasswd file that are warned about one by one; the others are only counted.
pub const HTPASSWD_WARNINGS_MAX: usize = 20;

/// How often it is looked whether the htpasswd file changed: a removed user is refused after this
/// long at the latest.
pub const HTPASSWD_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a look at the htpasswd file may take, on a network file system that hangs, before the
/// request goes on with the users as they were.
pub const HTPASSWD_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Dearest bcrypt hash that is verified. Cost 16 keeps a core busy for some four seconds, and each
/// step up doubles it: cost 31 would take a day.
pub const BCRYPT_COST_MAX: u32 = 16;

/// Most rounds of a SHA-crypt hash that is verified: about two seconds.
pub const SHA_CRYPT_ROUNDS_MAX: u32 = 2_000_000;

/// Most memory of an argon2 hash that is verified, in KiB. Each verification takes that much.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 256 << 10;

/// Most passes over the memory of an argon2 hash that is verified.
pub const ARGON2_PASSES_MAX: u32 = 32;

/// Most lanes of an argon2 hash that is verified.
pub const ARGON2_LANES_MAX: u32 = 64;

/// Longest `Authorization` header with Basic credentials, in bytes.
pub const BASIC_BYTES_MAX: usize = 4 << 10;

/// Longest password, in bytes; the time of SHA-crypt grows with it.
pub const PASSWORD_BYTES_MAX: usize = 1 << 10;

/// Verifications that wait for a core. Whoever comes when so many wait gets a 503.
pub const VERIFICATIONS_WAITING_MAX: usize = 256;

/// How long a verification waits for a core before the request gets a 503.
pub const VERIFICATION_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long credentials that were verified are accepted again without another look at the hash.
pub const VERIFIED_LIFETIME: Duration = Duration::from_secs(60);

/// How long credentials that were verified are known to be worth verifying again, however many
/// others from the same address fail.
pub const VERIFIED_RECENTLY: Duration = Duration::from_secs(3600);

/// Credentials that are remembered at a time, 40 bytes each.
pub const VERIFIED_MAX: usize = 10_000;

// ---- failed logins ----

/// Addresses, and pairs of an address and a user, that failures are counted for at a time.
pub const FAILURES_TRACKED_MAX: usize = 16_384;

/// Failed logins of one user from one address that are answered without a delay.
pub const FAILURES_FREE: u32 = 3;

/// Delay of the answer to the first failure after the free ones; it doubles with each further one.
pub const FAILURE_DELAY_FIRST: Duration = Duration::from_millis(250);

/// Longest delay of an answer.
pub const FAILURE_DELAY_MAX: Duration = Duration::from_secs(4);

/// Answers that are delayed at a time; beyond it there is a 429 at once.
pub const FAILURE_DELAYS_MAX: usize = 256;

/// Failed logins of one user from one address after which there is a 429 without a look at the
/// password.
pub const FAILURES_OF_USER_MAX: u32 = 10;

/// How long until one of them is forgotten.
pub const FAILURE_OF_USER_FORGOTTEN: Duration = Duration::from_secs(15);

/// Failed logins of any users from one address after which there is a 429 without a look at the
/// password.
pub const FAILURES_OF_ADDRESS_MAX: u32 = 60;

/// How long until one of them is forgotten.
pub const FAILURE_OF_ADDRESS_FORGOTTEN: Duration = Duration::from_secs(3);

// ---- tokens that wharf issues itself ----

/// How long a token is valid.
pub const ISSUED_LIFETIME: Duration = Duration::from_secs(300);

/// How far the clocks of replicas and clients may be apart.
pub const ISSUED_LEEWAY: Duration = Duration::from_secs(60);

/// Longest query or form of a request for a token, in bytes.
pub const TOKEN_REQUEST_BYTES_MAX: usize = 16 << 10;

/// Most scopes that are granted in one token.
pub const TOKEN_SCOPES_MAX: usize = 64;

/// Longest token that is looked at, in bytes: 64 scopes with names of 255 bytes.
pub const ISSUED_BYTES_MAX: usize = 64 << 10;

// ---- auth.token ----

/// Longest bearer token that is looked at, in bytes. Tokens with many scopes and a chain of
/// certificates reach 16 KiB.
pub const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Most certificates in a token's `x5c`, the leaf included.
pub const TOKEN_CHAIN_CERTIFICATES_MAX: usize = 10;

/// Largest `rootcertbundle` and largest key set, in bytes; both are a few KiB as a rule.
pub const TOKEN_KEYS_BYTES_MAX: usize = 1 << 20;

/// Most keys of one `rootcertbundle` or one key set.
pub const TOKEN_KEYS_MAX: usize = 256;

/// How often files with keys are looked at, at most.
pub const TOKEN_KEY_FILES_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a look at a file with keys may take, on a network file system that hangs, before the
/// request goes on with the keys as they were. Whoever comes after that does not wait.
pub const TOKEN_KEY_FILES_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server of a key set may take to be connected to.
pub const JWKS_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the server of a key set may take altogether. A request with a token whose key is not
/// known waits for as long.
pub const JWKS_FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Redirects that are followed to a key set.
pub const JWKS_REDIRECTS_MAX: usize = 3;

/// How often tokens with unknown keys make the key set be fetched anew, at most: anybody can send
/// such tokens.
pub const JWKS_UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);

/// First wait after a key set could not be fetched; it doubles with each failure.
pub const JWKS_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Longest wait after a key set could not be fetched.
pub const JWKS_RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// Shortest interval between two planned fetches of a key set.
pub const JWKS_REFRESH_MIN: Duration = Duration::from_secs(1);

/// How long a token counts as verified without another look at its signature.
pub const TOKEN_REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Memory for what verified tokens said, in bytes of token.
pub const TOKENS_REMEMBERED_BYTES_MAX: u64 = 16 << 20;

/// Most characters of something a token says that are repeated in a message.
pub const TOKEN_QUOTE_CHARS_MAX: usize = 128;

/// Longest user name that `wharf htpasswd add` takes, in bytes.
pub const USER_BYTES_MAX: usize = 255;
