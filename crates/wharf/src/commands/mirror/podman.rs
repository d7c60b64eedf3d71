//! podman, CRI-O, buildah and skopeo put the mirror's name and path in the place of the registry's.

use std::collections::HashSet;

use config::Upstream;

use super::{Advice, MirrorAddress, Snippet, names_in_images};

const FILE: &str = "/etc/containers/registries.conf.d/50-wharf-mirror.conf";

pub(super) fn advise(upstreams: &[Upstream], mirror: &MirrorAddress) -> Advice {
    if !mirror.path.is_empty() {
        let note = format!(
            "podman: it asks for /v2/ at the root of a host, and not below {}; let the mirror be \
             reached there as well",
            mirror.path
        );
        return Advice { snippets: Vec::new(), notes: vec![note] };
    }
    let mut seen = HashSet::new();
    let mut blocks = Vec::new();
    for upstream in upstreams {
        let mut names = names_in_images(upstream, upstreams);
        if names.is_empty() {
            // The path leads to it, whatever it is called.
            names.extend(upstream.remote.registry());
        }
        // A registry may stand there once.
        names.retain(|name| seen.insert(name.clone()));
        blocks.extend(names.iter().map(|name| block(name, &upstream.prefix, mirror)));
    }
    let mut text = String::new();
    if mirror.is_https() {
        text += &format!(
            "# If the mirror's certificate is from an authority of your own, copy that to\n\
             # /etc/containers/certs.d/{}/ca.crt\n\n",
            mirror.authority
        );
    }
    text += &blocks.join("\n");
    Advice { snippets: vec![Snippet { file: FILE.to_owned(), text }], notes: Vec::new() }
}

fn block(name: &str, prefix: &str, mirror: &MirrorAddress) -> String {
    let slash = if prefix.is_empty() { "" } else { "/" };
    let insecure = if mirror.is_https() { "" } else { "insecure = true\n" };
    format!(
        "[[registry]]\nprefix = \"{name}\"\nlocation = \"{name}\"\n\n\
         [[registry.mirror]]\nlocation = \"{}{slash}{prefix}\"\n{insecure}",
        mirror.authority
    )
}
