//! Who an application is to Azure's registries
//! (<https://learn.microsoft.com/azure/container-registry/container-registry-authentication>).

use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use reqwest::Url;
use serde::Deserialize;

use super::service::{Service, answer};
use super::{Lifetime, Login};
use crate::Secret;
use crate::upstream::guard::bare_host;
use crate::upstream::token::{FORM, form};

/// How long a refresh token of a registry is used. It is valid for three hours.
const LIFETIME: Duration = Duration::from_secs(3600);

/// An application that is known to a directory.
#[derive(Debug)]
pub(crate) struct Acr {
    directory: Service,
    /// Where the directory gives tokens.
    directory_url: Url,
    registry: Service,
    registry_url: Url,
    tenant: String,
    client_id: String,
    client_secret: Secret,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
}

#[derive(Deserialize)]
struct RefreshToken {
    refresh_token: String,
}

impl Acr {
    /// # Errors
    /// Why it can't be asked.
    pub(crate) fn new(
        registry: &Url,
        tenant: &str,
        client_id: &str,
        client_secret: &Secret,
    ) -> Result<Self, String> {
        Self::of(authority(registry), registry, tenant, client_id, client_secret)
    }

    fn of(
        authority: &str,
        registry: &Url,
        tenant: &str,
        client_id: &str,
        client_secret: &Secret,
    ) -> Result<Self, String> {
        let mut directory_url = Url::parse(authority).map_err(|error| error.to_string())?;
        // The name of a tenant is one part of the path.
        if let Ok(mut path) = directory_url.path_segments_mut() {
            path.clear().extend([tenant, "oauth2", "v2.0", "token"]);
        }
        let registry_url = registry.join("/oauth2/exchange").map_err(|error| error.to_string())?;
        Ok(Self {
            directory: Service::new(&directory_url)?,
            directory_url,
            registry: Service::new(&registry_url)?,
            registry_url,
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.clone(),
        })
    }

    /// The application's access token, exchanged for a refresh token of the registry.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self) -> Result<(Login, Lifetime), String> {
        let form_type = HeaderValue::from_static(FORM);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.reveal()),
            ("scope", "https://containerregistry.azure.net/.default"),
        ];
        let request = self.directory.post(self.directory_url.clone());
        let request = request.header(CONTENT_TYPE, &form_type).body(form(&fields));
        let access: AccessToken = answer("the directory of Azure", request).await?;
        let service = bare_host(&self.registry_url);
        let fields = [
            ("grant_type", "access_token"),
            ("service", &service),
            ("tenant", &self.tenant),
            ("access_token", &access.access_token),
        ];
        let request = self.registry.post(self.registry_url.clone());
        let request = request.header(CONTENT_TYPE, &form_type).body(form(&fields));
        let refresh: RefreshToken = answer("the registry", request).await?;
        Ok((Login::Identity(Secret::new(refresh.refresh_token)), Lifetime::For(LIFETIME)))
    }
}

/// The directory of the cloud that a registry is in.
fn authority(registry: &Url) -> &'static str {
    let host = bare_host(registry);
    match host.rsplit('.').next() {
        Some("us") => "https://login.microsoftonline.us/",
        Some("cn") => "https://login.partner.microsoftonline.cn/",
        _ => "https://login.microsoftonline.com/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::fake::{Act, FakeRegistry};

    fn json(text: &str) -> Act {
        Act::Answer(200, Vec::new(), text.as_bytes().to_vec())
    }

    async fn application() -> (FakeRegistry, Acr) {
        let fake = FakeRegistry::start().await;
        let url = Url::parse(&fake.url()).unwrap();
        let acr = Acr::of(url.as_str(), &url, "my/tenant", "app", &Secret::new("s&cret")).unwrap();
        (fake, acr)
    }

    #[tokio::test]
    async fn an_application_becomes_a_refresh_token() {
        let (fake, acr) = application().await;
        fake.fail("/token", 1, json(r#"{"access_token":"aad","expires_in":3599}"#));
        fake.fail("/oauth2/exchange", 1, json(r#"{"refresh_token":"acr"}"#));
        let (login, lifetime) = acr.ask().await.unwrap();
        assert_eq!(login, Login::Identity(Secret::new("acr")));
        assert_eq!(lifetime, Lifetime::For(LIFETIME));
        let seen = fake.seen();
        assert_eq!(seen[0].path, "/my%2Ftenant/oauth2/v2.0/token");
        assert_eq!(
            seen[0].body,
            "grant_type=client_credentials&client_id=app&client_secret=s%26cret\
             &scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default"
        );
        assert_eq!(
            seen[1].body,
            "grant_type=access_token&service=127.0.0.1&tenant=my%2Ftenant&access_token=aad"
        );
    }

    #[tokio::test]
    async fn what_the_directory_says_is_repeated() {
        let (fake, acr) = application().await;
        let body = br#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong"}"#;
        fake.fail("/token", 1, Act::Answer(401, Vec::new(), body.to_vec()));
        let error = acr.ask().await.unwrap_err();
        assert_eq!(error, "the directory of Azure answered 401: AADSTS7000215: wrong");
        fake.fail("/token", 1, json("{}"));
        assert!(acr.ask().await.unwrap_err().contains("what is not expected"));
    }

    #[test]
    fn clouds() {
        for (registry, expected) in [
            ("https://a.azurecr.io", "https://login.microsoftonline.com/"),
            ("https://a.azurecr.us", "https://login.microsoftonline.us/"),
            ("https://a.azurecr.cn", "https://login.partner.microsoftonline.cn/"),
        ] {
            assert_eq!(authority(&Url::parse(registry).unwrap()), expected);
        }
    }
}
