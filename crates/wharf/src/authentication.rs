//! From `auth` to whoever decides about requests.

use std::path::Path;

use anyhow::Context as _;
use auth::htpasswd::{Htpasswd, HtpasswdOptions};
use auth::token::{TokenAuth, TokenOptions};
use auth::{Authenticator, Silly};
use config::{Anonymous, Auth, Config, KeySet, Secret, TokenAuth as TokenSettings};
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
            let options = htpasswd(realm, path, *anonymous, config.http.secret.as_ref());
            let htpasswd = Htpasswd::open(options).context("auth.htpasswd")?;
            Authenticator::Htpasswd(Box::new(htpasswd))
        }
        Auth::Token(settings) => {
            let token = TokenAuth::open(token(settings)).context("auth.token")?;
            Authenticator::Token(token)
        }
    }))
}

fn htpasswd(
    realm: &str,
    path: &Path,
    anonymous: Anonymous,
    secret: Option<&Secret>,
) -> HtpasswdOptions {
    HtpasswdOptions {
        realm: realm.to_owned(),
        path: path.to_owned(),
        anonymous_pull: anonymous.pull,
        anonymous_catalog: anonymous.catalog,
        token_key: secret.map(|key| key.reveal().into()),
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn configured(auth: &str) -> Config {
        let text = format!(
            "version: 0.1\nstorage: inmemory\nhttp: {{secret: shared by replicas}}\nauth:\n  {auth}\n"
        );
        let source = config::Source::new("config.yml", text);
        config::load(&source, &config::Environment::default()).unwrap().config
    }

    fn token_of(lines: &str) -> TokenOptions {
        let required = "realm: https://auth.example.com/token, service: registry, issuer: acme";
        match configured(&format!("token: {{{required}, {lines}}}")).auth {
            Auth::Token(settings) => token(&settings),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_of_token_gets_there() {
        let given = token_of(
            "rootcertbundle: /certs/bundle.pem, jwks: 'https://u:p@auth.example.com/keys?a=b', \
             jwksrefresh: 7m, autoredirect: true, autoredirectpath: /login/token, \
             signingalgorithms: [ES256, EdDSA]",
        );
        let expected = TokenOptions {
            realm: "https://auth.example.com/token".into(),
            service: "registry".into(),
            issuer: "acme".into(),
            root_cert_bundle: Some("/certs/bundle.pem".into()),
            jwks: Some("https://u:p@auth.example.com/keys?a=b".into()),
            jwks_refresh: Duration::from_secs(7 * 60),
            auto_redirect: true,
            auto_redirect_path: "/login/token".into(),
            signing_algorithms: vec!["ES256".into(), "EdDSA".into()],
        };
        assert!(given == expected, "{given:?}, {:?}", given.jwks);

        let defaults = TokenOptions {
            root_cert_bundle: None,
            jwks: Some("/certs/jwks.json".into()),
            jwks_refresh: Duration::from_secs(3600),
            auto_redirect: false,
            auto_redirect_path: "/auth/token".into(),
            signing_algorithms: Vec::new(),
            ..expected
        };
        let given = token_of("jwks: /certs/jwks.json");
        assert!(given == defaults, "{given:?}, {:?}", given.jwks);
    }

    #[test]
    fn every_key_of_htpasswd_gets_there() {
        for (rights, pull, catalog) in [
            ("", false, false),
            (", anonymous: [pull]", true, false),
            (", anonymous: [catalog]", false, true),
            (", anonymous: [pull, catalog]", true, true),
        ] {
            let config = configured(&format!("htpasswd: {{realm: r, path: /users{rights}}}"));
            let Auth::Htpasswd { realm, path, anonymous } = &config.auth else {
                panic!("{:?}", config.auth)
            };
            let given = htpasswd(realm, path, *anonymous, config.http.secret.as_ref());
            let expected = HtpasswdOptions {
                realm: "r".into(),
                path: "/users".into(),
                anonymous_pull: pull,
                anonymous_catalog: catalog,
                token_key: Some(b"shared by replicas".to_vec()),
            };
            assert!(given == expected, "{given:?}");
        }
    }

    /// A token of one replica is good at the other, which only the secret makes so.
    #[tokio::test]
    async fn replicas_share_the_key_of_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        std::fs::write(&path, "").unwrap();
        let open = |secret: &str| {
            let auth =
                format!("htpasswd: {{realm: r, path: {}, anonymous: [pull]}}", path.display());
            let mut config = configured(&auth);
            config.http.secret = (!secret.is_empty()).then(|| Secret::new(secret));
            match super::open(&config).unwrap() {
                Some(Authenticator::Htpasswd(htpasswd)) => htpasswd,
                other => panic!("{other:?}"),
            }
        };
        let one = open("shared by replicas");
        let request = auth::issuer::TokenRequest {
            authorization: None,
            query: "scope=repository:a/b:pull&service=r",
            form: None,
            address: None,
        };
        let body = one.token(request).await.unwrap().body;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let header = format!("Bearer {}", body["token"].as_str().unwrap()).parse().unwrap();
        let base = || "http://r.example.com".to_owned();
        let asking = auth::Asking {
            authorization: Some(&header),
            address: None,
            base_url: &base,
            origin: &base,
        };
        let pull = [auth::Access::repository("a/b", auth::Action::Pull)];
        assert!(open("shared by replicas").authorize(&asking, &pull).await.is_ok());
        assert!(open("another").authorize(&asking, &pull).await.is_err());
        assert!(open("").authorize(&asking, &pull).await.is_err());
    }
}
