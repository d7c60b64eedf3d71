//! Google Cloud Storage.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{Attributes, ObjectStore};

use crate::client::Store;
use crate::copying::InOne;
use crate::error::OpenError;
use crate::guard::{Guard, Guarded};
use crate::options::retries;
use crate::{Objects, OpenOptions};

/// What Google's store is configured with. The names are those of the configuration's keys.
#[derive(Clone, Debug)]
pub struct GcsOptions {
    /// `bucket`.
    pub bucket: String,
    /// Who this server is to Google.
    pub credentials: GcsCredentials,
    /// Another address than Google's, for an emulator; it is asked without credentials.
    pub emulator: Option<String>,
}

/// Who this server is to Google.
#[derive(Clone)]
pub enum GcsCredentials {
    /// `keyfile`: the path of a service account's key.
    KeyFile(String),
    /// `credentials`: the key itself, as JSON.
    Key(String),
    /// Those of the environment: a file that it names, a workload's or an instance's identity.
    Default,
}

impl std::fmt::Debug for GcsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeyFile(_) => "KeyFile(…)",
            Self::Key(_) => "Key(…)",
            Self::Default => "Default",
        })
    }
}

/// What the library takes for the key of an account that needs none.
fn nobody(url: &str) -> String {
    serde_json::json!({
        "gcs_base_url": url,
        "disable_oauth": true,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    })
    .to_string()
}

impl Objects {
    /// Opens a bucket of Google's. Nothing is asked of it yet; see [`Objects::probe`].
    ///
    /// # Errors
    /// [`OpenError`] when the options can't be used.
    pub fn gcs(options: GcsOptions, open: OpenOptions) -> Result<Self, OpenError> {
        let guard = Arc::new(Guard::new(open.transport.requests_at_once));
        let builder = match &options.credentials {
            GcsCredentials::KeyFile(path) => {
                GoogleCloudStorageBuilder::new().with_service_account_path(path)
            }
            GcsCredentials::Key(key) => {
                GoogleCloudStorageBuilder::new().with_service_account_key(key)
            }
            GcsCredentials::Default => match &options.emulator {
                Some(url) => GoogleCloudStorageBuilder::new().with_service_account_key(nobody(url)),
                None => GoogleCloudStorageBuilder::from_env(),
            },
        };
        let transport = &open.transport;
        let store = builder
            .with_bucket_name(&options.bucket)
            .with_client_options(transport.client_options()?)
            .with_retry(retries(transport.retries, transport.retry_pause))
            .with_http_connector(Guarded(Arc::clone(&guard)))
            .build()
            .map_err(|error| OpenError::new("gcs", error))?;
        let store = Arc::new(store);
        let signs = open.redirects && options.emulator.is_none();
        let opened = Store {
            name: "gcs",
            objects: store.clone(),
            multipart: store.clone(),
            pages: store.clone(),
            redirects: signs.then(|| store.clone() as _),
            copier: Arc::new(InOne(store as Arc<dyn ObjectStore>)),
            attributes: Attributes::new(),
        };
        Ok(Self::assemble(opened, &open, guard))
    }
}
