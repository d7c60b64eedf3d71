//! Keeping one host's certificate good: get it, wait, renew it.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::CertificateIdentifier;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::account::Accounts;
use super::cache::Issued;
use super::order::{OrderError, order};
use super::random_position;
use super::resolver::Resolver;
use super::schedule::{self, Window};
use crate::limits;

/// What keeps the certificate of one host.
pub(super) struct Keeper {
    host: String,
    accounts: Arc<Accounts>,
    resolver: Arc<Resolver>,
    orders: Arc<Semaphore>,
}

/// The certificate in use, and what was decided about its renewal.
struct Current {
    issued: Issued,
    /// Not renewed before this.
    rest: Timestamp,
    /// Where in a window of time this server renews, 0..1.
    position: f64,
}

impl Current {
    fn new(issued: Issued, rest: Timestamp) -> Self {
        Self { issued, rest, position: random_position() }
    }
}

impl Keeper {
    pub(super) fn new(
        host: String,
        accounts: Arc<Accounts>,
        resolver: Arc<Resolver>,
        orders: Arc<Semaphore>,
    ) -> Self {
        Self { host, accounts, resolver, orders }
    }

    /// Never ends.
    pub(super) async fn keep(self) {
        let mut current = self.kept().await.map(|issued| Current::new(issued, Timestamp::MIN));
        let mut failures = 0;
        loop {
            if let Some(current) = &current
                && let Some(wait) = self.until_due(current).await
            {
                tokio::time::sleep(wait).await;
                continue;
            }
            match self.renew(current.as_ref()).await {
                Ok(new) => {
                    failures = 0;
                    current = Some(new);
                }
                Err(error) => {
                    failures += 1;
                    let wait = schedule::backoff(failures, random_position());
                    tracing::error!(
                        host = self.host,
                        "no new certificate, next try in {} s: {error}",
                        wait.as_secs()
                    );
                    self.accounts.forget().await;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// How long to sleep before the certificate is looked at again; nothing if it is to be renewed
    /// now.
    async fn until_due(&self, current: &Current) -> Option<Duration> {
        let facts = &current.issued.facts;
        let window = self.window(current).await;
        let due = schedule::due(facts, window, current.position, current.rest);
        let wait = Duration::try_from(due.duration_since(Timestamp::now())).ok()?;
        (!wait.is_zero()).then(|| wait.min(limits::RENEWAL_LOOK_INTERVAL))
    }

    /// What the authority suggests, if it does. Everything that is wrong here means only that the
    /// renewal goes by the lifetime.
    async fn window(&self, current: &Current) -> Option<Window> {
        let leaf = current.issued.certified.cert.first()?;
        let identifier = CertificateIdentifier::try_from(leaf).ok()?;
        let account = self.accounts.get().await.inspect_err(|error| self.no_window(error)).ok()?;
        let asked =
            tokio::time::timeout(limits::ACME_REQUEST_TIMEOUT, account.renewal_info(&identifier));
        let (info, _) = asked
            .await
            .map_err(|_| OrderError::Cut("the authority does not answer".into()))
            .and_then(|answer| answer.map_err(OrderError::from))
            .inspect_err(|error| self.no_window(error))
            .ok()?;
        let time = |seconds| Timestamp::from_second(seconds).ok();
        let start = time(info.suggested_window.start.unix_timestamp())?;
        let end = time(info.suggested_window.end.unix_timestamp())?;
        (start < end).then_some(Window { start, end })
    }

    fn no_window(&self, error: &OrderError) {
        tracing::debug!(host = self.host, "no suggested time of renewal: {error}");
    }

    /// Another server on the same directory may have renewed already; if not, orders.
    async fn renew(&self, current: Option<&Current>) -> Result<Current, OrderError> {
        let _permit = self.orders.acquire().await;
        if let Some(newer) = self.kept().await
            && newer.facts.not_after > Timestamp::now()
            && current.is_none_or(|current| newer.facts.not_after > current.issued.facts.not_after)
        {
            self.resolver.install(&self.host, &newer.certified);
            tracing::info!(host = self.host, "took over a certificate that another server got");
            return Ok(Current::new(newer, Timestamp::MIN));
        }
        tracing::info!(host = self.host, "ordering a certificate");
        let issued = tokio::time::timeout(limits::ACME_ORDER_TIMEOUT, self.order())
            .await
            .map_err(|_| OrderError::Cut("the authority took too long".into()))??;
        tracing::info!(
            host = self.host,
            until = %issued.facts.not_after,
            "a certificate has come; new connections get it"
        );
        let rest = schedule::rest(&issued.facts, Timestamp::now());
        Ok(Current::new(issued, rest))
    }

    async fn order(&self) -> Result<Issued, OrderError> {
        let account = self.accounts.get().await?;
        let ordered = order(&account, &self.resolver, &self.host).await?;
        let host = self.host.clone();
        let issued = self
            .accounts
            .cached(move |cache| cache.put_certificate(&host, &ordered.key_pem, &ordered.chain_pem))
            .await??;
        self.resolver.install(&self.host, &issued.certified);
        Ok(issued)
    }

    async fn kept(&self) -> Option<Issued> {
        let host = self.host.clone();
        // What is wrong with a kept one was said at the start, and it will be replaced.
        self.accounts.cached(move |cache| cache.certificate(&host)).await.ok()?.ok().flatten()
    }
}
