//! Certificates from an authority that speaks ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737).

mod account;
mod account_key;
mod cache;
mod host;
mod http;
mod keeper;
mod order;
mod resolver;
mod schedule;

use std::sync::Arc;

use ::http::Uri;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::certificate::Facts;
use crate::{AcmeOptions, TlsError, limits};
use account::Accounts;
use cache::{Cache, Issued};
use keeper::Keeper;
pub(crate) use resolver::Resolver;

/// The protocol that a challenge's connection asks for by ALPN (RFC 8737, section 6.2).
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Where Let's Encrypt's ACME directory is.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Whether a connection whose handshake is done was only the authority looking at a challenge's
/// certificate. It carries no data and is to be closed (RFC 8737, section 3).
#[must_use]
pub fn is_challenge(connection: &rustls::ServerConnection) -> bool {
    connection.alpn_protocol() == Some(PROTOCOL)
}

/// An account with an authority, and the certificates that it gave.
pub(crate) struct Acme {
    hosts: Vec<String>,
    resolver: Arc<Resolver>,
    accounts: Arc<Accounts>,
}

impl Acme {
    /// Checks the options and takes over the certificates that the directory holds.
    pub(crate) fn load(options: AcmeOptions) -> Result<Self, TlsError> {
        let hosts = hosts(&options.hosts)?;
        let url = directory_url(options.directory_url.as_deref())?;
        let cache = Cache::open(&options.directory)?;
        let resolver = Arc::new(Resolver::new(hosts.clone()));
        for host in &hosts {
            match cache.certificate(host) {
                Ok(Some(Issued { certified, facts })) => {
                    tracing::info!(host, until = %facts.not_after, "a certificate was kept; using it");
                    resolver.install(host, &certified);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("{error}; ordering a new one"),
            }
        }
        let accounts = Arc::new(Accounts::new(cache, url, options.email));
        Ok(Self { hosts, resolver, accounts })
    }

    /// What handshakes get their certificates from.
    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone()
    }

    /// When the first of the certificates expires that there are.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        let served = self.resolver.served();
        served.iter().filter_map(|key| Some(Facts::of(key.cert.first()?)?.not_after)).min()
    }

    /// Gets and renews the certificates, each host on its own: one whose DNS is wrong keeps no other
    /// waiting. Never ends; dropping the future stops it all.
    pub(crate) async fn run(&self) {
        let orders = Arc::new(Semaphore::new(limits::ACME_ORDERS_MAX));
        let mut keepers = JoinSet::new();
        for host in &self.hosts {
            let keeper = Keeper::new(
                host.clone(),
                self.accounts.clone(),
                self.resolver.clone(),
                orders.clone(),
            );
            keepers.spawn(keeper.keep());
        }
        while let Some(ended) = keepers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "keeping a certificate has stopped; restart to go on");
            }
        }
        std::future::pending().await
    }
}

/// The hosts in their normal form, without repetitions.
fn hosts(given: &[String]) -> Result<Vec<String>, TlsError> {
    let mut hosts = Vec::new();
    for host in given {
        let host = host::parse(host)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    match hosts.len() {
        0 => Err(TlsError::NoHosts),
        1..=limits::ACME_HOSTS_MAX => Ok(hosts),
        _ => Err(TlsError::TooManyHosts { limit: limits::ACME_HOSTS_MAX }),
    }
}

fn directory_url(given: Option<&str>) -> Result<String, TlsError> {
    let Some(given) = given.filter(|url| !url.is_empty()) else { return Ok(LETS_ENCRYPT.into()) };
    let refused = || {
        let (scheme, rest) = given.split_once("://").unwrap_or(("", given));
        let shown = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
        let separator = if scheme.is_empty() { "" } else { "://" };
        TlsError::BadDirectoryUrl { url: format!("{scheme}{separator}{shown}") }
    };
    let url: Uri = given.parse().map_err(|_| refused())?;
    let authority = url.authority().ok_or_else(refused)?;
    if url.scheme_str() != Some("https") || authority.as_str().contains('@') {
        return Err(refused());
    }
    Ok(given.to_owned())
}

/// A number in 0..1, to spread what many servers do.
fn random_position() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness nothing of TLS works; here it would only mean no spreading.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
