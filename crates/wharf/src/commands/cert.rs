//! `wharf cert new`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tls::authority::{Host, Issued, Request, issue};

use super::{refuse, say};

/// The port of Distribution's and wharf's default configuration.
const PORT: u16 = 5000;

/// Makes a server certificate, and a local authority that signs it.
pub(crate) fn new(hosts: &[String], out: &Path, days: u32) -> ExitCode {
    let hosts: Result<Vec<Host>, _> = hosts.iter().map(|host| host.parse()).collect();
    let hosts = match hosts {
        Ok(hosts) => hosts,
        Err(error) => return refuse(error),
    };
    let request = Request { hosts, directory: out.to_owned(), days };
    match issue(&request) {
        Ok(issued) => {
            say(&report(&request.hosts, &issued));
            ExitCode::SUCCESS
        }
        Err(error) => refuse(error),
    }
}

/// What was made, and what to do with it.
fn report(hosts: &[Host], issued: &Issued) -> String {
    let files = &issued.files;
    let names = hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    let (authority, key) = (files.authority.display(), files.authority_key.display());
    let _ = if issued.reused_authority {
        writeln!(text, "Local authority, kept as it was: {authority}, key {key}")
    } else {
        writeln!(text, "Local authority, new: {authority}, key {key} (keep it to yourself)")
    };
    let _ = writeln!(text, "    good until {}", date(issued.authority_until));
    let what = if issued.renewed { "renewed" } else { "new" };
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let _ = writeln!(text, "Certificate for {names}, {what}: {certificate}, key {key}");
    let _ = writeln!(text, "    good until {}", date(issued.until));
    text += &for_the_server(issued);
    if issued.reused_authority {
        text += "\nClients that trust the authority already need nothing.\n";
    }
    text += &for_clients(hosts, &files.authority);
    text
}

/// The configuration, as a file and as variables.
fn for_the_server(issued: &Issued) -> String {
    let (certificate, key) = (full(&issued.files.certificate), full(&issued.files.key));
    format!(
        "
The registry takes them from config.yml

    http:
      addr: :{PORT}
      tls:
        certificate: {certificate}
        key: {key}

or from variables

    REGISTRY_HTTP_TLS_CERTIFICATE={certificate}
    REGISTRY_HTTP_TLS_KEY={key}

In a container these are the paths inside of it. The key has to be readable by the user that the
registry runs as.
"
    )
}

/// What to copy to each client, by the names that it uses.
fn for_clients(hosts: &[Host], authority: &Path) -> String {
    let authority = full(authority);
    let mut text = format!(
        "
Clients have to trust the authority. Copy {authority}
(never ca.key) to each of them, and there, as root, do what its programs need.
"
    );
    let (wildcards, hosts): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.is_wildcard());
    for wildcard in wildcards {
        let _ = write!(
            text,
            "
For names under {wildcard}: the directories below are per name, so make one for each name that is
used, or let the whole system trust the authority.
"
        );
    }
    if !hosts.is_empty() {
        let _ = write!(
            text,
            "
The names below end in the registry's port. For another one write that in the place of {PORT}; for 443
leave `:{PORT}` out, as the names of images do.
"
        );
    }
    for host in hosts {
        text += &for_programs(&format!("{}:{PORT}", host.in_url()));
    }
    text += "
The whole system (also curl and browsers), on Debian and Ubuntu:

    cp ca.crt /usr/local/share/ca-certificates/wharf-local.crt
    update-ca-certificates

on Fedora and Red Hat:

    cp ca.crt /etc/pki/ca-trust/source/anchors/wharf-local.crt
    update-ca-trust

docker and containerd see a change of the system only after a restart.
";
    text
}

fn for_programs(registry: &str) -> String {
    format!(
        "
For {registry}

  docker (no restart needed):

    mkdir -p /etc/docker/certs.d/{registry}
    cp ca.crt /etc/docker/certs.d/{registry}/ca.crt

  podman, buildah, skopeo:

    mkdir -p /etc/containers/certs.d/{registry}
    cp ca.crt /etc/containers/certs.d/{registry}/ca.crt

  containerd (with config_path = \"/etc/containerd/certs.d\" in its config.toml):

    mkdir -p /etc/containerd/certs.d/{registry}
    cp ca.crt /etc/containerd/certs.d/{registry}/ca.crt
    cat > /etc/containerd/certs.d/{registry}/hosts.toml <<'END'
    server = \"https://{registry}\"

    [host.\"https://{registry}\"]
      ca = \"/etc/containerd/certs.d/{registry}/ca.crt\"
    END
"
    )
}

/// The path from the root, to be copied into a configuration.
fn full(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)).display().to_string()
}

fn date(time: impl std::fmt::Display) -> String {
    let time = time.to_string();
    time.split('T').next().unwrap_or(&time).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(hosts: &[&str]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let hosts: Vec<Host> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let request = Request { hosts, directory: directory.path().to_owned(), days: 825 };
        let issued = issue(&request).unwrap();
        report(&request.hosts, &issued)
    }

    #[test]
    fn every_client_gets_its_directory() {
        let text = made(&["nas.lan", "192.168.1.10", "fd00::10", "*.home.lan"]);
        assert!(text.contains("for 443\nleave `:5000` out"), "{text}");
        for line in [
            "    cp ca.crt /etc/docker/certs.d/nas.lan:5000/ca.crt\n",
            "    cp ca.crt /etc/docker/certs.d/192.168.1.10:5000/ca.crt\n",
            "    cp ca.crt /etc/containers/certs.d/[fd00::10]:5000/ca.crt\n",
            "    [host.\"https://nas.lan:5000\"]\n",
            "For names under *.home.lan",
            "update-ca-certificates",
            "/etc/pki/ca-trust/source/anchors/",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("certs.d/*"), "no directory has this name:\n{text}");
        assert!(text.contains("REGISTRY_HTTP_TLS_CERTIFICATE=/"), "{text}");
    }

    #[test]
    fn what_is_no_host_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let code = new(&["https://nas.lan".into()], directory.path(), 825);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
