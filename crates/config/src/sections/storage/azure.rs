//! `storage.azure`.

use std::time::Duration;

use crate::{
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

pub(crate) static SECTION: Section = Section::new(&[
    schema::text("accountname", "Storage account."),
    schema::secret("accountkey", "Key of the storage account."),
    schema::text("container", "Container."),
    schema::optional("credentials", &CREDENTIALS, "How to authenticate."),
    schema::text("realm", "Domain of the service.").default("core.windows.net"),
    schema::text("rootdirectory", "Prefix of every blob in the container."),
    schema::text("serviceurl", "URL of the service."),
    schema::count("max_retries", "Attempts after the first.").default("5"),
    schema::duration("retry_delay", "Time between two attempts.").default("100ms"),
    schema::boolean("skipverify", "Skips the check of the service's certificate.").default("false"),
]);

static CREDENTIALS: Section = Section::new(&[
    schema::choice(
        "type",
        &["client_secret", "shared_key", "default_credentials"],
        "Kind of credentials.",
    ),
    schema::text("clientid", "Client of `client_secret`."),
    schema::text("tenantid", "Tenant of `client_secret`."),
    schema::secret("secret", "Secret of `client_secret`."),
]);

/// `storage.azure`.
#[derive(Clone, Debug)]
pub struct Azure {
    /// Storage account.
    pub account_name: String,
    /// Key of the storage account.
    pub account_key: Option<Secret>,
    /// Container.
    pub container: String,
    /// How to authenticate; none in files written for Distribution 2.
    pub credentials: Option<AzureCredentials>,
    /// Domain of the service.
    pub realm: String,
    /// Prefix of every blob.
    pub root_directory: String,
    /// URL of the service.
    pub service_url: Option<String>,
    /// Attempts after the first.
    pub max_retries: u64,
    /// Time between two attempts.
    pub retry_delay: Duration,
    /// Skips the check of the service's certificate.
    pub skip_verify: bool,
}

/// `storage.azure.credentials`.
#[derive(Clone, Debug)]
pub struct AzureCredentials {
    /// `client_secret`, `shared_key` or `default_credentials`; empty when unset.
    pub kind: String,
    /// Client of `client_secret`.
    pub client_id: String,
    /// Tenant of `client_secret`.
    pub tenant_id: String,
    /// Secret of `client_secret`.
    pub secret: Option<Secret>,
}

pub(crate) fn read(parameters: Reader<'_>) -> Azure {
    Azure {
        account_name: parameters.text("accountname"),
        account_key: parameters.secret("accountkey"),
        container: parameters.text("container"),
        credentials: parameters.written("credentials").map(|credentials| AzureCredentials {
            kind: credentials.text("type"),
            client_id: credentials.text("clientid"),
            tenant_id: credentials.text("tenantid"),
            secret: credentials.secret("secret"),
        }),
        realm: parameters.text("realm"),
        root_directory: parameters.text("rootdirectory"),
        service_url: parameters.set_text("serviceurl"),
        max_retries: parameters.count("max_retries"),
        retry_delay: parameters.duration("retry_delay"),
        skip_verify: parameters.boolean("skipverify"),
    }
}
