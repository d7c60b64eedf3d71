//! How wharf shows another registry who it is.

use std::{path::PathBuf, time::Duration};

use crate::{
    check,
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

use super::UNKNOWN;

pub(crate) static EXEC: Section = Section::new(&[
    schema::text(
        "command",
        "Name or path of the helper, which speaks the protocol of docker's credential helpers.",
    ),
    schema::duration(
        "lifetime",
        "How long its answer is good: unset is for ever, 0 is for one use.",
    ),
]);

pub(super) static ECR: Section =
    Section::new(&[schema::text("region", "Region of AWS; that of the URL's host unless set.")])
        .closed(UNKNOWN);

pub(super) static GAR: Section = Section::new(&[schema::checked(
    "keyfile",
    check::path,
    "JSON key of a service account; unset asks the metadata server of the machine.",
)])
.closed(UNKNOWN);

pub(super) static ACR: Section = Section::new(&[
    schema::text("tenant", "Tenant of Entra ID."),
    schema::text("clientid", "Identifier of the application."),
    schema::secret("clientsecret", "Secret of the application."),
])
.closed(UNKNOWN);

/// The ways of credentials, of which a registry may have one.
pub(crate) const WAYS: [&str; 5] = ["username", "exec", "ecr", "gar", "acr"];

/// How wharf shows another registry who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    #[default]
    Anonymous,
    /// By a user and a password: `username` and `password`, or those in the URL.
    Login {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// By what a credential helper says.
    Helper(CredentialHelper),
    /// By tokens of the Elastic Container Registry, which AWS gives to who the environment says.
    Ecr {
        /// Region of the registry.
        region: String,
    },
    /// By tokens of the Google Artifact Registry.
    Gar {
        /// JSON key of a service account; none asks the metadata server.
        key_file: Option<PathBuf>,
    },
    /// By tokens of the Azure Container Registry.
    Acr {
        /// Tenant of Entra ID.
        tenant: String,
        /// Identifier of the application.
        client_id: String,
        /// Secret of the application.
        client_secret: Secret,
    },
}

/// `exec`: a program that speaks the protocol of docker's credential helpers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHelper {
    /// Name or path of the helper.
    pub command: String,
    /// How long its answer is good: none is for ever, zero is for one use.
    pub lifetime: Option<Duration>,
}

/// The one way that was written. `host` is the URL's, and `in_url` the user in it.
pub(crate) fn read(from: Reader<'_>, host: &str, in_url: Option<(String, Secret)>) -> Credentials {
    if let Some(helper) = helper(from) {
        return Credentials::Helper(helper);
    }
    if let Some(ecr) = from.written("ecr") {
        let region = ecr.set_text("region").or_else(|| region_of(host)).unwrap_or_default();
        return Credentials::Ecr { region };
    }
    if let Some(gar) = from.written("gar") {
        return Credentials::Gar { key_file: gar.set_path("keyfile") };
    }
    if let Some(acr) = from.written("acr") {
        return Credentials::Acr {
            tenant: acr.text("tenant"),
            client_id: acr.text("clientid"),
            client_secret: acr.secret("clientsecret").unwrap_or_default(),
        };
    }
    // As in Distribution, one without the other is nobody.
    let written = from.set_text("username").zip(from.secret("password"));
    match written.or(in_url.filter(|(user, _)| !user.is_empty())) {
        Some((username, password)) => Credentials::Login { username, password },
        None => Credentials::Anonymous,
    }
}

fn helper(from: Reader<'_>) -> Option<CredentialHelper> {
    let exec = from.written("exec")?;
    let command = exec.set_text("command")?;
    Some(CredentialHelper { command, lifetime: exec.set_duration("lifetime") })
}

/// The region in a name of a registry of AWS, such as `1234.dkr.ecr.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_amazon = host.ends_with(".amazonaws.com")
        || host.ends_with(".amazonaws.com.cn")
        || host.ends_with(".on.aws");
    // The public registry, by both of its names.
    if ["public.ecr.aws", "ecr-public.aws.com"].contains(&host) {
        return Some("us-east-1".to_owned());
    }
    let region = labels.windows(3).find_map(|labels| match labels {
        ["dkr", "ecr" | "ecr-fips", region] => Some(*region),
        [_, "dkr-ecr" | "dkr-ecr-fips", region] => Some(*region),
        _ => None,
    });
    region.filter(|_| is_amazon).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_aws_tells_its_region() {
        for (host, region) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("123456789012.dkr-ecr.us-east-2.on.aws", Some("us-east-2")),
            ("public.ecr.aws", Some("us-east-1")),
            ("ecr-public.aws.com", Some("us-east-1")),
            ("1.dkr.ecr.eu-west-1.example.com", None),
            ("quay.io", None),
        ] {
            assert_eq!(region_of(host).as_deref(), region, "{host}");
        }
    }
}
