//! containerd asks for every registry in a file of its own, and tells the mirror by `?ns=` which one
//! is meant.

use config::Upstream;

use super::{Advice, DOCKER_HUB, MirrorAddress, Snippet, names_in_images};

pub(super) fn advise(upstreams: &[Upstream], mirror: &MirrorAddress) -> Advice {
    let mut advice = Advice::default();
    for upstream in upstreams {
        let names = names_in_images(upstream, upstreams);
        if names.is_empty() {
            advice.notes.push(format!(
                "containerd: no `ns` means the upstream `{}`, so that containerd can't be led to it; \
                 give it one, or pull by its path here",
                upstream.name
            ));
        }
        for name in names {
            let file = format!("/etc/containerd/certs.d/{name}/hosts.toml");
            advice.snippets.push(Snippet { file, text: hosts(&name, upstream, mirror) });
        }
    }
    advice
}

/// `hosts.toml`: the mirror first, the registry itself when the mirror is away.
fn hosts(name: &str, upstream: &Upstream, mirror: &MirrorAddress) -> String {
    let server = match name {
        DOCKER_HUB => "https://registry-1.docker.io".to_owned(),
        _ => own_url(name, upstream).unwrap_or_else(|| format!("https://{name}")),
    };
    // Below a path containerd asks where it is told to, and not under /v2/.
    let (host, path) = match mirror.path.as_str() {
        "" => (mirror.to_string(), ""),
        _ => (format!("{mirror}/v2"), "  override_path = true\n"),
    };
    let mut text = format!(
        "server = \"{server}\"\n\n[host.\"{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{path}"
    );
    if mirror.is_https() {
        text += &format!(
            "  # If the mirror's certificate is from an authority of your own:\n  \
             # ca = \"/etc/containerd/certs.d/{name}/mirror-ca.crt\"\n"
        );
    }
    text
}

/// The upstream's URL, if it is that of the registry which has this name.
fn own_url(name: &str, upstream: &Upstream) -> Option<String> {
    let urls = upstream.remote.urls.iter();
    let mut hosts = urls.filter(|url| url.split_once("://").is_some_and(|(_, host)| host == name));
    hosts.next().cloned()
}
