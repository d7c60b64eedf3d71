//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::MicrosoftAzureBuilder;
use object_store::{Attributes, ObjectStore};

use crate::client::Store;
use crate::copying::InOne;
use crate::error::OpenError;
use crate::guard::{Guard, Guarded};
use crate::options::retries;
use crate::{Objects, OpenOptions};

/// What Azure is configured with. The names are those of the configuration's keys.
#[derive(Clone, Debug)]
pub struct AzureOptions {
    /// `accountname`.
    pub account: String,
    /// `container`.
    pub container: String,
    /// `serviceurl`, or what follows from the account and `realm`.
    pub service_url: String,
    /// `credentials`.
    pub credentials: AzureCredentials,
}

/// Who this server is to Azure.
#[derive(Clone)]
pub enum AzureCredentials {
    /// `shared_key`: the account's.
    SharedKey(String),
    /// `client_secret`: an application of Entra ID.
    ClientSecret {
        /// `clientid`.
        client_id: String,
        /// `tenantid`.
        tenant_id: String,
        /// `secret`.
        secret: String,
    },
    /// `default_credentials`: those of the environment: variables, a workload's identity, a
    /// managed identity.
    Default,
}

impl std::fmt::Debug for AzureCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SharedKey(_) => "SharedKey(…)",
            Self::ClientSecret { .. } => "ClientSecret(…)",
            Self::Default => "Default",
        })
    }
}

impl Objects {
    /// Opens a container of Azure. Nothing is asked of it yet; see [`Objects::probe`].
    ///
    /// # Errors
    /// [`OpenError`] when the options can't be used.
    pub fn azure(options: AzureOptions, open: OpenOptions) -> Result<Self, OpenError> {
        let guard = Arc::new(Guard::new(open.transport.requests_at_once));
        let builder = match &options.credentials {
            AzureCredentials::SharedKey(key) => MicrosoftAzureBuilder::new().with_access_key(key),
            AzureCredentials::ClientSecret { client_id, tenant_id, secret } => {
                MicrosoftAzureBuilder::new()
                    .with_client_secret_authorization(client_id, secret, tenant_id)
            }
            AzureCredentials::Default => MicrosoftAzureBuilder::from_env(),
        };
        let transport = &open.transport;
        let store = builder
            .with_account(&options.account)
            .with_container_name(&options.container)
            .with_endpoint(options.service_url.clone())
            .with_allow_http(options.service_url.starts_with("http:"))
            .with_client_options(transport.client_options()?)
            .with_retry(retries(transport.retries, transport.retry_pause))
            .with_disable_tagging(true)
            .with_http_connector(Guarded(Arc::clone(&guard)))
            .build()
            .map_err(|error| OpenError::new("azure", error))?;
        let store = Arc::new(store);
        let opened = Store {
            name: "azure",
            objects: store.clone(),
            multipart: store.clone(),
            pages: store.clone(),
            redirects: open.redirects.then(|| store.clone() as _),
            copier: Arc::new(InOne(store as Arc<dyn ObjectStore>)),
            attributes: Attributes::new(),
        };
        Ok(Self::assemble(opened, &open, guard))
    }
}
