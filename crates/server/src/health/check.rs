//! What a health check looks at. Names and the beginnings of reasons are Distribution's.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Client, ClientBuilder, Url, redirect};
use storage::{Driver, StoragePath};
use tokio::net::TcpStream;

use super::{Look, Schedule};
use crate::limits::{
    HEALTH_CHECK_OVERDUE, HEALTH_CHECK_REDIRECTS_MAX, HEALTH_CHECK_TIMEOUT,
    HEALTH_CHECK_TIMEOUT_MIN,
};

/// Something that shows whether the server can do its work, and how often it is looked at.
#[derive(Debug)]
pub struct Check {
    name: String,
    schedule: Schedule,
    probe: Probe,
}

/// `health.http`: a URL that has to answer HEAD with a certain status.
#[derive(Clone)]
pub struct HttpCheck {
    /// The URL. Its user and password are sent, but never shown.
    pub uri: String,
    /// Further headers of the request.
    pub headers: HeaderMap,
    /// The status that is healthy, after up to ten redirects; 0 counts as 200.
    pub status_code: u16,
    /// How long the answer may take; zero counts as 30 seconds.
    pub timeout: Duration,
    /// When to look.
    pub schedule: Schedule,
}

/// Why a check can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The URL of an `http` check.
    #[error("health.http: uri is not an http or https URL: {0}")]
    Uri(String),
    /// No client for an `http` check.
    #[error("health.http: no HTTP client can be made: {0}")]
    Client(String),
}

enum Probe {
    Storage(Arc<dyn Driver>),
    File(PathBuf),
    Http { client: Client, url: Url, headers: HeaderMap, status_code: u16, timeout: Duration },
    Tcp { address: String, timeout: Duration },
}

impl std::fmt::Debug for Probe {
    /// Only the kind: addresses and headers may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Storage(_) => "Storage",
            Self::File(_) => "File",
            Self::Http { .. } => "Http",
            Self::Tcp { .. } => "Tcp",
        })
    }
}

impl Check {
    /// `health.storagedriver`: the storage has to answer. Its root need not exist: nothing may have
    /// been pushed yet.
    #[must_use]
    pub fn storage(driver: Arc<dyn Driver>, schedule: Schedule) -> Self {
        let name = format!("storagedriver_{}", driver.name());
        Self { name, schedule, probe: Probe::Storage(driver) }
    }

    /// `health.file`: a file that must not exist. One look is enough, as with Distribution.
    #[must_use]
    pub fn file(path: PathBuf, interval: Duration) -> Self {
        let schedule = Schedule { interval, threshold: 0 };
        Self { name: path.display().to_string(), schedule, probe: Probe::File(path) }
    }

