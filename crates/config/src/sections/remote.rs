//! Another registry: where it is, and how wharf shows it who it is. Shared by the sections that name
//! some.

mod credentials;
mod url;

use std::path::PathBuf;

use crate::{
    check,
    reader::Reader,
    schema::{self, Key, Section},
};

pub use self::credentials::{CredentialHelper, Credentials};
pub(crate) use self::{
    credentials::{EXEC, WAYS, read as read_credentials},
    url::{DOCKER_HUB, RegistryUrl, is_docker_hub},
};

/// A key that was misspelt may not be left out: what it forbids would be allowed.
pub(crate) const UNKNOWN: &str = "setting";

/// `url`.
pub(crate) const URL: Key = schema::checked("url", check::registry_url, "Where it is.");

/// `urls`.
pub(crate) const URLS: Key = schema::checked_texts(
    "urls",
    check::registry_url,
    "In place of `url`: where it is, in the order in which they are tried.",
);

/// `username`.
pub(crate) const USERNAME: Key = schema::text("username", "User there.");

/// `password`.
pub(crate) const PASSWORD: Key = schema::secret("password", "Password there.");

/// `exec`.
pub(crate) const HELPER: Key = schema::optional("exec", &EXEC, "A credential helper.");

/// `ecr`.
pub(crate) const ECR: Key =
    schema::optional("ecr", &credentials::ECR, "Tokens of the Elastic Container Registry of AWS.");

/// `gar`.
pub(crate) const GAR: Key =
    schema::optional("gar", &credentials::GAR, "Tokens of the Google Artifact Registry.");

/// `acr`.
pub(crate) const ACR: Key =
    schema::optional("acr", &credentials::ACR, "Tokens of the Azure Container Registry.");

/// `tls`.
pub(crate) const TLS: Key = schema::optional("tls", &TLS_KEYS, "HTTPS to it.");

static TLS_KEYS: Section = Section::new(&[
    schema::checked_texts(
        "rootcas",
        check::path,
        "PEM files with its authorities, in place of the system's.",
    ),
    schema::checked("certificate", check::path, "PEM file with wharf's own certificate."),
    schema::checked("key", check::path, "PEM file with the key of it."),
    schema::boolean("insecure", "Takes any certificate.").default("false"),
])
.closed(UNKNOWN);

/// Another registry.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is, in the order in which they are tried: `http` or `https`, perhaps with a path,
    /// without credentials and without a slash at the end.
    pub urls: Vec<String>,
    /// How wharf shows who it is.
    pub credentials: Credentials,
    /// HTTPS to it.
    pub tls: RemoteTls,
}

impl Remote {
    /// The host name that images of this registry are called by: `docker.io` for Docker Hub, else
    /// the host and port of its first URL.
    pub fn registry(&self) -> Option<String> {
        let host = self.host()?;
        Some(if is_docker_hub(&host) { DOCKER_HUB[0].to_owned() } else { host })
    }

    /// Whether it is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.host().is_some_and(|host| is_docker_hub(&host))
    }

    /// Host and port of its first URL.
    pub(crate) fn host(&self) -> Option<String> {
        Some(RegistryUrl::parse(self.urls.first()?)?.host)
    }
}

/// `tls` of another registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteTls {
    /// Its authorities; none are the system's.
    pub root_cas: Vec<PathBuf>,
    /// wharf's own certificate.
    pub certificate: Option<PathBuf>,
    /// The key of it.
    pub key: Option<PathBuf>,
    /// Whether any certificate is taken.
    pub insecure: bool,
}

/// Reads the keys above out of a section that has them.
pub(crate) fn read(from: Reader<'_>) -> Remote {
    let written = from.set_text("url").into_iter().chain(from.texts("urls"));
    let urls: Vec<RegistryUrl> = written.filter_map(|text| RegistryUrl::parse(&text)).collect();
    let host = urls.first().map(|url| url.host.clone()).unwrap_or_default();
    let login = urls.iter().find_map(|url| url.login.clone());
    Remote {
        credentials: read_credentials(from, &host, login),
        tls: read_tls(from.section("tls")),
        urls: urls.into_iter().map(|url| url.url).collect(),
    }
}

fn read_tls(tls: Reader<'_>) -> RemoteTls {
    RemoteTls {
        root_cas: tls.texts("rootcas").into_iter().map(PathBuf::from).collect(),
        certificate: tls.set_path("certificate"),
        key: tls.set_path("key"),
        insecure: tls.boolean("insecure"),
    }
}
