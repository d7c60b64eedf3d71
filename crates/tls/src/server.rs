//! What connections are accepted with, and how it follows its files.

mod build;
mod contents;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{ServerConfig, ServerConnection};
use tokio::time::MissedTickBehavior;

use crate::acme::Acme;
use crate::files::Version;
use crate::options::{CertificateSource, Options};
use crate::{TlsError, client, limits};
use build::{Plan, Source};
use contents::Contents;

/// The server's side of TLS: certificate, key and the rules for clients, all of which may change
/// while it serves.
pub struct Server {
    plan: Plan,
    current: ArcSwap<Current>,
    loaded: Mutex<Loaded>,
    pub(crate) acme: Option<Arc<Acme>>,
}

/// What is in use; to be had without waiting, however long the files take to be read.
struct Current {
    config: Arc<ServerConfig>,
    /// When the certificate of a file expires; nothing with ACME.
    not_after: Option<Timestamp>,
}

/// What the current configuration was made of. Locked while files are read, which may take for
/// ever: only for threads that may block.
struct Loaded {
    contents: Contents,
    version: Version,
    /// Why the files that are there now are not in use, if they aren't.
    complaint: Option<String>,
}

/// What came of a reload.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// The files hold what is in use already.
    Unchanged,
    /// New connections get what the files hold now.
    Reloaded,
    /// The files can't be used, so what was in use before stays.
    Kept(TlsError),
}

impl Server {
    /// Reads and checks everything that the options name. Blocks on the file system.
    ///
    /// A certificate that has expired is served all the same, as Distribution does it, and logged as
    /// an error. With ACME nothing is asked of the network here: [`Server::watch`] does that, and
    /// until the first certificate has come, handshakes fail and the log says why.
    ///
    /// # Errors
    ///
    /// Anything that makes the options unusable; see [`TlsError`].
    pub fn load(options: Options) -> Result<Arc<Self>, TlsError> {
        let acme = match &options.source {
            CertificateSource::Files { .. } => None,
            CertificateSource::Acme(acme) => Some(Arc::new(Acme::load(acme.clone())?)),
        };
        let plan = Plan::new(options, acme.as_deref())?;
        // The version goes first: a change while the files are read makes the next look read again.
        let version = Version::of(plan.paths());
        let contents = Contents::read(&plan)?;
        let current = Current::of(&plan, &contents)?;
        plan.warn(&contents);
        let loaded = Mutex::new(Loaded { contents, version, complaint: None });
        Ok(Arc::new(Self { plan, current: ArcSwap::from_pointee(current), loaded, acme }))
    }

    /// What to accept the next connection with; costs a reference count, so take it for each one.
    ///
    /// With ACME, connections may come in that carry no HTTP; see [`crate::is_challenge`].
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// When the certificate expires that is served; the first of them to do so, with several. `None`
    /// while there is none. Waits for nothing.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let until = match &self.acme {
            Some(acme) => acme.expires(),
            None => self.current.load().not_after,
        };
        until.map(SystemTime::from)
    }

    /// Reads the files again, whether or not they seem to have changed (for `SIGHUP`), and logs what
    /// came of it. Blocks on the file system. Connections that exist are not touched.
    pub fn reload(&self) -> ReloadOutcome {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.complaint = None;
        self.refresh(&mut loaded)
    }

    /// Follows the files, and with ACME gets and renews the certificates. Never ends; to be spawned
    /// once, and aborted when the server stops.
    pub async fn watch(self: Arc<Self>) {
        match self.acme.clone() {
            Some(acme) => tokio::join!(self.watch_files(), acme.run()).0,
            None => self.watch_files().await,
        }
    }

    /// The name that a connection's client proved with a certificate, for logs: the subject's common
    /// name, or else the first alternative name. `None` without a certificate, and in the modes that
    /// check none, because there anybody can claim any name.
    #[must_use]
    pub fn client_identity(&self, connection: &ServerConnection) -> Option<String> {
        if !self.plan.client_auth.verifies() {
            return None;
        }
        client::identity(connection.peer_certificates()?.first()?)
    }

    async fn watch_files(self: Arc<Self>) {
        if self.plan.paths().next().is_none() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(limits::WATCH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let server = self.clone();
            // A file system that hangs must not take a worker thread with it.
            let looked = tokio::task::spawn_blocking(move || server.look()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "looking for changed certificates failed");
            }
        }
    }

    /// Reads the files again if they may have changed.
    fn look(&self) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let same = Version::of(self.plan.paths()).is(&loaded.version) && loaded.version.settled;
        if !same || loaded.complaint.is_some() {
            self.refresh(&mut loaded);
        }
    }

    fn refresh(&self, loaded: &mut Loaded) -> ReloadOutcome {
        let version = Version::of(self.plan.paths());
        let is_same_version = version.is(&loaded.version);
        loaded.version = version;
        match self.replace(loaded) {
            Ok(false) => {
                if loaded.complaint.take().is_some() {
                    tracing::info!("the certificate files are back as they were");
                }
                ReloadOutcome::Unchanged
            }
            Ok(true) => {
                loaded.complaint = None;
                tracing::info!(
                    files = %names(self.plan.paths()),
                    "certificates reloaded; new connections get them"
                );
                ReloadOutcome::Reloaded
            }
            Err(error) => {
                let complaint = error.to_string();
                if !is_same_version || loaded.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(
                        "changed certificate files are not used, the ones before stay: {complaint}"
                    );
                }
                loaded.complaint = Some(complaint);
                ReloadOutcome::Kept(error)
            }
        }
    }

    /// Makes and installs a configuration from the files if they hold something new.
    fn replace(&self, loaded: &mut Loaded) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.plan)?;
        if contents == loaded.contents {
            return Ok(false);
        }
        let current = Current::of(&self.plan, &contents)?;
        self.plan.warn(&contents);
        self.current.store(Arc::new(current));
        loaded.contents = contents;
        Ok(true)
    }
}

impl Current {
    fn of(plan: &Plan, contents: &Contents) -> Result<Self, TlsError> {
        let config = Arc::new(plan.build(contents)?);
        Ok(Self { config, not_after: plan.facts(contents).map(|facts| facts.not_after) })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("files", &names(self.plan.paths())).finish_non_exhaustive()
    }
}

fn names<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