    /// `health.http`.
    ///
    /// # Errors
    /// [`CheckError::Uri`], [`CheckError::Client`].
    pub fn http(check: HttpCheck) -> Result<Self, CheckError> {
        let HttpCheck { uri, headers, status_code, timeout, schedule } = check;
        let url: Url = uri.parse().map_err(|error| CheckError::Uri(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(CheckError::Uri(format!("its scheme is {}", url.scheme())));
        }
        let timeout = or_default(timeout);
        let settings = |builder: ClientBuilder| {
            builder
                .redirect(redirect::Policy::limited(HEALTH_CHECK_REDIRECTS_MAX))
                .timeout(timeout)
                // Each look is to find out whether one can connect.
                .pool_max_idle_per_host(0)
        };
        let client = outbound::client(&url, settings)
            .map_err(|error| CheckError::Client(describe(&error.without_url())))?;
        let status_code = if status_code == 0 { 200 } else { status_code };
        let name = without_secrets(&uri, &url);
        let probe = Probe::Http { client, url, headers, status_code, timeout };
        Ok(Self { name, schedule, probe })
    }

    /// `health.tcp`: `host:port` has to take connections within the timeout; zero counts as 30
    /// seconds. Without a host, this machine is meant.
    #[must_use]
    pub fn tcp(address: String, timeout: Duration, schedule: Schedule) -> Self {
        let probe = Probe::Tcp { address: address.clone(), timeout: or_default(timeout) };
        Self { name: address, schedule, probe }
    }

    /// What the check is called where it is shown.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// How long a look may take.
    pub(super) fn patience(&self, interval: Duration) -> Duration {
        match &self.probe {
            Probe::Storage(_) | Probe::File(_) => interval.max(HEALTH_CHECK_TIMEOUT_MIN),
            Probe::Http { timeout, .. } | Probe::Tcp { timeout, .. } => {
                timeout.saturating_add(HEALTH_CHECK_OVERDUE)
            }
        }
    }

    /// Looks once.
    pub(super) fn look(&self) -> Look {
        match &self.probe {
            Probe::Storage(driver) => Box::pin(look_at_storage(Arc::clone(driver))),
            Probe::File(path) => Box::pin(look_at_file(path.clone())),
            Probe::Http { client, url, headers, status_code, .. } => {
                let request = client.head(url.clone()).headers(headers.clone());
                Box::pin(look_at_url(request, self.name.clone(), *status_code))
            }
            Probe::Tcp { address, timeout } => Box::pin(look_at_port(address.clone(), *timeout)),
        }
    }
}

fn or_default(timeout: Duration) -> Duration {
    if timeout.is_zero() { HEALTH_CHECK_TIMEOUT } else { timeout }
}

/// The URL as it was written, or without user, password and query if it has any: they may be
/// credentials.
fn without_secrets(uri: &str, url: &Url) -> String {
    if url.username().is_empty() && url.password().is_none() && url.query().is_none() {
        return uri.to_owned();
    }
    let mut bare = url.clone();
    bare.set_query(url.query().map(|_| "***"));
    // These fail for URLs without a host, which those of HTTP are not.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.to_string()
}

async fn look_at_storage(driver: Arc<dyn Driver>) -> Result<(), String> {
    match driver.stat(&StoragePath::root()).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn look_at_file(path: PathBuf) -> Result<(), String> {
    match tokio::fs::metadata(&path).await {
        Ok(_) => Err("file exists".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn look_at_url(
    request: reqwest::RequestBuilder,
    name: String,
    expected: u16,
) -> Result<(), String> {
    match request.send().await {
        Ok(response) if response.status().as_u16() == expected => Ok(()),
        Ok(response) => {
            let status = response.status().as_u16();
            Err(format!("downstream service returned unexpected status: {status}"))
        }
        Err(error) => {
            Err(format!("error while checking: {name}: {}", describe(&error.without_url())))
        }
    }
}

async fn look_at_port(address: String, timeout: Duration) -> Result<(), String> {
    let host = if address.starts_with(':') { "localhost" } else { "" };
    let connecting = TcpStream::connect(format!("{host}{address}"));
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("connection to {address} failed: {error}")),
        Err(_) => {
            let seconds = timeout.as_secs_f32();
            Err(format!("connection to {address} failed: no answer within {seconds} seconds"))
        }
    }
}

/// An error with its innermost cause, which is the interesting half.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let (outer, inner) = (error.to_string(), cause.to_string());
    if outer == inner { outer } else { format!("{outer}: {inner}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(uri: &str) -> Result<Check, CheckError> {
        Check::http(HttpCheck {
            uri: uri.to_owned(),
            headers: HeaderMap::new(),
            status_code: 0,
            timeout: Duration::ZERO,
            schedule: Schedule::default(),
        })
    }

    #[test]
    fn names_show_no_credentials() {
        let named = http("https://user:hunter2@example.com/health?token=hunter2").unwrap();
        assert_eq!(named.name(), "https://example.com/health?***");
        assert!(!format!("{named:?}").contains("hunter2"));
        assert_eq!(http("http://example.com").unwrap().name(), "http://example.com");
        for bad in ["example.com/x", "ftp://user:hunter2@example.com", "http://user:hunter2@"] {
            let error = http(bad).unwrap_err().to_string();
            assert!(error.contains("health.http") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_interval_of_zero_is_the_default() {
        let interval = |interval| Schedule { interval, threshold: 0 }.interval();
        assert_eq!(interval(Duration::ZERO), Duration::from_secs(10));
        assert_eq!(interval(Duration::from_nanos(1)), Duration::from_millis(10));
        assert_eq!(interval(Duration::from_secs(3)), Duration::from_secs(3));
    }
}
