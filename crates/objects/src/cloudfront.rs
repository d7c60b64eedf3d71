//! CloudFront before a bucket: URLs that are signed so that it lets their bearer through.

mod networks;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use storage::StoragePath;

use crate::keys::Root;

pub use networks::{AmazonNetworks, NetworksError};

/// What URLs are made and signed with; the names are those of the middleware's options.
#[derive(Clone, Debug)]
pub struct CloudFrontOptions {
    /// `baseurl`: the distribution; `https` unless it names a scheme.
    pub base_url: String,
    /// `privatekey`: a PEM file with an RSA key, in the form of PKCS #1 or PKCS #8.
    pub private_key: PathBuf,
    /// `keypairid`: by which CloudFront knows the public key.
    pub key_pair_id: String,
    /// `duration`: how long a URL is good.
    pub lifetime: Duration,
    /// `rootdirectory` of the bucket's driver.
    pub root_directory: String,
}

/// Who signs URLs of a CloudFront distribution.
pub struct CloudFront {
    /// With a slash at its end.
    base_url: String,
    key: RsaKeyPair,
    key_pair_id: String,
    lifetime: Duration,
    root: Root,
    random: SystemRandom,
}

/// Why URLs can't be signed.
#[derive(Debug, thiserror::Error)]
pub enum CloudFrontError {
    /// The file can't be read, or holds no key.
    #[error("privatekey: {}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The base URL has another scheme.
    #[error("baseurl: {0:?} is neither http nor https")]
    BaseUrl(String),
    /// The key can't sign.
    #[error("a URL for CloudFront can't be signed")]
    Signing,
}

impl CloudFront {
    /// Reads the key.
    ///
    /// # Errors
    /// [`CloudFrontError`] when an option can't be used.
    pub fn open(options: CloudFrontOptions) -> Result<Self, CloudFrontError> {
        let CloudFrontOptions { base_url, private_key, key_pair_id, lifetime, root_directory } =
            options;
        Ok(Self {
            base_url: with_scheme(&base_url)?,
            key: read_key(private_key)?,
            key_pair_id,
            lifetime,
            root: Root::new(&root_directory),
            random: SystemRandom::new(),
        })
    }

    /// The URL of a file, good for anybody from `now` for as long as the options say.
    ///
    /// It has a canned policy and is signed by RSA with SHA-256, which CloudFront takes beside SHA-1
    /// when `Hash-Algorithm` says so (Amazon CloudFront Developer Guide, "Create a signed URL using
    /// a canned policy").
    ///
    /// # Errors
    /// [`CloudFrontError::Signing`] when the key is of no use.
    pub fn sign(&self, path: &StoragePath, now: SystemTime) -> Result<String, CloudFrontError> {
        let key = self.root.key("sign", path).map_err(|_| CloudFrontError::Signing)?;
        let url = format!("{}{key}", self.base_url);
        let expires = (now + self.lifetime).duration_since(SystemTime::UNIX_EPOCH);
        let expires = expires.map_err(|_| CloudFrontError::Signing)?.as_secs();
        let policy = canned_policy(&url, expires);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, policy.as_bytes(), &mut signature)
            .map_err(|_| CloudFrontError::Signing)?;
        let (signature, id) = (in_url(&signature), &self.key_pair_id);
        Ok(format!(
            "{url}?Expires={expires}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256"
        ))
    }
}

impl std::fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudFront").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

fn with_scheme(base_url: &str) -> Result<String, CloudFrontError> {
    let url = match base_url.contains("://") {
        true => base_url.to_owned(),
        false => format!("https://{base_url}"),
    };
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(CloudFrontError::BaseUrl(base_url.to_owned()));
    }
    Ok(format!("{}/", url.trim_end_matches('/')))
}

