//! Who a service account is to Google's registries
//! (<https://cloud.google.com/artifact-registry/docs/docker/authentication>).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::service::{Service, answer};
use super::{Lifetime, Login};
use crate::Secret;
use crate::limits::KEY_FILE_BYTES_MAX;
use crate::upstream::token::{FORM, form};

/// What a token is asked for, in seconds; the most that there is.
const ASSERTION_SECS: i64 = 3600;

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(120);

/// Where a machine of Google's learns who it is.
const METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// A service account.
#[derive(Debug)]
pub(crate) enum Gar {
    /// That of this machine.
    Machine(Service, Url),
    /// That of a key, which may be replaced by another.
    Key(PathBuf),
}

#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: Option<u64>,
}

impl Gar {
    /// # Errors
    /// Why the key can't be used.
    pub(crate) fn new(key_file: Option<&Path>) -> Result<Self, String> {
        match key_file {
            Some(path) => {
                read_key(path)?;
                Ok(Self::Key(path.to_owned()))
            }
            None => Self::machine(METADATA),
        }
    }

    fn machine(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        Ok(Self::Machine(Service::new(&url)?, url))
    }

    /// A new access token.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self) -> Result<(Login, Lifetime), String> {
        let token: AccessToken = match self {
            Self::Machine(service, url) => {
                let request = service.get(url.clone());
                let request = request.header("metadata-flavor", HeaderValue::from_static("Google"));
                answer("the metadata service of this machine", request).await?
            }
            Self::Key(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_key(&path)).await;
                exchange(&read.map_err(|error| error.to_string())??).await?
            }
        };
        let lifetime = Duration::from_secs(token.expires_in.unwrap_or_default());
        let lifetime = match lifetime.checked_sub(MARGIN) {
            Some(time) if !time.is_zero() => Lifetime::For(time),
            _ => Lifetime::Once,
        };
        let username = "oauth2accesstoken".to_owned();
        Ok((Login::User { username, password: Secret::new(token.access_token) }, lifetime))
    }
}

/// The access token that a key stands for (RFC 7523).
async fn exchange(key: &Key) -> Result<AccessToken, String> {
    let url = Url::parse(&key.token_uri).map_err(|_| "the token_uri of the key is not a URL")?;
    let now = Timestamp::now().as_second();
    let claims = Claims {
        iss: &key.client_email,
        scope: "https://www.googleapis.com/auth/cloud-platform",
        aud: &key.token_uri,
        iat: now,
        exp: now + ASSERTION_SECS,
    };
    let mut header = Header::new(Algorithm::RS256);
    header.kid.clone_from(&key.private_key_id);
    let wrong = |_| "the private_key of the key can't be used".to_owned();
    let private = EncodingKey::from_rsa_pem(key.private_key.as_bytes()).map_err(wrong)?;
    let assertion = jsonwebtoken::encode(&header, &claims, &private).map_err(wrong)?;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    let request = Service::new(&url)?.post(url);
    let request = request.header(CONTENT_TYPE, HeaderValue::from_static(FORM));
    answer("Google's token service", request.body(form(&fields))).await
}

fn read_key(path: &Path) -> Result<Key, String> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    if fs::metadata(path).map_err(failed)?.len() > KEY_FILE_BYTES_MAX {
        return Err(format!("{} is larger than {KEY_FILE_BYTES_MAX} bytes", path.display()));
    }
    let text = fs::read(path).map_err(failed)?;
    serde_json::from_slice(&text)
        .map_err(|_| format!("{} is not the JSON key of a service account", path.display()))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::upstream::fake::{Act, FakeRegistry};

    fn token(expires_in: u64) -> Act {
        let body = json!({ "access_token": "ya29", "expires_in": expires_in }).to_string();
        Act::Answer(200, Vec::new(), body.into_bytes())
    }

    fn user() -> Login {
        Login::User { username: "oauth2accesstoken".to_owned(), password: Secret::new("ya29") }
    }

    #[tokio::test]
    async fn a_machine_asks_its_metadata_service() {
        let fake = FakeRegistry::start().await;
        let gar = Gar::machine(&format!("{}/meta/token", fake.url())).unwrap();
        fake.fail("GET /meta/token", 1, token(3600));
        let lifetime = Lifetime::For(Duration::from_secs(3480));
        assert_eq!(gar.ask().await.unwrap(), (user(), lifetime));
        assert_eq!(fake.seen()[0].headers["metadata-flavor"], "Google");
        fake.fail("GET /meta/token", 1, token(60));
        assert_eq!(gar.ask().await.unwrap(), (user(), Lifetime::Once));
        fake.fail("GET /meta/token", 1, Act::status(404));
        let error = gar.ask().await.unwrap_err();
        assert!(error.contains("the metadata service of this machine answered 404"), "{error}");
    }

    #[tokio::test]
    async fn a_key_signs_what_is_asked_for() {
        let fake = FakeRegistry::start().await;
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("key.json");
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let text = json!({
            "type": "service_account",
            "client_email": "me@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": key.serialize_pem(),
            "token_uri": format!("{}/token", fake.url()),
        });
        fs::write(&path, text.to_string()).unwrap();
        let gar = Gar::new(Some(&path)).unwrap();
        fake.fail("POST /token", 1, token(3600));
        assert_eq!(gar.ask().await.unwrap().0, user());
        let body = fake.seen()[0].body.clone();
        let (grant, assertion) = body.split_once("&assertion=").unwrap();
        assert_eq!(grant, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer");
        let public = jsonwebtoken::DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes());
        let mut expected = jsonwebtoken::Validation::new(Algorithm::RS256);
        expected.set_audience(&[format!("{}/token", fake.url())]);
        let claims =
            jsonwebtoken::decode::<serde_json::Value>(assertion, &public.unwrap(), &expected);
        let claims = claims.unwrap();
        assert_eq!(claims.header.kid.as_deref(), Some("k1"));
        assert_eq!(claims.claims["iss"], "me@project.iam.gserviceaccount.com");
        assert_eq!(claims.claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    }

    #[test]
    fn files_that_are_no_key() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("key.json");
        assert!(Gar::new(Some(&path)).unwrap_err().contains("can't be read"));
        fs::write(&path, r#"{"type":"authorized_user","private_key":"topsecret"}"#).unwrap();
        let error = Gar::new(Some(&path)).unwrap_err();
        assert!(error.contains("is not the JSON key") && !error.contains("topsecret"), "{error}");
    }
}
