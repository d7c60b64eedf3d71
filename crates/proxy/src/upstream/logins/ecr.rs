//! Who the identity of this machine is to Amazon's registries
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>). The public one is
//! another service, with an API of its own
//! (<https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>).
//!
//! The identity is found where the driver for S3 finds it: in the variables `AWS_...`, a web
//! identity's file, the container's or the machine's metadata service.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::service::{Service, answer};
use super::{Lifetime, Login};
use crate::Secret;
use crate::limits::LOGIN_TIMEOUT;

/// How long before its end a password is renewed. It is valid for twelve hours.
const MARGIN: Duration = Duration::from_secs(600);

/// One of the services that give passwords.
#[derive(Debug, PartialEq, Eq)]
struct Api {
    /// Its name in the signature; `api.<name>` in its host's.
    name: &'static str,
    /// What is asked of it.
    target: &'static str,
}

const PRIVATE: Api =
    Api { name: "ecr", target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" };

const PUBLIC: Api =
    Api { name: "ecr-public", target: "SpencerFrontendService.GetAuthorizationToken" };

/// The names of the public registry.
const PUBLIC_HOSTS: [&str; 2] = ["public.ecr.aws", "ecr-public.aws.com"];

/// Where the public registry's passwords are given, wherever it is asked from.
const PUBLIC_REGION: &str = "us-east-1";

/// The registries of a region, or the public one.
pub(crate) struct Ecr {
    api: &'static Api,
    region: String,
    identity: AwsCredentialProvider,
    service: Service,
    url: Url,
}

impl std::fmt::Debug for Ecr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Ecr");
        debug.field("api", &self.api.name).field("region", &self.region).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorizations {
    authorization_data: AuthorizationData,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AuthorizationData {
    /// One for each registry that was asked about.
    Private(Vec<Authorization>),
    Public(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: String,
    /// In seconds since 1970.
    expires_at: Option<f64>,
}

impl Ecr {
    /// Passwords for the registry at this URL.
    ///
    /// # Errors
    /// Why it can't be asked.
    pub(crate) fn new(registry: &Url, region: &str) -> Result<Self, String> {
        let is_public = registry.host_str().is_some_and(|host| PUBLIC_HOSTS.contains(&host));
        let (api, region) = if is_public { (&PUBLIC, PUBLIC_REGION) } else { (&PRIVATE, region) };
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(is_plain) {
            return Err(format!("{region:?} is not the name of a region"));
        }
        // The identity is what is wanted; of the bucket nothing is asked.
        let store = AmazonS3Builder::from_env().with_region(region).with_bucket_name("none");
        let store = store.build().map_err(|error| error.to_string())?;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = format!("https://api.{}.{region}.{domain}/", api.name);
        Self::of(api, region, store.credentials().clone(), &url)
    }

    fn of(
        api: &'static Api,
        region: &str,
        identity: AwsCredentialProvider,
        url: &str,
    ) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        Ok(Self { api, region: region.to_owned(), identity, service: Service::new(&url)?, url })
    }

    /// A new password.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self) -> Result<(Login, Lifetime), String> {
        let identity = tokio::time::timeout(LOGIN_TIMEOUT, self.identity.get_credential()).await;
        let identity = identity
            .map_err(|_| format!("no identity was found within {} s", LOGIN_TIMEOUT.as_secs()))?
            .map_err(|error| format!("no identity was found: {error}"))?;
        let given: Authorizations = answer("Amazon's registry", self.request(&identity)?).await?;
        let odd = || "Amazon's registry gave no password".to_owned();
        let given = match given.authorization_data {
            AuthorizationData::Private(all) => all.into_iter().next().ok_or_else(odd)?,
            AuthorizationData::Public(given) => given,
        };
        let token = BASE64_STANDARD.decode(given.authorization_token).map_err(|_| odd())?;
        let token = String::from_utf8(token).map_err(|_| odd())?;
        let (username, password) = token.split_once(':').ok_or_else(odd)?;
        let now = Timestamp::now().as_duration().as_secs_f64();
        let left = given.expires_at.and_then(|at| Duration::try_from_secs_f64(at - now).ok());
        let lifetime = match left.and_then(|left| left.checked_sub(MARGIN)) {
            Some(time) => Lifetime::For(time),
            None => Lifetime::Once,
        };
        let login = Login::User { username: username.to_owned(), password: Secret::new(password) };
        Ok((login, lifetime))
    }

    fn request(&self, identity: &AwsCredential) -> Result<RequestBuilder, String> {
        let body = "{}";
        let odd = || "the identity can't be used".to_owned();
        // The library takes for granted that it can be sent.
        for text in [Some(&identity.key_id), identity.token.as_ref()].into_iter().flatten() {
            HeaderValue::from_str(text).map_err(|_| odd())?;
        }
        let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
        *signed.method_mut() = http::Method::POST;
        *signed.uri_mut() = self.url.as_str().parse().map_err(|_| odd())?;
        let headers = signed.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert("x-amz-target", HeaderValue::from_static(self.api.target));
        AwsAuthorizer::new(identity, self.api.name, &self.region)
            .try_authorize(&mut signed, None)
            .map_err(|error| error.to_string())?;
        let request = self.service.post(self.url.clone());
        Ok(request.headers(std::mem::take(signed.headers_mut())).body(body))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::StaticCredentialProvider;
    use serde_json::json;

    use super::*;
    use crate::upstream::fake::{Act, FakeRegistry};

    fn registry(fake: &FakeRegistry, token: Option<&str>) -> Ecr {
        registry_of(&PRIVATE, fake, token)
    }

    fn registry_of(api: &'static Api, fake: &FakeRegistry, token: Option<&str>) -> Ecr {
        let identity = AwsCredential {
            key_id: "AKID".to_owned(),
            secret_key: "topsecret".to_owned(),
            token: token.map(str::to_owned),
        };
        let provider = Arc::new(StaticCredentialProvider::new(identity));
        Ecr::of(api, "eu-central-1", provider, &fake.url()).unwrap()
    }

    fn given(token: &str, left_secs: f64) -> Act {
        let at = Timestamp::now().as_duration().as_secs_f64() + left_secs;
        let data = json!([{
            "authorizationToken": BASE64_STANDARD.encode(token),
            "expiresAt": at,
            "proxyEndpoint": "https://1.dkr.ecr.eu-central-1.amazonaws.com",
        }]);
        Act::Answer(200, Vec::new(), json!({ "authorizationData": data }).to_string().into())
    }

    #[tokio::test]
    async fn the_identity_signs_and_gets_a_password() {
        let fake = FakeRegistry::start().await;
        fake.fail("POST /", 1, given("AWS:pw", 43200.0));
        let (login, lifetime) = registry(&fake, Some("session")).ask().await.unwrap();
        let password = Secret::new("pw");
        assert_eq!(login, Login::User { username: "AWS".to_owned(), password });
        let Lifetime::For(time) = lifetime else { panic!("{lifetime:?}") };
        assert!((42_500..=42_600).contains(&time.as_secs()), "{time:?}");
        let seen = &fake.seen()[0];
        assert_eq!(
            (seen.body.as_str(), seen.headers["x-amz-target"].as_str()),
            ("{}", PRIVATE.target)
        );
        assert_eq!(seen.headers["x-amz-security-token"], "session");
        let signature = seen.authorization().unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{signature}");
        assert!(signature.contains("/eu-central-1/ecr/aws4_request"), "{signature}");
        assert!(signature.contains("content-type;host;x-amz-"), "{signature}");
        assert!(!signature.contains("topsecret"));
    }

    #[tokio::test]
    async fn the_public_registry_is_another_service() {
        let fake = FakeRegistry::start().await;
        let at = Timestamp::now().as_duration().as_secs_f64() + 43200.0;
        let token = BASE64_STANDARD.encode("AWS:pw");
        let data = json!({ "authorizationToken": token, "expiresAt": at });
        let body = json!({ "authorizationData": data }).to_string();
        fake.fail("POST /", 1, Act::Answer(200, Vec::new(), body.into()));
        let (login, lifetime) = registry_of(&PUBLIC, &fake, None).ask().await.unwrap();
        let password = Secret::new("pw");
        assert_eq!(login, Login::User { username: "AWS".to_owned(), password });
        assert!(matches!(lifetime, Lifetime::For(_)), "{lifetime:?}");
        let seen = &fake.seen()[0];
        let target = "SpencerFrontendService.GetAuthorizationToken";
        assert_eq!((seen.body.as_str(), seen.headers["x-amz-target"].as_str()), ("{}", target));
        let signature = seen.authorization().unwrap();
        assert!(signature.contains("/ecr-public/aws4_request"), "{signature}");
    }

    #[tokio::test]
    async fn what_goes_wrong() {
        let fake = FakeRegistry::start().await;
        let body = br#"{"__type":"AccessDeniedException","message":"not authorized"}"#;
        fake.fail("POST /", 1, Act::Answer(400, Vec::new(), body.to_vec()));
        let error = registry(&fake, None).ask().await.unwrap_err();
        assert_eq!(error, "Amazon's registry answered 400: not authorized");
        fake.fail("POST /", 1, given("nocolon", 43200.0));
        assert!(registry(&fake, None).ask().await.unwrap_err().contains("no password"));
        fake.fail("POST /", 1, given("AWS:pw", 60.0));
        assert_eq!(registry(&fake, None).ask().await.unwrap().1, Lifetime::Once);
        let error = registry(&fake, Some("a\nb")).ask().await.unwrap_err();
        assert_eq!(error, "the identity can't be used");
    }

    #[test]
    fn regions() {
        let private = Url::parse("https://1.dkr.ecr.cn-north-1.amazonaws.com.cn").unwrap();
        for region in ["", "EU", "eu.evil.com/", "eu/.."] {
            assert!(Ecr::new(&private, region).is_err(), "{region}");
        }
        let ecr = Ecr::new(&private, "cn-north-1").unwrap();
        assert_eq!((ecr.api, ecr.region.as_str()), (&PRIVATE, "cn-north-1"));
        assert_eq!(ecr.url.as_str(), "https://api.ecr.cn-north-1.amazonaws.com.cn/");
        for host in PUBLIC_HOSTS {
            let url = Url::parse(&format!("https://{host}")).unwrap();
            let ecr = Ecr::new(&url, "eu-west-1").unwrap();
            assert_eq!((ecr.api, ecr.region.as_str()), (&PUBLIC, "us-east-1"));
            assert_eq!(ecr.url.as_str(), "https://api.ecr-public.us-east-1.amazonaws.com/");
        }
    }
}
