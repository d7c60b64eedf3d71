//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::MicrosoftAzureBuilder;
use object_store::{Attributes, ObjectStore};

use crate::client::{Client, Store};
use crate::copying::InOne;
use crate::error::OpenError;
use crate::guard::{Guard, Guarded};
use crate::options::retries;
use crate::{Objects, OpenOptions, listing};

/// The driver's name in the configuration.
const NAME: &str = "azure";

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

/// What the names of a registry's blobs begin with.
const REGISTRY: &str = "docker/registry/v2/";

/// Whether a container has a registry under the names that Distribution 2.8 gave its blobs, which
/// begin with a slash, and none under those that are looked for. It knew of no `rootdirectory`.
pub(crate) async fn has_names_of_distribution_2(client: &Client) -> storage::Result<bool> {
    let is_whole_container = client.store.name == NAME && client.root.is_empty();
    Ok(is_whole_container
        && listing::has_any(client, format!("/{REGISTRY}")).await?
        && !listing::has_any(client, REGISTRY.to_owned()).await?)
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
            name: NAME,
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
    use object_store::{ListResult, ObjectMeta};

    use super::*;
    use crate::ProbeError;
    use crate::testing::replicas;

    /// A container of blobs with these names.
    struct Names(&'static [&'static str]);

    #[async_trait]
    impl PaginatedListStore for Names {
        async fn list_paginated(
            &self,
            prefix: Option<&str>,
            _: PaginatedListOptions,
        ) -> object_store::Result<PaginatedListResult> {
            let below = |name: &&&str| name.starts_with(prefix.unwrap_or_default());
            let object = |name: &&str| ObjectMeta {
                location: (*name).into(),
                last_modified: Default::default(),
                size: 1,
                e_tag: None,
                version: None,
            };
            let result = ListResult {
                common_prefixes: Vec::new(),
                objects: self.0.iter().filter(below).map(object).collect(),
                extensions: Default::default(),
            };
            Ok(PaginatedListResult { result, page_token: None })
        }
    }

    #[tokio::test]
    async fn a_container_that_would_look_empty_is_refused() {
        const OLD: &str = "/docker/registry/v2/blobs/x";
        const NEW: &str = "docker/registry/v2/blobs/x";
        for (root, names, is_refused) in [
            ("", &[OLD][..], true),
            ("/", &[OLD], true),
            ("", &[OLD, NEW], false),
            ("", &[NEW], false),
            ("", &[], false),
            ("other", &[OLD], false),
        ] {
            let mut store = replicas().0.client.store.clone();
            store.name = NAME;
            store.pages = Arc::new(Names(names));
            let open = OpenOptions {
                root_directory: root.to_owned(),
                part_bytes: 5 << 20,
                redirects: false,
                transport: crate::Transport::default(),
            };
            let objects = Objects::assemble(store, &open, Arc::new(Guard::new(None)));
            for read_only in [true, false] {
                let probed = objects.probe(read_only).await;
                let was_refused = matches!(probed, Err(ProbeError::NamesOfDistribution2));
                assert_eq!(was_refused, is_refused, "{root:?} {names:?} {probed:?}");
            }
        }
    }
}
