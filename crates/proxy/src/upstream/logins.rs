//! Who wharf is at an upstream, as it is at the moment.

mod acr;
mod ecr;
mod gar;
mod helper;
mod service;

use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::acr::Acr;
use self::ecr::Ecr;
use self::gar::Gar;
use self::helper::Helper;
use super::authority::basic;
use super::error::UpstreamSetupError;
use super::options::{Credentials, UpstreamOptions};
use crate::Secret;

/// Who wharf is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Nobody,
    User {
        username: String,
        password: Secret,
    },
    /// Whoever a refresh token was given to.
    Identity(Secret),
}

impl Login {
    /// The header of Basic credentials, of those who have a password.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        match self {
            Self::User { username, password } => basic(username, password),
            Self::Nobody | Self::Identity(_) => None,
        }
    }
}

/// How long a login is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    ForEver,
    Once,
    For(Duration),
}

#[derive(Debug)]
enum Source {
    Fixed(Login),
    Helper(Helper),
    Ecr(Ecr),
    Gar(Gar),
    Acr(Acr),
}

/// Where logins come from, and the last one. One is had at a time.
#[derive(Debug)]
pub(crate) struct Logins {
    source: Source,
    kept: Mutex<Option<(Login, Option<Instant>)>>,
}

impl Logins {
    /// # Errors
    /// [`UpstreamSetupError`] when they can't be had in this way.
    pub(crate) fn new(options: &UpstreamOptions) -> Result<Self, UpstreamSetupError> {
        let unusable =
            |reason| UpstreamSetupError::Credentials { upstream: options.name.clone(), reason };
        let registry = || {
            let no_endpoint = || UpstreamSetupError::NoEndpoint { upstream: options.name.clone() };
            options.endpoints.first().ok_or_else(no_endpoint)
        };
        let source = match &options.credentials {
            Credentials::Anonymous => Source::Fixed(Login::Nobody),
            Credentials::Basic { username, password } => Source::Fixed(Login::User {
                username: username.clone(),
                password: password.clone(),
            }),
            Credentials::Helper { command, url, lifetime } => {
                Source::Helper(Helper::new(command, url, *lifetime))
            }
            Credentials::Ecr { region } => {
                Source::Ecr(Ecr::new(registry()?, region).map_err(unusable)?)
            }
            Credentials::Gar { key_file } => {
                Source::Gar(Gar::new(key_file.as_deref()).map_err(unusable)?)
            }
            Credentials::Acr { tenant, client_id, client_secret } => {
                let acr = Acr::new(registry()?, tenant, client_id, client_secret);
                Source::Acr(acr.map_err(unusable)?)
            }
        };
        Ok(Self { source, kept: Mutex::default() })
    }

    /// Who wharf is now.
    ///
    /// # Errors
    /// Why that is not known.
    pub(crate) async fn current(&self) -> Result<Login, String> {
        if let Source::Fixed(login) = &self.source {
            return Ok(login.clone());
        }
        let mut kept = self.kept.lock().await;
        if let Some((login, until)) = &*kept
            && until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(login.clone());
        }
        let asked = Instant::now();
        let (login, lifetime) = match &self.source {
            Source::Fixed(login) => (login.clone(), Lifetime::ForEver),
            Source::Helper(helper) => helper.ask().await?,
            Source::Ecr(ecr) => ecr.ask().await?,
            Source::Gar(gar) => gar.ask().await?,
            Source::Acr(acr) => acr.ask().await?,
        };
        *kept = match lifetime {
            Lifetime::ForEver => Some((login.clone(), None)),
            Lifetime::Once => None,
            Lifetime::For(time) => Some((login.clone(), Some(asked + time))),
        };
        Ok(login)
    }
}
