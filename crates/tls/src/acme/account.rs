//! The account with an authority: made once, kept in the directory, found again by its key.

use std::sync::Arc;

use instant_acme::{Account, AccountCredentials, Key, NewAccount};
use rcgen::KeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::Mutex;

use super::cache::Cache;
use super::http::Https;
use super::order::OrderError;

/// The account, made when it is first needed.
pub(super) struct Accounts {
    cache: Arc<Cache>,
    directory_url: String,
    email: Option<String>,
    account: Mutex<Option<Account>>,
}

impl Accounts {
    pub(super) fn new(cache: Cache, directory_url: String, email: Option<String>) -> Self {
        let email = email.filter(|email| !email.is_empty());
        Self { cache: Arc::new(cache), directory_url, email, account: Mutex::new(None) }
    }

    /// Does something with the directory, which blocks on the file system.
    pub(super) async fn cached<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> Result<T, OrderError> {
        let cache = self.cache.clone();
        blocking(move || work(&cache)).await
    }

    /// The account. Asks the authority the first time; a failure is tried again the next time.
    pub(super) async fn get(&self) -> Result<Account, OrderError> {
        let mut account = self.account.lock().await;
        if let Some(account) = &*account {
            return Ok(account.clone());
        }
        let found = match self.cached(Cache::account_key).await?? {
            Some(key) => self.find(key).await?,
            None => self.make().await?,
        };
        Ok(account.insert(found).clone())
    }

    /// Forgets the account, so that the next use asks the authority again: it may have been moved to
    /// another one, or have lost it.
    pub(super) async fn forget(&self) {
        *self.account.lock().await = None;
    }

    async fn find(&self, key: PrivatePkcs8KeyDer<'static>) -> Result<Account, OrderError> {
        let pair = (Key::from_pkcs8_der(key.clone_key())?, PrivateKeyDer::Pkcs8(key));
        let (account, _) = Account::builder_with_http(https().await?)
            .create_from_key(pair, self.directory_url.clone())
            .await?;
        let contacts = self.contacts();
        let contacts: Vec<_> = contacts.iter().map(String::as_str).collect();
        // The library only makes an account from a key without a way to reach its owner.
        if !contacts.is_empty()
            && let Err(error) = account.update_contacts(&contacts).await
        {
            tracing::warn!("the authority does not take http.tls.letsencrypt.email: {error}");
        }
        Ok(account)
    }

    async fn make(&self) -> Result<Account, OrderError> {
        let contacts = self.contacts();
        let contacts: Vec<_> = contacts.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = Account::builder_with_http(https().await?)
            .create(&new, self.directory_url.clone(), None)
            .await?;
        self.keep_key(&credentials).await;
        tracing::info!(directory = self.directory_url, "made an account with the authority");
        Ok(account)
    }

    fn contacts(&self) -> Vec<String> {
        self.email.iter().map(|email| format!("mailto:{email}")).collect()
    }

    /// An account without a kept key works until the next start, which then makes another.
    async fn keep_key(&self, credentials: &AccountCredentials) {
        let pem = KeyPair::try_from(credentials.private_key()).map(|key| key.serialize_pem());
        let kept = match pem {
            Ok(pem) => self
                .cached(move |cache| cache.put_account_key(&pem))
                .await
                .and_then(|kept| kept.map_err(|error| OrderError::Cut(error.to_string()))),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = kept {
            tracing::error!("the account's key cannot be kept: {error}");
        }
    }
}

async fn https() -> Result<Box<Https>, OrderError> {
    // Reads a few hundred certificates.
    Ok(Box::new(blocking(Https::new).await??))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OrderError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| OrderError::Cut(error.to_string()))
}
