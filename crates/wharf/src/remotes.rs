//! Clients of other registries, as the configuration wants them.

use std::time::Duration;

use anyhow::Context as _;
use proxy::{Credentials, NameRules, Secret, TlsOptions, Upstream, UpstreamOptions};
use registry::RepositoryPattern;

/// How long until the head of another registry's answer must have come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a body from another registry may stand still.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of a registry. `name` is what errors, logs and metrics call that.
///
/// # Errors
/// When it can't be used, with the reason.
pub(crate) fn client(
    name: &str,
    remote: &config::Remote,
    names: NameRules,
) -> anyhow::Result<Upstream> {
    let endpoints = remote.urls.iter().map(|url| url.parse().context("not a URL"));
    let config::RemoteTls { root_cas, certificate, key, insecure } = &remote.tls;
    Ok(Upstream::new(UpstreamOptions {
        name: name.to_owned(),
        endpoints: endpoints.collect::<anyhow::Result<_>>()?,
        credentials: credentials(remote),
        tls: TlsOptions {
            root_cas: root_cas.clone(),
            identity: certificate.clone().zip(key.clone()),
            insecure: *insecure,
        },
        names,
        answer_timeout: ANSWER_TIMEOUT,
        body_idle_timeout: BODY_IDLE_TIMEOUT,
    })?)
}

fn credentials(remote: &config::Remote) -> Credentials {
    let secret = |secret: &config::Secret| Secret::new(secret.reveal());
    match &remote.credentials {
        config::Credentials::Anonymous => Credentials::Anonymous,
        config::Credentials::Login { username, password } => {
            Credentials::Basic { username: username.clone(), password: secret(password) }
        }
        config::Credentials::Helper(helper) => Credentials::Helper {
            command: helper.command.clone().into(),
            url: remote.urls.first().cloned().unwrap_or_default(),
            lifetime: helper.lifetime,
        },
        config::Credentials::Ecr { region } => Credentials::Ecr { region: region.clone() },
        config::Credentials::Gar { key_file } => Credentials::Gar { key_file: key_file.clone() },
        config::Credentials::Acr { tenant, client_id, client_secret } => Credentials::Acr {
            tenant: tenant.clone(),
            client_id: client_id.clone(),
            client_secret: secret(client_secret),
        },
    }
}

/// They were checked with the configuration.
pub(crate) fn patterns(texts: &[String]) -> anyhow::Result<Vec<RepositoryPattern>> {
    texts.iter().map(|text| Ok(RepositoryPattern::parse(text)?)).collect()
}
