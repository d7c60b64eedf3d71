//! docker asks mirrors for images of Docker Hub alone, by their names there, and does not say whose
//! they are.

use config::Upstream;

use super::{Advice, DOCKER_HUB, MirrorAddress, Snippet};

const FILE: &str = "/etc/docker/daemon.json";

pub(super) fn advise(upstreams: &[Upstream], mirror: &MirrorAddress) -> Advice {
    let mut advice = Advice::default();
    let Some(upstream) = upstreams.iter().find(|upstream| upstream.prefix.is_empty()) else {
        let note = "docker: a mirror is asked for images of Docker Hub alone, by names without a \
                    prefix, and no upstream has an empty one; leave `prefix` out at that of \
                    docker.io, or set proxy.remoteurl to https://registry-1.docker.io";
        advice.notes.push(note.to_owned());
        return advice;
    };
    if !mirror.path.is_empty() {
        let note = "docker: a mirror may have no path; let it be reached without one as well";
        advice.notes.push(note.to_owned());
        return advice;
    }
    let is_hub = upstream.remote.registry().as_deref() == Some(DOCKER_HUB)
        || upstream.ns.iter().any(|name| name == DOCKER_HUB);
    if !is_hub && (upstreams.len() > 1 || !upstream.ns.is_empty()) {
        let note = format!(
            "docker: a mirror is asked for images of Docker Hub alone, and the upstream without a \
             prefix is `{}`; pull its images by the mirror's own name",
            upstream.name
        );
        advice.notes.push(note);
        return advice;
    }
    if !is_hub {
        let note = format!(
            "docker: a mirror is asked for images of Docker Hub alone; does `{}` have them?",
            upstream.name
        );
        advice.notes.push(note);
    }
    if mirror.is_https() {
        let note = format!(
            "docker: if the mirror's certificate is from an authority of your own, copy that to \
             /etc/docker/certs.d/{}/ca.crt",
            mirror.authority
        );
        advice.notes.push(note);
    }
    let text = format!("{{\n  \"registry-mirrors\": [\"{mirror}\"]\n}}\n");
    let file = format!("{FILE} (JSON has no comments: without this line)");
    advice.snippets.push(Snippet { file, text });
    advice
}
