//! How the authority is spoken to: HTTPS with the system's root certificates, bounded in time and
//! size.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::limits;

/// The client.
pub(super) struct Https(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Https {
    /// Trusts the system's root certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name. Reads them, so it blocks on the file system.
    pub(super) fn new() -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.iter().map(|error| format!(": {error}")).collect::<String>();
            return Err(Error::Other(
                format!(
                    "no root certificates to trust the authority by; install ca-certificates or \
                     set SSL_CERT_FILE{why}"
                )
                .into(),
            ));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Other(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let response = self.0.request(request);
        Box::pin(async move {
            match tokio::time::timeout(limits::ACME_REQUEST_TIMEOUT, read(response)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Other("the authority does not answer".into())),
            }
        })
    }
}

/// The whole answer: the library would read the body without a bound on time.
async fn read(response: ResponseFuture) -> Result<BytesResponse, Error> {
    let (parts, body) = response.await.map_err(|error| Error::Other(error.into()))?.into_parts();
    let body = Limited::new(body, limits::ACME_RESPONSE_BYTES_MAX);
    let body = body.collect().await.map_err(Error::Other)?.to_bytes();
    Ok(BytesResponse { parts, body: Box::new(body) })
}
