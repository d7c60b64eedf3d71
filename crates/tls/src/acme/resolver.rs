//! Which certificate a handshake gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::PROTOCOL;
use crate::limits;

/// The certificates by host, and those of the challenges that are open.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    /// In the order of the configuration.
    names: Vec<String>,
    hosts: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
    challenges: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
    last_complaint: Mutex<Option<Instant>>,
}

impl Resolver {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Serves a certificate for a host from the next handshake on.
    pub(super) fn install(&self, host: &str, certified: &Arc<CertifiedKey>) {
        self.hosts.rcu(|hosts| {
            let mut hosts = HashMap::clone(hosts);
            hosts.insert(host.to_owned(), certified.clone());
            hosts
        });
    }

    /// Shows the authority a challenge's certificate for as long as the result lives.
    pub(super) fn challenge(
        self: &Arc<Self>,
        host: &str,
        certified: &Arc<CertifiedKey>,
    ) -> OpenChallenge {
        self.challenges.rcu(|challenges| {
            let mut challenges = HashMap::clone(challenges);
            challenges.insert(host.to_owned(), certified.clone());
            challenges
        });
        OpenChallenge { resolver: self.clone(), host: host.to_owned() }
    }

    /// Every host's certificate.
    pub(super) fn served(&self) -> Vec<Arc<CertifiedKey>> {
        self.hosts.load().values().cloned().collect()
    }

    /// The certificate for a name. Who names none, as a probe by address does, gets the first one.
    fn by_name(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = match name {
            Some(name) => name.to_ascii_lowercase(),
            None => self.names.first()?.clone(),
        };
        if let Some(certified) = self.hosts.load().get(&name) {
            return Some(certified.clone());
        }
        if self.may_complain() {
            if self.names.contains(&name) {
                tracing::warn!(
                    "a handshake failed: there is no certificate for {name} yet; what is said \
                     about ordering it tells why"
                );
            } else {
                tracing::warn!(
                    "a handshake failed: the client asked for {name:?}, which is not in \
                     http.tls.letsencrypt.hosts"
                );
            }
        }
        None
    }

    /// Anybody can make handshakes fail, so not each one gets a line in the log.
    fn may_complain(&self) -> bool {
        let mut last = self.last_complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= limits::HANDSHAKE_COMPLAINT_INTERVAL);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = client_hello.server_name();
        // The authority offers nothing but the challenge's protocol (RFC 8737, section 3).
        if client_hello.alpn().is_some_and(|mut offered| offered.any(|one| one == PROTOCOL)) {
            return self.challenges.load().get(&name?.to_ascii_lowercase()).cloned();
        }
        self.by_name(name)
    }
}

/// A challenge that the authority may look at.
pub(super) struct OpenChallenge {
    resolver: Arc<Resolver>,
    host: String,
}

impl Drop for OpenChallenge {
    fn drop(&mut self) {
        self.resolver.challenges.rcu(|challenges| {
            let mut challenges = HashMap::clone(challenges);
            challenges.remove(&self.host);
            challenges
        });
    }
}
