//! `wharf mirror config`: what clients need in their configuration to pull through the mirror.

mod address;
mod containerd;
mod docker;
mod podman;

use std::process::ExitCode;

use config::Upstream;

use super::{configuration, refuse, say, say_error};
use crate::cli::{Client, MirrorArguments};

pub(crate) use self::address::MirrorAddress;

/// The name that images of Docker Hub have.
const DOCKER_HUB: &str = "docker.io";

/// What a client is told: pieces of its configuration, and what it can't be told.
#[derive(Debug, Default)]
struct Advice {
    snippets: Vec<Snippet>,
    /// A line each, for standard error.
    notes: Vec<String>,
}

/// A piece of a client's configuration.
#[derive(Debug)]
struct Snippet {
    file: String,
    text: String,
}

/// Prints the pieces for the clients that are asked for.
pub(crate) fn config(arguments: &MirrorArguments) -> ExitCode {
    let Some(config) = configuration(arguments.config.as_deref()) else {
        return ExitCode::FAILURE;
    };
    let upstreams = &config.proxy.upstreams;
    if upstreams.is_empty() {
        return refuse("no mirror is configured: set proxy.remoteurl or proxy.upstreams");
    }
    let given = arguments.address.clone().map(Ok);
    let address = match given.unwrap_or_else(|| MirrorAddress::of_config(&config.http)) {
        Ok(address) => address,
        Err(reason) => return refuse(reason),
    };
    let mut pieces = Vec::new();
    for advise in advisers(arguments.client) {
        let advice = advise(upstreams, &address);
        advice.notes.iter().for_each(say_error);
        let shown = |snippet: Snippet| format!("# {}\n{}", snippet.file, snippet.text);
        pieces.extend(advice.snippets.into_iter().map(shown));
    }
    say(&pieces.join("\n"));
    if pieces.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

type Adviser = fn(&[Upstream], &MirrorAddress) -> Advice;

fn advisers(client: Client) -> &'static [Adviser] {
    match client {
        Client::Containerd => &[containerd::advise],
        Client::Podman => &[podman::advise],
        Client::Docker => &[docker::advise],
        Client::All => &[containerd::advise, podman::advise, docker::advise],
    }
}

/// The host names in images that mean an upstream. Of Docker Hub's names images have only the first.
fn names_in_images(upstream: &Upstream, upstreams: &[Upstream]) -> Vec<String> {
    let is_any = upstream.prefix.is_empty() && upstreams.len() == 1;
    let names = match upstream.ns.is_empty() && is_any {
        true => upstream.remote.registry().into_iter().collect(),
        false => upstream.ns.clone(),
    };
    let has_hub = names.iter().any(|name| name == DOCKER_HUB);
    let is_alias = |name: &String| has_hub && name.ends_with(".docker.io");
    names.into_iter().filter(|name| !is_alias(name)).collect()
}
