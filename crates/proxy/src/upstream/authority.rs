//! How an endpoint is told who asks.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use oci::{Algorithm, Digest};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::Asking;
use super::challenge::{Bearer, Challenge};
use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::logins::Login;
use super::scope::Scope;
use super::token::{Token, exchange};
use crate::Secret;
use crate::limits::TOKENS_MAX;

/// On whose behalf an endpoint is asked.
#[derive(Debug)]
pub(crate) enum Who {
    /// That of wharf, as it is configured.
    Wharf,
    /// A client's, who sent this name and password.
    Client(Login, Digest),
    /// A client's, who sent this, which is for the endpoint as it is.
    AsIs(HeaderValue),
}

impl Who {
    pub(crate) fn of(asking: &Asking) -> Self {
        let Some(sent) = &asking.authorization else { return Self::Wharf };
        match basic_of(sent) {
            Some(login) => Self::Client(login, Digest::of(Algorithm::Sha256, sent.as_bytes())),
            None => {
                let mut sent = sent.clone();
                sent.set_sensitive(true);
                Self::AsIs(sent)
            }
        }
    }

    /// What tells the tokens of one from those of another.
    const fn key(&self) -> Option<Digest> {
        match self {
            Self::Client(_, digest) => Some(*digest),
            Self::Wharf | Self::AsIs(_) => None,
        }
    }

    async fn login(&self, endpoint: &Endpoint) -> Result<Login, UpstreamError> {
        match self {
            Self::Client(login, _) => Ok(login.clone()),
            Self::AsIs(_) => Ok(Login::Nobody),
            Self::Wharf => endpoint.logins().current().await.map_err(|reason| {
                UpstreamError::Credentials { upstream: endpoint.upstream.to_string(), reason }
            }),
        }
    }
}

fn basic_of(header: &HeaderValue) -> Option<Login> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Login::User { username: username.to_owned(), password: Secret::new(password) })
}

/// The header of Basic credentials.
pub(crate) fn basic(username: &str, password: &Secret) -> Option<HeaderValue> {
    let text = BASE64_STANDARD.encode(format!("{username}:{}", password.reveal()));
    let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What an endpoint asked for before. It is given at once next time, without being asked for.
#[derive(Debug, Clone, Default)]
enum Usual {
    #[default]
    Nothing,
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The tokens for one scope of one asker: one is had at a time.
#[derive(Debug, Default)]
struct Slot {
    /// What the last one was had for.
    bearer: Option<Bearer>,
    token: Option<Token>,
    /// When the last exchange failed, and how: those who waited for it need not try as well.
    failed: Option<(Instant, UpstreamError)>,
}

type Key = (Scope, Option<Digest>);

/// How an endpoint is told who asks.
pub(crate) struct Authority {
    usual: Mutex<Usual>,
    slots: Cache<Key, Arc<tokio::sync::Mutex<Slot>>>,
}

impl Default for Authority {
    fn default() -> Self {
        Self { usual: Mutex::default(), slots: Cache::new(TOKENS_MAX) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("tokens", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Authority {
    /// What can be sent along without having been asked for.
    pub(crate) async fn ready(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        who: &Who,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        if let Who::AsIs(sent) = who {
            return Ok(Some(sent.clone()));
        }
        let (realm, service) = match self.usual() {
            Usual::Nothing => return Ok(self.known(scope, who).await),
            Usual::Basic => return Ok(who.login(endpoint).await?.basic()),
            Usual::Bearer { realm, service } => (realm, service),
        };
        let started = Instant::now();
        let slot = self.slot(scope, who);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.token.as_ref().and_then(Token::fresh) {
            return Ok(Some(token));
        }
        let bearer = slot.bearer.take().unwrap_or(Bearer { realm, service, scope: None });
        let had = self.exchange(endpoint, scope, who, &mut slot, bearer, started).await;
        if had.is_err() {
            // Perhaps it is asked for in another way by now.
            *self.lock_usual() = Usual::Nothing;
        }
        had.map(Some)
    }

    /// What meets a challenge; `None` when there is nothing else than what was sent.
    pub(crate) async fn meet(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        who: &Who,
        challenge: Challenge,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, UpstreamError> {
        if matches!(who, Who::AsIs(_)) {
            return Ok(None);
        }
        let bearer = match challenge {
            Challenge::Basic => {
                let basic = who.login(endpoint).await?.basic();
                *self.lock_usual() = Usual::Basic;
                return Ok(basic.filter(|basic| Some(basic) != sent));
            }
            Challenge::Bearer(bearer) => bearer,
        };
        let started = Instant::now();
        let slot = self.slot(scope, who);
        let mut slot = slot.lock().await;
        // Another request may have had a new one in the meantime.
        let other = slot.token.as_ref().and_then(Token::fresh).filter(|other| Some(other) != sent);
        if let Some(token) = other {
            return Ok(Some(token));
        }
        let usual = bearer.scope.as_deref().is_none_or(|asked_for| scope.is(asked_for));
        let (realm, service) = (bearer.realm.clone(), bearer.service.clone());
        let token = self.exchange(endpoint, scope, who, &mut slot, bearer, started).await?;
        if usual {
            *self.lock_usual() = Usual::Bearer { realm, service };
        }
        Ok(Some(token))
    }

    /// Has a token, unless another who was waited for had tried in vain.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        who: &Who,
        slot: &mut Slot,
        mut bearer: Bearer,
        started: Instant,
    ) -> Result<HeaderValue, UpstreamError> {
        if let Some((at, error)) = &slot.failed
            && *at >= started
        {
            return Err(error.clone());
        }
        slot.token = None;
        let scope = bearer.scope.get_or_insert_with(|| scope.to_string()).clone();
        let login = who.login(endpoint).await;
        let had = match login {
            Ok(login) => exchange(endpoint, &bearer, &scope, &login).await,
            Err(error) => Err(error),
        };
        match had {
            Ok(token) => {
                let header = token.header();
                *slot = Slot { bearer: Some(bearer), token: Some(token), failed: None };
                Ok(header)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// A token that was had for the same before, from an endpoint that asks for it in ways that
    /// can't be foreseen.
    async fn known(&self, scope: &Scope, who: &Who) -> Option<HeaderValue> {
        let slot = self.slots.get(&(scope.clone(), who.key()))?;
        let slot = slot.lock().await;
        slot.token.as_ref().and_then(Token::fresh)
    }

    fn slot(&self, scope: &Scope, who: &Who) -> Arc<tokio::sync::Mutex<Slot>> {
        let key = (scope.clone(), who.key());
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        match self.slots.get_or_insert_with(&key, new) {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
    }

    fn usual(&self) -> Usual {
        self.lock_usual().clone()
    }

    fn lock_usual(&self) -> std::sync::MutexGuard<'_, Usual> {
        self.usual.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
