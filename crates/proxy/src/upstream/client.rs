//! The HTTP clients of one endpoint.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate, Client, ClientBuilder, Identity, Url, redirect};

use super::error::UpstreamSetupError;
use super::guard::{Away, Guard, Home};
use super::options::UpstreamOptions;
use super::reading::describe;
use crate::limits::{CONNECT_TIMEOUT, IDLE_CONNECTION_MAX, TLS_FILE_BYTES_MAX};

/// Two clients: one for the endpoint's own host, one for where it leads to. What is configured for
/// the upstream alone, a client certificate and trust in any certificate, stays with the first; and
/// with authorities of its own, the first trusts no others. Where it leads to may be of anybody, such
/// as a store in the cloud, and is trusted by those of the system, too.
#[derive(Debug)]
pub(crate) struct Clients {
    home: Client,
    away: Client,
    guard: Arc<Guard>,
}

impl Clients {
    /// # Errors
    /// [`UpstreamSetupError`] when a file can't be used, or the library can't be.
    pub(crate) fn new(
        options: &UpstreamOptions,
        endpoint: &Url,
    ) -> Result<Self, UpstreamSetupError> {
        let guard = Arc::new(Guard::new(endpoint, outbound::proxy_hosts()));
        let tls = &options.tls;
        let mut authorities = Vec::new();
        for path in &tls.root_cas {
            authorities.extend(read_authorities(options, path)?);
        }
        let identity = tls
            .identity
            .as_ref()
            .map(|(certificate, key)| read_identity(options, certificate, key));
        let identity = identity.transpose()?;
        let settings = |builder: ClientBuilder| {
            builder
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT.min(options.answer_timeout))
                .pool_idle_timeout(IDLE_CONNECTION_MAX)
                .tcp_nodelay(true)
                .referer(false)
                // A digest is of the bytes as they are sent.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
        };
        let away = outbound::client(endpoint, |builder| {
            settings(builder)
                .dns_resolver(Away(Arc::clone(&guard)))
                .tls_certs_merge(authorities.iter().cloned())
        });
        let home = outbound::client(endpoint, |builder| {
            let builder = settings(builder)
                .dns_resolver(Home(Arc::clone(&guard)))
                .tls_danger_accept_invalid_certs(tls.insecure);
            let builder = match authorities.is_empty() {
                true => builder,
                false => builder.tls_certs_only(authorities.iter().cloned()),
            };
            match &identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        });
        let failed = |error: reqwest::Error| UpstreamSetupError::Client {
            upstream: options.name.clone(),
            reason: describe(error),
        };
        Ok(Self { home: home.map_err(failed)?, away: away.map_err(failed)?, guard })
    }

    /// The client for a URL, which may be anyone's.
    ///
    /// # Errors
    /// Why the URL must not be asked.
    pub(crate) fn client_for(&self, url: &Url) -> Result<&Client, String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("it leads to a URL that is neither http nor https".to_owned());
        }
        if self.guard.is_home(url) {
            return Ok(&self.home);
        }
        self.guard.check(url).map_err(|forbidden| forbidden.to_string())?;
        Ok(&self.away)
    }
}

fn read_authorities(
    options: &UpstreamOptions,
    path: &Path,
) -> Result<Vec<Certificate>, UpstreamSetupError> {
    let text = read(options, path)?;
    let found = Certificate::from_pem_bundle(&text)
        .map_err(|error| unusable(options, path, describe(error)))?;
    if found.is_empty() {
        return Err(unusable(options, path, "there is no certificate in it (PEM)".to_owned()));
    }
    Ok(found)
}

fn read_identity(
    options: &UpstreamOptions,
    certificate: &Path,
    key: &Path,
) -> Result<Identity, UpstreamSetupError> {
    let mut text = read(options, certificate)?;
    text.push(b'\n');
    text.extend(read(options, key)?);
    Identity::from_pem(&text).map_err(|_| {
        let reason = format!("with {} it is no certificate with a key (PEM)", key.display());
        unusable(options, certificate, reason)
    })
}

fn read(options: &UpstreamOptions, path: &Path) -> Result<Vec<u8>, UpstreamSetupError> {
    let failed = |error: std::io::Error| unusable(options, path, error.to_string());
    if fs::metadata(path).map_err(failed)?.len() > TLS_FILE_BYTES_MAX {
        let reason = format!("it is larger than {TLS_FILE_BYTES_MAX} bytes");
        return Err(unusable(options, path, reason));
    }
    fs::read(path).map_err(failed)
}

fn unusable(options: &UpstreamOptions, path: &Path, reason: String) -> UpstreamSetupError {
    let path = path.display().to_string();
    UpstreamSetupError::File { upstream: options.name.clone(), path, reason }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::options::{Credentials, NameRules, TlsOptions};
    use crate::upstream::reading::forbidden;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let options = UpstreamOptions {
            name: "up".to_owned(),
            endpoints: Vec::new(),
            credentials: Credentials::Anonymous,
            tls: TlsOptions::default(),
            names: NameRules::default(),
            answer_timeout: Duration::from_secs(20),
            body_idle_timeout: Duration::from_secs(20),
        };
        let clients = Clients::new(&options, &Url::parse("http://1.2.3.4/").unwrap()).unwrap();
        // As a name whose text says nothing of where it leads to.
        let error = clients.away.get("http://localhost:9/").send().await.unwrap_err();
        assert!(forbidden(&error).is_some(), "{error:?}");
    }
}
