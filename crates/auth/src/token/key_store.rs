//! Where trusted keys come from, and how they are kept fresh.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bundle::Bundle;
use super::fetch::Fetcher;
use super::jwk::JwkSet;
use super::key_file::{KeyFile, Stamp};
use super::key_ring::KeyRing;
use super::{TokenError, TokenOptions};
use crate::limits::{
    JWKS_REFRESH_MIN, JWKS_RETRY_DELAY, JWKS_RETRY_DELAY_MAX, JWKS_UNKNOWN_KEY_INTERVAL,
    TOKEN_KEY_FILES_CHECK_INTERVAL, TOKEN_KEY_FILES_CHECK_TIMEOUT,
};

/// The keys in use, and where they come from.
#[derive(Debug)]
pub(crate) struct KeyStore {
    current: ArcSwap<KeyRing>,
    parts: SyncMutex<Parts>,
    files: Mutex<Files>,
    remote: Option<Remote>,
}

/// What the keys in use were made of.
#[derive(Debug, Default)]
struct Parts {
    bundle: Option<Arc<Bundle>>,
    set: Option<Arc<JwkSet>>,
}

/// What was read anew.
enum Part {
    Bundle(Bundle),
    Set(JwkSet),
}

#[derive(Debug)]
struct Files {
    watched: Vec<Watched>,
    checked: Instant,
}

#[derive(Debug)]
struct Watched {
    what: What,
    file: KeyFile,
    /// A look that has not come back, and when it was begun. No second one is begun before it does.
    pending: Option<(Instant, Look)>,
}

type Look = JoinHandle<io::Result<Option<(Vec<u8>, Stamp)>>>;

impl Watched {
    fn new(what: What, path: PathBuf) -> Self {
        Self { what, file: KeyFile::new(path), pending: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Bundle,
    Set,
}

impl What {
    fn parse(self, content: &[u8]) -> Result<Part, String> {
        match self {
            Self::Bundle => Bundle::parse(content).map(Part::Bundle),
            Self::Set => JwkSet::parse(content).map(Part::Set),
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Bundle => "auth.token.rootcertbundle",
            Self::Set => "auth.token.jwks",
        }
    }
}

#[derive(Debug)]
struct Remote {
    fetcher: Fetcher,
    refresh: Duration,
    state: Mutex<RemoteState>,
}

#[derive(Debug, Default)]
struct RemoteState {
    attempted: Option<Instant>,
    /// The hash of the set in use.
    taken: Option<[u8; 32]>,
    failing: bool,
}

impl KeyStore {
    /// Reads the files. A URL is fetched later, by [`Self::refresh_forever`] or when its keys are
    /// needed, so that the registry starts before its token server.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) fn open(options: &TokenOptions) -> Result<Self, TokenError> {
        let mut watched = Vec::new();
        if let Some(path) = &options.root_cert_bundle {
            watched.push(Watched::new(What::Bundle, path.clone()));
        }
        let mut remote = None;
        match &options.jwks {
            Some(url) if is_url(url) => {
                let fetcher = Fetcher::new(url).map_err(|problem| TokenError::Jwks { problem })?;
                remote = Some(Remote {
                    fetcher,
                    refresh: options.jwks_refresh.max(JWKS_REFRESH_MIN),
                    state: Mutex::default(),
                });
            }
            Some(path) => watched.push(Watched::new(What::Set, PathBuf::from(path))),
            None => {}
        }
        if watched.is_empty() && remote.is_none() {
            return Err(TokenError::NoKeys);
        }
        let store = Self {
            current: ArcSwap::default(),
            parts: SyncMutex::default(),
            files: Mutex::new(Files { watched: Vec::new(), checked: Instant::now() }),
            remote,
        };
        for Watched { what, file, .. } in &mut watched {
            let problem = |problem| TokenError::File {
                key: what.key(),
                path: file.path().to_owned(),
                problem,
            };
            let read = file.read_if_changed().map_err(|error| problem(error.to_string()))?;
            if let Some((content, stamp)) = read {
                let part = what.parse(&content).map_err(problem)?;
                store.publish(part, &file.path().display().to_string());
                file.taken(stamp);
            }
        }
        Ok(Self { files: Mutex::new(Files { watched, checked: Instant::now() }), ..store })
    }

    /// The keys in use.
    pub(crate) fn current(&self) -> Arc<KeyRing> {
        self.current.load_full()
    }

    /// What lets tests hold up looks at the files.
    #[cfg(test)]
    pub(super) async fn holds(&self) -> Vec<Arc<super::key_file::Hold>> {
        self.files.lock().await.watched.iter().map(|one| Arc::clone(&one.file.hold)).collect()
    }

    /// The address of a key set that was never had, so that nothing can be said about keys that
    /// are unknown.
    pub(crate) fn missing_set(&self) -> Option<String> {
        let remote = self.remote.as_ref()?;
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.set.is_none().then(|| remote.fetcher.to_string())
    }

    /// Reads files again that have changed. They are looked at now and then only; while somebody
    /// else looks, the keys are those there were.
    pub(crate) async fn look_at_files(&self) {
        let Ok(mut files) = self.files.try_lock() else { return };
        if files.watched.is_empty() || files.checked.elapsed() < TOKEN_KEY_FILES_CHECK_INTERVAL {
            return;
        }
        // Before, for a request that is given up while it waits.
        files.checked = Instant::now();
        for watched in &mut files.watched {
            self.look_at_file(watched).await;
        }
        files.checked = Instant::now();
    }

    async fn look_at_file(&self, watched: &mut Watched) {
        let Watched { what, file, pending } = watched;
        let what = *what;
        let (begun, look) = pending.get_or_insert_with(|| {
            // Files are on whatever was mounted there.
            let looked_at = file.clone();
            let look = tokio::task::spawn_blocking(move || looked_at.read_if_changed());
            (Instant::now(), look)
        });
        // Nobody waits for one that is late already.
        let deadline = *begun + TOKEN_KEY_FILES_CHECK_TIMEOUT;
        let looked = tokio::time::timeout_at(deadline, look).await;
        if looked.is_ok() {
            *pending = None;
        }
        let read = match looked {
            Ok(Ok(Ok(Some((content, stamp))))) => {
                what.parse(&content).map(|part| Some((part, stamp)))
            }
            Ok(Ok(Ok(None))) => Ok(None),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(failed)) => Err(failed.to_string()),
            Err(_) => {
                Err(format!("it can't be read in {} s", TOKEN_KEY_FILES_CHECK_TIMEOUT.as_secs()))
            }
        };
        let path = file.path().display().to_string();
        match read {
            Ok(Some((part, stamp))) => {
                file.taken(stamp);
                file.is_news(false);
                self.publish(part, &path);
            }
            Ok(None) if file.is_news(false) => {
                tracing::info!(key = what.key(), path, "file with keys is as it was again");
            }
            Ok(None) => {}
            Err(problem) if file.is_news(true) => {
                tracing::warn!(
                    key = what.key(),
                    path,
                    problem,
                    "file with keys can't be used; the keys it had stay trusted"
                );
            }
            Err(_) => {}
        }
    }

