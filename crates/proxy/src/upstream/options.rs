//! How an upstream is reached.

use std::path::PathBuf;
use std::time::Duration;

use registry::RepositoryPattern;
use reqwest::Url;

use crate::Secret;

/// How one upstream is reached. All of it comes from the configuration.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// Its name in errors, logs and metrics.
    pub name: String,
    /// Where it is, tried in order. A path of a URL goes before `/v2/`.
    pub endpoints: Vec<Url>,
    /// Who wharf is there.
    pub credentials: Credentials,
    /// How it is made sure that it is the upstream.
    pub tls: TlsOptions,
    /// Its names of repositories.
    pub names: NameRules,
    /// How long until the head of an answer must have come.
    pub answer_timeout: Duration,
    /// How long a body may stand still.
    pub body_idle_timeout: Duration,
}

/// Who wharf is at an upstream.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user.
    Basic {
        /// The user's name.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// What a command says, in the protocol of docker's credential helpers.
    Helper {
        /// The program, called with the one argument `get`.
        command: PathBuf,
        /// What is written to its standard input.
        url: String,
        /// How long its answer is used: for ever when `None`, once when zero.
        lifetime: Option<Duration>,
    },
    /// What Amazon's registry of a region gives to the identity of this machine.
    Ecr {
        /// The region.
        region: String,
    },
    /// What Google gives to a service account.
    Gar {
        /// Its key; the service account of this machine when `None`.
        key_file: Option<PathBuf>,
    },
    /// What Azure gives to an application.
    Acr {
        /// The directory (tenant) of the application.
        tenant: String,
        /// Its name.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
}

/// How it is made sure that an endpoint is the upstream.
///
/// `identity` and `insecure` count for the hosts of the endpoints, not for others that they lead
/// to. There, `root_cas` are trusted beside the authorities of the system.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Files with certificates of the authorities that are trusted in place of those of the system,
    /// unless there are none.
    pub root_cas: Vec<PathBuf>,
    /// Files with the certificate that wharf shows, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Takes any certificate.
    pub insecure: bool,
}

/// How an upstream's names of repositories come about, and which are asked for.
#[derive(Debug, Clone, Default)]
pub struct NameRules {
    /// Names of one component get `library/` in front.
    pub library: bool,
    /// Leading components that are replaced; the first rule that matches counts. An empty `from`
    /// matches every name, an empty `to` takes the components away.
    pub rewrite: Vec<(String, String)>,
    /// The repositories that may be asked for, by their names there; all when empty.
    pub allow: Vec<RepositoryPattern>,
    /// Those that may not, whatever `allow` says.
    pub deny: Vec<RepositoryPattern>,
}
