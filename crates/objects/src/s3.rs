//! Amazon S3, and what speaks its protocol.

mod copier;
mod endpoint;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::HttpConnector as _;
use object_store::{Attribute, Attributes, ClientOptions};

use crate::client::Store;
use crate::error::OpenError;
use crate::guard::{Guard, Guarded};
use crate::options::{Transport, retries};
use crate::{Objects, OpenOptions};

use copier::S3Copier;
pub use endpoint::{Amazon, Endpoint};

/// What S3 is configured with; sizes are in bytes. The names are those of the configuration's keys.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Where the bucket is.
    pub endpoint: Endpoint,
    /// Where clients find it, if that is another address than this server's.
    pub redirect_endpoint: Option<String>,
    /// `bucket`.
    pub bucket: String,
    /// `accesskey` and `secretkey`; none means those of the environment: variables, a web identity
    /// token, a container's or an instance's role.
    pub keys: Option<Keys>,
    /// `encrypt`.
    pub is_encrypted: bool,
    /// `keyid`.
    pub kms_key_id: Option<String>,
    /// `storageclass`; none sends none.
    pub storage_class: Option<String>,
    /// `objectacl`.
    pub acl: String,
    /// `multipartcopythresholdsize`.
    pub copy_threshold_bytes: u64,
    /// `multipartcopychunksize`.
    pub copy_part_bytes: u64,
    /// `multipartcopymaxconcurrency`.
    pub copies_at_once: usize,
}

/// Static credentials.
#[derive(Clone)]
pub struct Keys {
    /// `accesskey`.
    pub access_key: String,
    /// `secretkey`.
    pub secret_key: String,
    /// `sessiontoken`.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Objects {
    /// Opens a bucket of S3. Nothing is asked of it yet; see [`Objects::probe`].
    ///
    /// # Errors
    /// [`OpenError`] when the options can't be used.
    pub fn s3(options: S3Options, open: OpenOptions) -> Result<Self, OpenError> {
        let guard = Arc::new(Guard::new(open.transport.requests_at_once));
        let base = builder(&options, &open.transport, &guard)?;
        let url = options.endpoint.url(&options.bucket);
        let store = build(base.clone(), &options.endpoint, &url)?;
        let redirects = match &options.redirect_endpoint {
            None => Arc::clone(&store),
            Some(public) => {
                let endpoint = options.endpoint.at(public);
                let url = endpoint.url(&options.bucket);
                build(base, &endpoint, &url)?
            }
        };
        let http = Guarded(Arc::clone(&guard)).connect(&client_options(&options, &open.transport)?);
        let http = http.map_err(|error| OpenError::new("s3", error))?;
        let copier = S3Copier::new(Arc::clone(&store), http, &options);
        let opened = Store {
            name: "s3",
            objects: store.clone(),
            multipart: store.clone(),
            pages: store,
            redirects: open.redirects.then_some(redirects as _),
            copier: Arc::new(copier),
            attributes: attributes(&options),
        };
        Ok(Self::assemble(opened, &open, guard))
    }
}

fn attributes(options: &S3Options) -> Attributes {
    let class = options.storage_class.clone();
    // STANDARD is what an object gets without it, and some stores know no other.
    let class = class.filter(|class| class != "STANDARD");
    class.into_iter().map(|class| (Attribute::StorageClass, class)).collect()
}

fn client_options(options: &S3Options, transport: &Transport) -> Result<ClientOptions, OpenError> {
    let mut client = transport.client_options()?;
    if !options.acl.is_empty() && options.acl != "private" {
        let acl = HeaderValue::from_str(&options.acl)
            .map_err(|error| OpenError::setting("s3", "objectacl", error))?;
        let header = HeaderName::from_static("x-amz-acl");
        client = client.with_default_headers(HeaderMap::from_iter([(header, acl)]));
    }
    Ok(client)
}

fn builder(
    options: &S3Options,
    transport: &Transport,
    guard: &Arc<Guard>,
) -> Result<AmazonS3Builder, OpenError> {
    let mut builder = match &options.keys {
        Some(Keys { access_key, secret_key, session_token }) => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(access_key)
                .with_secret_access_key(secret_key);
            match session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        None => AmazonS3Builder::from_env(),
    };
    if options.is_encrypted {
        builder = match &options.kms_key_id {
            Some(key) => builder.with_sse_kms_encryption(key),
            None => builder.with_config(
                "aws_server_side_encryption"
                    .parse()
                    .map_err(|error| OpenError::new("s3", error))?,
                "AES256",
            ),
        };
    }
    Ok(builder
        .with_bucket_name(&options.bucket)
        .with_region(&options.endpoint.region)
        .with_client_options(client_options(options, transport)?)
        .with_retry(retries(transport.retries, transport.retry_pause))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_tagging(true)
        .with_http_connector(Guarded(Arc::clone(guard))))
}

fn build(
    builder: AmazonS3Builder,
    endpoint: &Endpoint,
    url: &str,
) -> Result<Arc<AmazonS3>, OpenError> {
    let store = builder
        .with_endpoint(url)
        .with_virtual_hosted_style_request(!endpoint.is_path_style)
        .with_allow_http(url.starts_with("http:"))
        // A signature of each part's content would hash every blob twice; TLS protects what is sent,
        // and its digest whoever pulls it.
        .with_unsigned_payload(true)
        .build();
    store.map(Arc::new).map_err(|error| OpenError::new("s3", error))
}