    /// Fetches the key set, if it is a URL, because a token names a key that is not known. Returns
    /// whether it is worth looking again.
    pub(crate) async fn fetch_for_unknown_key(&self) -> bool {
        let Some(remote) = &self.remote else { return false };
        let before = self.current.load().generation;
        let mut state = remote.state.lock().await;
        // Whoever held the lock may have brought the key.
        if self.current.load().generation != before {
            return true;
        }
        let interval = match state.taken {
            Some(_) => JWKS_UNKNOWN_KEY_INTERVAL,
            None => JWKS_RETRY_DELAY,
        };
        if state.attempted.is_some_and(|attempted| attempted.elapsed() < interval) {
            return false;
        }
        self.fetch(remote, &mut state).await && self.current.load().generation != before
    }

    /// Keeps the key set fresh, if it is a URL. Ends at once otherwise: files are looked at when
    /// tokens come.
    pub(crate) async fn refresh_forever(&self) {
        let Some(remote) = &self.remote else { return };
        let mut delay = JWKS_RETRY_DELAY;
        loop {
            let fetched = {
                let mut state = remote.state.lock().await;
                self.fetch(remote, &mut state).await
            };
            if fetched {
                delay = JWKS_RETRY_DELAY;
                tokio::time::sleep(remote.refresh).await;
            } else {
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(JWKS_RETRY_DELAY_MAX);
            }
        }
    }

    async fn fetch(&self, remote: &Remote, state: &mut RemoteState) -> bool {
        // Before, for a request that is given up while it waits.
        state.attempted = Some(Instant::now());
        let fetched = remote.fetcher.fetch().await;
        state.attempted = Some(Instant::now());
        let parsed = fetched.and_then(|body| {
            let hash: [u8; 32] = Sha256::digest(&body).into();
            if state.taken == Some(hash) {
                return Ok(None);
            }
            JwkSet::parse(&body).map(|set| Some((set, hash)))
        });
        let failed = parsed.is_err();
        let news = std::mem::replace(&mut state.failing, failed) != failed;
        match parsed {
            Ok(Some((set, hash))) => {
                state.taken = Some(hash);
                self.publish(Part::Set(set), &remote.fetcher.to_string());
            }
            Ok(None) if news => {
                tracing::info!(url = %remote.fetcher, "key set is fetched again");
            }
            Err(problem) if news => {
                let trusted = if state.taken.is_some() { "those it had" } else { "none" };
                tracing::warn!(
                    url = %remote.fetcher, problem, trusted_keys = trusted,
                    "key set can't be fetched; trying on"
                );
            }
            _ => {}
        }
        !failed
    }

    /// Puts a new part in the place of the old one.
    fn publish(&self, part: Part, origin: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let (keys, left_out) = match &part {
            Part::Bundle(bundle) => (&bundle.keys, &bundle.left_out),
            Part::Set(set) => (&set.keys, &set.left_out),
        };
        for problem in left_out {
            tracing::warn!(origin, problem, "not used as a key for tokens");
        }
        let ids: Vec<_> = keys.iter().map(|key| key.public_ids()).collect();
        tracing::info!(origin, keys = ids.join(", "), "keys for tokens");
        match part {
            Part::Bundle(bundle) => parts.bundle = Some(Arc::new(bundle)),
            Part::Set(set) => parts.set = Some(Arc::new(set)),
        }
        let generation = self.current.load().generation + 1;
        let ring = KeyRing::new(parts.bundle.as_deref(), parts.set.as_deref(), generation);
        self.current.store(Arc::new(ring));
    }
}

/// Whether a key set is fetched and not read. Anything that looks like a URL is none of a file's
/// name: a message about a file shows its name, and a URL may hold a password.
fn is_url(jwks: &str) -> bool {
    jwks.contains("://")
}
