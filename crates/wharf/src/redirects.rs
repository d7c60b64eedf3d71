//! Distribution's storage middlewares: where clients are sent for the bytes of blobs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use config::{Config, Driver, MiddlewareEntry};
use objects::{AmazonNetworks, CloudFront, CloudFrontOptions};
use registry::{RedirectRule, Redirects, UrlSigner};
use storage::StoragePath;
use tracing::warn;

/// The rules, and the networks that have to be read now and again for them.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) redirects: Redirects,
    pub(crate) networks: Vec<Arc<AmazonNetworks>>,
}

/// Makes the rules of the middlewares, in their order. Those that are not built were refused.
///
/// # Errors
/// When an option can't be used, with its key and the reason.
pub(crate) fn open(config: &Config) -> anyhow::Result<Opened> {
    let mut opened = Opened::default();
    if config.storage.redirect_disabled {
        return Ok(opened);
    }
    opened.redirects.by_storage = true;
    let entries = config.middleware.storage.iter().enumerate();
    for (index, entry) in entries.filter(|(_, entry)| !entry.disabled) {
        let rule = match &entry.cloudfront {
            Some(options) => cloudfront(config, options, &mut opened.networks)
                .with_context(|| format!("middleware.storage.{index}.options"))?,
            None => plain(entry),
        };
        opened.redirects.rules.extend(rule);
    }
    Ok(opened)
}

fn plain(entry: &MiddlewareEntry) -> Option<RedirectRule> {
    let option = |name: &str| {
        let found = entry.options.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.reveal().to_owned()).filter(|value| !value.is_empty())
    };
    match entry.name.as_str() {
        "redirect" => option("baseurl").map(RedirectRule::Base),
        "rewrite" => Some(RedirectRule::Rewrite {
            scheme: option("scheme"),
            host: option("host"),
            trim_path_prefix: option("trimpathprefix"),
        }),
        _ => None,
    }
}

/// None for a driver that CloudFront is not for: as with Distribution, its own URLs are used.
fn cloudfront(
    config: &Config,
    options: &config::CloudFront,
    networks: &mut Vec<Arc<AmazonNetworks>>,
) -> anyhow::Result<Option<RedirectRule>> {
    let Driver::S3(s3) = &config.storage.driver else { return Ok(None) };
    let signs = CloudFront::open(CloudFrontOptions {
        base_url: options.base_url.clone(),
        private_key: options.private_key.clone(),
        key_pair_id: options.key_pair_id.clone(),
        lifetime: options.duration,
        root_directory: s3.root_directory.clone(),
    })?;
    let near = options
        .amazon_networks
        .as_ref()
        .map(|of| Arc::new(AmazonNetworks::new(of.url.clone(), &of.regions, of.interval)));
    networks.extend(near.clone());
    Ok(Some(RedirectRule::Signed(Arc::new(BeforeBucket { signs, near }))))
}

/// CloudFront, but for those who are nearer to the bucket.
#[derive(Debug)]
struct BeforeBucket {
    signs: CloudFront,
    near: Option<Arc<AmazonNetworks>>,
}

impl UrlSigner for BeforeBucket {
    fn sign(&self, path: &StoragePath, client: Option<IpAddr>) -> Option<String> {
        if let (Some(near), Some(client)) = (&self.near, client)
            && near.contains(client)
        {
            return None;
        }
        match self.signs.sign(path, SystemTime::now()) {
            Ok(url) => Some(url),
            Err(error) => {
                warn!(%error, "the client is sent to the bucket instead");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S3: &str = "s3: {bucket: b, region: us-east-1, rootdirectory: /team}";

    fn opened(storage: &str, middleware: &str) -> anyhow::Result<Opened> {
        let text = format!(
            "version: 0.1\nstorage:\n  {storage}\nhttp: {{secret: s}}\nmiddleware: {{storage: [{middleware}]}}\n"
        );
        let source = config::Source::new("config.yml", text);
        open(&config::load(&source, &config::Environment::default()).unwrap().config)
    }

    /// The entry of `cloudfront` with a new key, in a directory that has to live as long.
    fn cloudfront(filter: &str) -> (tempfile::TempDir, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        std::fs::write(&file, key.serialize_pem()).unwrap();
        let options = format!(
            "baseurl: cdn.example.com, privatekey: {}, keypairid: K1{filter}",
            file.display()
        );
        (directory, format!("{{name: cloudfront, options: {{{options}}}}}"))
    }

    #[test]
    fn nobody_is_redirected_when_that_is_disabled() {
        let redirect = "{name: redirect, options: {baseurl: 'https://cdn'}}";
        let disabled = format!("{S3}\n  redirect: {{disable: true}}");
        let Opened { redirects, .. } = opened(&disabled, redirect).unwrap();
        assert!(!redirects.by_storage && redirects.rules.is_empty());
        let Opened { redirects, .. } = opened(S3, redirect).unwrap();
        assert!(redirects.by_storage);
        assert!(
            matches!(&redirects.rules[..], [RedirectRule::Base(base)] if base == "https://cdn")
        );
    }

    #[test]
    fn cloudfront_signs_the_key_in_the_bucket() {
        let (_directory, entry) = cloudfront(", ipfilteredby: awsregion, awsregion: 'a, b'");
        let Opened { redirects, networks } = opened(S3, &entry).unwrap();
        assert_eq!(networks.len(), 1, "they have to be read");
        let [RedirectRule::Signed(signer)] = &redirects.rules[..] else { panic!("{redirects:?}") };
        let data = StoragePath::parse("/docker/data").unwrap();
        let url = signer.sign(&data, Some("192.0.2.1".parse().unwrap())).unwrap();
        let prefix = "https://cdn.example.com/team/docker/data?Expires=";
        assert!(url.starts_with(prefix), "{url}");
        let (_directory, entry) = cloudfront("");
        assert!(opened(S3, &entry).unwrap().networks.is_empty(), "nobody asks for them");
    }

    #[test]
    fn cloudfront_is_for_s3_alone() {
        let (_directory, entry) = cloudfront("");
        assert!(opened("inmemory: {}", &entry).unwrap().redirects.rules.is_empty());
    }

    #[test]
    fn a_key_that_is_not_there_is_told_by_its_option() {
        let entry =
            "{name: cloudfront, options: {baseurl: cdn, privatekey: /no/key.pem, keypairid: K}}";
        let error = format!("{:#}", opened(S3, entry).unwrap_err());
        let expected = "middleware.storage.0.options: privatekey: /no/key.pem: ";
        assert!(error.starts_with(expected), "{error}");
    }
}
