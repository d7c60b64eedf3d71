//! Verifies passwords: off the async threads, few at a time, and each one once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::basic::Credentials;
use super::beat::{self, Beat};
use super::users::{User, Users};
use crate::limits::{
    VERIFICATION_WAIT_MAX, VERIFICATIONS_WAITING_MAX, VERIFIED_LIFETIME, VERIFIED_MAX,
    VERIFIED_RECENTLY,
};
use crate::refusal::Refusal;
use crate::throttle::Throttle;

/// A keyed hash of a user, what the file says of them, and a password. Another hash in the file
/// makes another key: credentials are forgotten as soon as the file changes.
type Key = [u8; 32];

/// A verification that several requests wait for.
type Flight = Arc<OnceCell<Outcome>>;

/// What came of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    /// The answer leaves at a beat of this length.
    Bad(Duration),
}

/// Verifies credentials.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Random, and never leaves the process.
    key: [u8; 32],
    shared: Arc<Shared>,
    /// One permit for each verification at a time.
    cores: Arc<Semaphore>,
    /// One permit for each that runs or waits.
    queue: Semaphore,
    flights: Mutex<HashMap<Key, Flight>>,
}

/// What a verification needs when the request is gone already.
#[derive(Debug)]
struct Shared {
    verified: Cache<Key, Instant>,
    throttle: Throttle,
    beat: Beat,
    /// How often a hash was computed.
    computed: AtomicU64,
}

impl Verifier {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut key = [0; 32];
        rand::fill(&mut key);
        Self {
            key,
            shared: Arc::new(Shared {
                verified: Cache::new(VERIFIED_MAX),
                throttle: Throttle::new(),
                beat: Beat::default(),
                computed: AtomicU64::new(0),
            }),
            cores: Arc::new(Semaphore::new(cores)),
            queue: Semaphore::new(cores + VERIFICATIONS_WAITING_MAX),
            flights: Mutex::new(HashMap::new()),
        }
    }

    /// The user whose password it is; none if there is no such user or it isn't.
    ///
    /// # Errors
    /// [`Refusal::TooManyFailures`], and [`Refusal::Unavailable`] if too many others wait.
    pub(super) async fn verify(
        &self,
        users: &Users,
        credentials: &Credentials,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<User>>, Refusal> {
        let started = Instant::now();
        let name = credentials.user.as_str();
        let known = users.get(name).filter(|user| user.hash.is_usable());
        // An unknown user costs as much as a known one.
        let Some(looked_at) = known.or_else(|| users.stand_in(self.name_hash(name))) else {
            return Ok(None);
        };
        let key = self.key_of(looked_at, credentials);
        let verified = self.shared.verified.get(&key).map(|at| at.elapsed());
        let recently = verified.is_some_and(|age| age < VERIFIED_RECENTLY);
        let outcome = match verified {
            Some(age) if age < VERIFIED_LIFETIME => Outcome::Good,
            _ => {
                let attempt = Attempt {
                    user: Arc::clone(looked_at),
                    dearest: Arc::clone(users.dearest()),
                    known: known.is_some(),
                    credentials: credentials.clone(),
                    address,
                    throttled: !recently,
                    key,
                };
                self.once(attempt).await?
            }
        };
        let beat = match outcome {
            Outcome::Good => return Ok(known.cloned()),
            Outcome::Bad(beat) => beat,
        };
        tokio::time::sleep(beat::until_next(started.elapsed(), beat)).await;
        self.shared.throttle.delay(address, name).await?;
        Ok(None)
    }

    /// How often a hash was computed since the start.
    pub(super) fn computed(&self) -> u64 {
        self.shared.computed.load(Ordering::Relaxed)
    }

    /// Verifies, or waits for another request that does so already.
    async fn once(&self, attempt: Attempt) -> Result<Outcome, Refusal> {
        let flight = InFlight::join(&self.flights, attempt.key);
        // If the request that began it goes away, the next one takes over.
        flight.cell.get_or_try_init(|| self.run(attempt)).await.copied()
    }

    async fn run(&self, attempt: Attempt) -> Result<Outcome, Refusal> {
        let busy = || Refusal::Unavailable("too many logins at a time; try again".to_owned());
        attempt.admit(&self.shared)?;
        let _queued = self.queue.try_acquire().map_err(|_| busy())?;
        let cores = Arc::clone(&self.cores).acquire_owned();
        let core = tokio::time::timeout(VERIFICATION_WAIT_MAX, cores)
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        // Others may have failed while this one waited.
        attempt.admit(&self.shared)?;
        let shared = Arc::clone(&self.shared);
        let verification = tokio::task::spawn_blocking(move || {
            let outcome = attempt.verify(&shared);
            drop(core);
            outcome
        });
        verification.await.map_err(|failed| {
            tracing::error!("verifying a password failed: {failed}");
            Refusal::Unavailable("verifying the password failed".to_owned())
        })
    }

    fn key_of(&self, user: &User, credentials: &Credentials) -> Key {
        self.mac(&[
            user.hash.secret_text().as_bytes(),
            credentials.user.as_bytes(),
            &credentials.password,
        ])
    }

    fn name_hash(&self, name: &str) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.mac(&[name.as_bytes()]);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed_hash(&self.key, parts)
    }
}

/// HMAC-SHA256 over parts that are kept apart by their lengths.
pub(crate) fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a short key with zeros to the size of a block (RFC 2104, section 2).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// One look at a password.
struct Attempt {
    user: Arc<User>,
    /// Those of the file that take longest.
    dearest: Arc<[Arc<User>]>,
    /// False if the user is only a stand-in.
    known: bool,
    credentials: Credentials,
    address: Option<IpAddr>,
    /// False if the credentials were good a while ago: then others that fail from the same address
    /// do not stand in their way.
    throttled: bool,
    key: Key,
}

impl Attempt {
    fn admit(&self, shared: &Shared) -> Result<(), Refusal> {
        if self.throttled {
            return shared.throttle.admit(self.address, &self.credentials.user);
        }
        Ok(())
    }

    /// Verifies and counts; also when nobody waits for it any more.
    fn verify(&self, shared: &Shared) -> Outcome {
        let started = Instant::now();
        let matches = self.user.hash.matches(&self.credentials.password);
        shared.computed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(millis = started.elapsed().as_millis(), "a password was verified");
        let good = matches && self.known;
        if good {
            shared.verified.insert(self.key, Instant::now());
            if self.throttled {
                shared.throttle.succeeded(self.address, &self.credentials.user);
            }
        } else {
            shared.throttle.failed(self.address, &self.credentials.user);
            self.log_failure();
        }
        if good { Outcome::Good } else { Outcome::Bad(shared.beat.of(&self.dearest)) }
    }

    /// Unknown names are not logged: people type passwords in the place of names.
    fn log_failure(&self) {
        let user = if self.known { &*self.user.name } else { "(unknown)" };
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        tracing::warn!(user, address, "login failed");
    }
}

/// Taking part in a flight; the last one out removes it.
struct InFlight<'a> {
    flights: &'a Mutex<HashMap<Key, Flight>>,
    key: Key,
    cell: Flight,
}

impl<'a> InFlight<'a> {
    fn join(flights: &'a Mutex<HashMap<Key, Flight>>, key: Key) -> Self {
        let mut map = flights.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = Arc::clone(map.entry(key).or_default());
        drop(map);
        Self { flights, key, cell }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut map = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one.
        if Arc::strong_count(&self.cell) <= 2 {
            map.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
