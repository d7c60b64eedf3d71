//! `wharf mirror`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::commands::mirror::MirrorAddress;

#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Print what clients need in their configuration to pull through the mirror.
    ///
    /// Each piece says which file it belongs in; what a client can't be told is on standard error.
    /// Exits with 1 if there is nothing to print. See docs/mirror.md.
    Config(MirrorArguments),
    /// Evict now what is cached for too long, or more than there is room for.
    ///
    /// Servers do it by themselves every few minutes. See docs/mirror.md.
    Evict(EvictArguments),
}

#[derive(Debug, Args)]
pub(crate) struct EvictArguments {
    /// The configuration file; found as for `serve` when left out.
    pub(crate) config: Option<PathBuf>,
    /// Only say what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print a report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorArguments {
    /// The configuration file; found as for `serve` when left out.
    pub(crate) config: Option<PathBuf>,
    /// For which client.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) client: Client,
    /// Where clients reach this registry.
    ///
    /// Without it `http.host`, or the name of this machine and the port of `http.addr`.
    #[arg(long, value_name = "https://HOST[:PORT]")]
    pub(crate) address: Option<MirrorAddress>,
}

/// Whose configuration is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// containerd, nerdctl, and Kubernetes on it.
    Containerd,
    /// podman, CRI-O, buildah and skopeo.
    Podman,
    /// docker, which has mirrors of Docker Hub alone.
    Docker,
    /// All of them.
    #[default]
    All,
}