fn read_key(path: PathBuf) -> Result<RsaKeyPair, CloudFrontError> {
    let read = || {
        let pem = std::fs::read(&path).map_err(|error| error.to_string())?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err("an RSA key is needed".to_owned()),
        };
        key.map_err(|error| format!("an RSA key of 2048 bits or more is needed: {error}"))
    };
    read().map_err(|reason| CloudFrontError::Key { path: path.clone(), reason })
}

/// What is signed: without a space, as CloudFront puts it together again from the URL.
fn canned_policy(url: &str, expires: u64) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

/// Base64 with what CloudFront takes for the characters that mean something in a URL.
fn in_url(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    encoded
        .chars()
        .map(|c| match c {
            '+' => '-',
            '=' => '_',
            '/' => '~',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// What comes before the key of PKCS #1 in one of PKCS #8 with 2048 bits: two lengths, the
    /// version, the algorithm.
    const BEFORE_PKCS1_BYTES: usize = 26;

    /// A new key, in the forms of PKCS #1 and PKCS #8.
    fn keys() -> [String; 2] {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let pem = |label: &str, der: &[u8]| {
            let base64 = STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
        };
        let pkcs1 = pem("RSA PRIVATE KEY", &der.as_ref()[BEFORE_PKCS1_BYTES..]);
        [pkcs1, pem("PRIVATE KEY", der.as_ref())]
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn options(private_key: &Path) -> CloudFrontOptions {
        CloudFrontOptions {
            base_url: "d111111abcdef8.cloudfront.net".to_owned(),
            private_key: private_key.to_owned(),
            key_pair_id: "K2JCJMDEHXQW5F".to_owned(),
            lifetime: Duration::from_mins(20),
            root_directory: "/team/".to_owned(),
        }
    }

    #[test]
    fn a_url_is_signed_as_cloudfront_checks_it() {
        for pem in keys() {
            let (_directory, path) = file(&pem);
            let cloudfront = CloudFront::open(options(&path)).unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_289_200);
            let data = StoragePath::parse("/docker/registry/v2/blobs/x/data").unwrap();
            let url = cloudfront.sign(&data, now).unwrap();
            let resource =
                "https://d111111abcdef8.cloudfront.net/team/docker/registry/v2/blobs/x/data";
            let rest = url.strip_prefix(&format!("{resource}?Expires=1767290400&Signature="));
            let (signature, rest) = rest.unwrap().split_once('&').unwrap();
            assert_eq!(rest, "Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256");
            let base64 = signature.replace('-', "+").replace('_', "=").replace('~', "/");
            let signature = STANDARD.decode(base64).unwrap();
            let policy = format!(
                r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":1767290400}}}}}}]}}"#
            );
            let public = cloudfront.key.public_key();
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
            public.verify(policy.as_bytes(), &signature).unwrap();
        }
    }

    #[test]
    fn base_urls_are_completed() {
        for (given, expected) in [
            ("cdn.example.com", "https://cdn.example.com/"),
            ("http://cdn.example.com//", "http://cdn.example.com/"),
            ("https://cdn.example.com/a", "https://cdn.example.com/a/"),
        ] {
            assert_eq!(with_scheme(given).unwrap(), expected);
        }
        assert!(matches!(with_scheme("ftp://cdn"), Err(CloudFrontError::BaseUrl(_))));
    }

    #[test]
    fn a_key_that_is_of_no_use_is_refused_by_its_file() {
        let (directory, path) = file("no key at all");
        let error = CloudFront::open(options(&path)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("privatekey: {}: ", path.display())), "{error}");
        let missing = directory.path().join("missing.pem");
        let error = CloudFront::open(options(&missing)).unwrap_err().to_string();
        assert!(error.contains("missing.pem: No such file"), "{error}");
        let [_, pkcs8] = keys();
        let (_directory, path) = file(&pkcs8.replace("PRIVATE KEY", "EC PRIVATE KEY"));
        assert!(matches!(CloudFront::open(options(&path)), Err(CloudFrontError::Key { .. })));
    }
}
