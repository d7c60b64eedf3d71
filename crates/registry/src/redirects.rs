//! Where clients are sent for a blob's bytes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use oci::Digest;
use storage::StoragePath;

use crate::{Registry, Result, layout};

/// How clients are sent elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Redirects {
    /// Whether the storage's own URLs are used, where it has some.
    pub by_storage: bool,
    /// What is done to the URL, one after the other.
    pub rules: Vec<RedirectRule>,
}

/// Makes URLs that somebody before the storage takes.
pub trait UrlSigner: fmt::Debug + Send + Sync {
    /// The URL of a file for this client; none where it is better sent to the storage itself.
    fn sign(&self, path: &StoragePath, client: Option<IpAddr>) -> Option<String>;
}

/// One of Distribution's storage middlewares.
#[derive(Debug, Clone)]
pub enum RedirectRule {
    /// `cloudfront`: a URL that is made for this.
    Signed(Arc<dyn UrlSigner>),
    /// `redirect`: this URL, and the path within the storage behind it.
    Base(String),
    /// `rewrite`: parts of the URL that there is are others.
    Rewrite {
        /// Its scheme.
        scheme: Option<String>,
        /// Its host, with a port.
        host: Option<String>,
        /// What its path begins with and shall not.
        trim_path_prefix: Option<String>,
    },
}

impl Redirects {
    /// Whether there may be a URL at all.
    fn are_possible(&self) -> bool {
        self.by_storage
            || self.rules.iter().any(|rule| !matches!(rule, RedirectRule::Rewrite { .. }))
    }
}

impl RedirectRule {
    /// What becomes of a URL.
    fn apply(
        &self,
        url: Option<String>,
        path: &StoragePath,
        client: Option<IpAddr>,
    ) -> Option<String> {
        match self {
            Self::Signed(signer) => signer.sign(path, client).or(url),
            Self::Base(base) => Some(format!("{}{path}", base.trim_end_matches('/'))),
            Self::Rewrite { scheme, host, trim_path_prefix } => {
                let url = url?;
                let (old_scheme, rest) = url.split_once("://")?;
                let slash = rest.find('/').unwrap_or(rest.len());
                let (old_host, target) = rest.split_at(slash);
                let prefix = trim_path_prefix.as_deref().unwrap_or_default();
                let target = target.strip_prefix(prefix).unwrap_or(target);
                let slash = if target.starts_with('/') || target.is_empty() { "" } else { "/" };
                let scheme = scheme.as_deref().unwrap_or(old_scheme);
                let host = host.as_deref().unwrap_or(old_host);
                Some(format!("{scheme}://{host}{slash}{target}"))
            }
        }
    }
}

impl Registry {
    /// Whether clients may be sent elsewhere at all, so that it is worth to ask.
    #[must_use]
    pub fn redirects(&self) -> bool {
        self.options.redirects.are_possible()
    }

    /// The URL from which a client can read a blob by itself; none when it has to be served here.
    /// `canonical` is the digest under which it is stored, `client` the address that asks.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] when the storage can't make one.
    pub async fn blob_redirect(
        &self,
        canonical: &Digest,
        client: Option<IpAddr>,
    ) -> Result<Option<String>> {
        let redirects = &self.options.redirects;
        let path = layout::blob_data(canonical);
        let mut url = None;
        if redirects.by_storage {
            url = self.driver.redirect(&path).await?;
        }
        for rule in &redirects.rules {
            url = rule.apply(url, &path, client);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows one client that it does not sign for.
    #[derive(Debug)]
    struct Signer(IpAddr);

    impl UrlSigner for Signer {
        fn sign(&self, path: &StoragePath, client: Option<IpAddr>) -> Option<String> {
            (client != Some(self.0)).then(|| format!("https://signed{path}"))
        }
    }

    fn data() -> StoragePath {
        StoragePath::parse("/a/data").unwrap()
    }

    #[test]
    fn a_signer_says_for_whom() {
        let near: IpAddr = "52.94.5.1".parse().unwrap();
        let rule = RedirectRule::Signed(Arc::new(Signer(near)));
        let url = |client: &str| {
            let storage = Some("https://s3/a/data".to_owned());
            rule.apply(storage, &data(), Some(client.parse().unwrap()))
        };
        assert_eq!(url("52.94.5.1").as_deref(), Some("https://s3/a/data"));
        assert_eq!(url("52.94.5.2").as_deref(), Some("https://signed/a/data"));
        let redirects = Redirects { by_storage: false, rules: vec![rule] };
        assert!(redirects.are_possible());
    }

    #[test]
    fn rules_change_urls() {
        let signed =
            || Some("https://s3.example.org:9000/bucket/a/data?X-Amz-Signature=1".to_owned());
        let rewrite = |scheme: Option<&str>, host: Option<&str>, prefix: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let trim_path_prefix = own(prefix);
            RedirectRule::Rewrite { scheme: own(scheme), host: own(host), trim_path_prefix }
        };
        for (rule, expected) in [
            (
                rewrite(None, None, None),
                "https://s3.example.org:9000/bucket/a/data?X-Amz-Signature=1",
            ),
            (
                rewrite(Some("http"), Some("cdn"), None),
                "http://cdn/bucket/a/data?X-Amz-Signature=1",
            ),
            (
                rewrite(None, Some("cdn:1"), Some("/bucket")),
                "https://cdn:1/a/data?X-Amz-Signature=1",
            ),
            (rewrite(None, Some("cdn"), Some("/bucket/")), "https://cdn/a/data?X-Amz-Signature=1"),
            (
                rewrite(None, Some("cdn"), Some("/other")),
                "https://cdn/bucket/a/data?X-Amz-Signature=1",
            ),
            (RedirectRule::Base("https://cdn/x/".into()), "https://cdn/x/a/data"),
        ] {
            assert_eq!(rule.apply(signed(), &data(), None).as_deref(), Some(expected));
        }
        assert_eq!(rewrite(None, Some("cdn"), None).apply(None, &data(), None), None);
    }
}
