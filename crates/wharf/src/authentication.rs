//! From `auth` to whoever decides about requests.

use anyhow::Context as _;
use auth::htpasswd::{Htpasswd, HtpasswdOptions};
use auth::token::{TokenAuth, TokenOptions};
use auth::{Authenticator, Silly};
use config::{Auth, Config, KeySet, TokenAuth as TokenSettings};
use tracing::warn;

/// Opens the configured kind; nothing when everybody may do everything.
///
/// # Errors
/// When its files can't be used, with the reason.
pub(crate) fn open(config: &Config) -> anyhow::Result<Option<Authenticator>> {
    Ok(Some(match &config.auth {
        Auth::None => return Ok(None),
        Auth::Silly { realm, service } => {
            warn!("auth.silly protects nothing: every Authorization header is accepted");
            Authenticator::Silly(Silly { realm: realm.clone(), service: service.clone() })
        }
        Auth::Htpasswd { realm, path, anonymous } => {
            let options = HtpasswdOptions {
                realm: realm.clone(),
                path: path.clone(),
                anonymous_pull: anonymous.pull,
                anonymous_catalog: anonymous.catalog,
                token_key: config.http.secret.as_ref().map(|key| key.reveal().into()),
            };
            let htpasswd = Htpasswd::open(options).context("auth.htpasswd")?;
            Authenticator::Htpasswd(Box::new(htpasswd))
        }
        Auth::Token(settings) => {
            let token = TokenAuth::open(token(settings)).context("auth.token")?;
            Authenticator::Token(token)
        }
    }))
}

fn token(settings: &TokenSettings) -> TokenOptions {
    TokenOptions {
        realm: settings.realm.clone(),
        service: settings.service.clone(),
        issuer: settings.issuer.clone(),
        root_cert_bundle: settings.root_cert_bundle.clone(),
        jwks: settings.jwks.as_ref().map(|set| match set {
            KeySet::File(path) => path.display().to_string(),
            KeySet::Url(url) => url.reveal().to_owned(),
        }),
        jwks_refresh: settings.jwks_refresh,
        auto_redirect: settings.auto_redirect,
        auto_redirect_path: settings.auto_redirect_path.clone(),
        signing_algorithms: settings.signing_algorithms.clone(),
    }
}
