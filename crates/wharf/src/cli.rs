//! The command line. Its verbs are those of Distribution's `registry`, and wharf's own.

mod backup;
mod image;
mod mirror;
mod sync;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::sync::{SyncCommand, SyncRunArguments, SyncStatusArguments};
pub(crate) use backup::{
    BackupCommand, CreateArguments, PruneArguments, RestoreArguments, VerifyArguments,
};
pub(crate) use image::{ExportArguments, ExportFormat, ImportArguments};
pub(crate) use mirror::{Client, EvictArguments, MirrorArguments, MirrorCommand};

/// A container and OCI registry, in place of CNCF Distribution's `registry`.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, disable_version_flag = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print the version.
    #[arg(short = 'v', visible_short_alias = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the registry.
    ///
    /// Without a file: the one that REGISTRY_CONFIGURATION_PATH names, then
    /// /etc/distribution/config.yml, then /etc/docker/registry/config.yml; with none of them,
    /// port 5000 with the data in ./wharf-data. REGISTRY_* variables apply in every case.
    Serve {
        /// The configuration file.
        config: Option<PathBuf>,
    },
    /// Look at a configuration without running it.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Manage the users of an htpasswd file.
    ///
    /// A password is asked for, or read from the first line of standard input; never an argument.
    Htpasswd {
        #[command(subcommand)]
        command: HtpasswdCommand,
    },
    /// Make certificates.
    Cert {
        #[command(subcommand)]
        command: CertCommand,
    },
    /// Work on the storage itself.
    Storage {
        #[command(subcommand)]
        command: StorageCommand,
    },
    /// Check the storage: digests, links, sizes, what nothing leads to; mend it with --repair.
    ///
    /// The server may be running. Exits with 0 if everything is whole, or all of it was mended, with
    /// 1 if errors remain, with 2 if it was not even begun. See docs/check.md.
    Check(CheckArguments),
    /// Back a registry up, and put it back.
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
    },
    /// Write an image to a file or directory.
    ///
    /// Everything is compared with its digest. Exits with 1 if it can't be written, with 2 if the
    /// arguments make no sense. See docs/backup.md.
    Export(ExportArguments),
    /// Push an image out of a file or directory.
    ///
    /// Reads OCI image layouts and what docker save writes. Everything that holds for a push holds for
    /// it. Exits with 1 if it can't be pushed, with 2 if the arguments make no sense.
    Import(ImportArguments),
    /// Manage the repositories on the storage, also beside a running server.
    Repo {
        #[command(subcommand)]
        command: RepoCommand,
    },
    /// Keep every server on the storage from writing, for as long as it is wanted.
    ///
    /// Running servers notice within five seconds. Pulls go on; what would change something gets
    /// 405 with the reason. See docs/deleting.md.
    Readonly {
        #[command(subcommand)]
        command: ReadonlyCommand,
    },
    /// The mirror of other registries: set clients up for it, and take out of it what is too much.
    Mirror {
        #[command(subcommand)]
        command: MirrorCommand,
    },
    /// Jobs that copy repositories from and to other registries: run them, and see how they stand.
    Sync {
        #[command(subcommand)]
        command: SyncCommand,
    },
    /// Ask the running server whether it is well; for containers.
    ///
    /// Exits with 0 if it is. The server is found by the same configuration as for `serve`.
    Healthcheck {
        /// What to ask instead, such as http://127.0.0.1:5000/readyz.
        url: Option<String>,
    },
    /// Remove what nothing refers to, while the registry goes on.
    ///
    /// Safe beside running servers: what a push relies on stays. Exits with 0 when it came to its end,
    /// also if something could not be read and its repository was kept for that; with 1 otherwise.
    /// See docs/garbage-collection.md.
    GarbageCollect(CollectArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration, with the REGISTRY_* variables that are set.
    ///
    /// Exits with 1 if it can't be used.
    Check {
        /// The configuration file; found as for `serve` when left out.
        config: Option<PathBuf>,
        /// Look also at the files and directories it points at.
        #[arg(long)]
        files: bool,
    },
    /// Print the effective configuration, secrets masked.
    Print {
        /// The configuration file; found as for `serve` when left out.
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HtpasswdCommand {
    /// Add a user, or give one a new password.
    Add {
        /// The file; made if it is not there.
        file: PathBuf,
        /// The user.
        user: String,
        /// Cost of the bcrypt hash: each step doubles the work of a login.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(4..=16))]
        cost: u32,
    },
    /// Remove a user.
    Remove {
        /// The file.
        file: PathBuf,
        /// The user.
        user: String,
    },
    /// List the users and how their passwords are kept.
    List {
        /// The file.
        file: PathBuf,
    },
    /// Check a password. Exits with 1 if it is wrong.
    Verify {
        /// The file.
        file: PathBuf,
        /// The user.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Make a server certificate, and a local authority that signs it.
    ///
    /// Prints what to copy where, so that docker, containerd and podman trust it.
    New {
        /// Names and addresses of the server, as clients call it: nas.lan, 192.168.1.10.
        #[arg(required = true)]
        hosts: Vec<String>,
        /// Directory for the files.
        #[arg(long, default_value = "certs")]
        out: PathBuf,
        /// Days until the server certificate expires.
        #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Copy a registry to another storage, of the same kind or of another one.
    ///
    /// The target is whole at any time, and a copy that was cut short goes on when it is started
    /// again. The source may be in use; nothing is written to it. Exits with 0 if everything was
    /// copied, with 1 if something could not be, with 2 if it was not even begun. See
    /// docs/storage-copy.md.
    Copy(CopyArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Delete a repository: its tags, manifests, links to blobs and unfinished uploads.
    ///
    /// Repositories below it stay, as do the blobs, until they are collected. Exits with 1 if it
    /// could not be deleted, or is not there.
    Delete {
        /// The repository, such as library/alpine.
        name: String,
        #[command(flatten)]
        config: ConfigArgument,
        /// Only say what would be deleted.
        #[arg(short, long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReadonlyCommand {
    /// Switch to read-only mode.
    On {
        /// What clients that want to write are told.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// End read-only mode.
    Off {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Say which it is.
    Status {
        #[command(flatten)]
        config: ConfigArgument,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgument {
    /// The configuration file; found as for `serve` when left out.
    #[arg(long = "config", value_name = "CONFIG")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArguments {
    /// The configuration whose storage is copied.
    ///
    /// Of either file only `storage` counts, and REGISTRY_* variables do not apply: they would be
    /// meant for both.
    #[arg(value_name = "FROM-CONFIG")]
    pub(crate) from: PathBuf,
    /// The configuration whose storage it is copied to.
    #[arg(value_name = "TO-CONFIG")]
    pub(crate) to: PathBuf,
    /// Only count what would be copied.
    #[arg(short, long)]
    pub(crate) dry_run: bool,
    /// Read what the target has already, and copy it again if it is damaged.
    #[arg(long)]
    pub(crate) verify: bool,
    /// In the end, remove tags, manifests and layers that the source does not have any more.
    ///
    /// Only in repositories that the source has.
    #[arg(long)]
    pub(crate) delete: bool,
    /// How many passes are made at most until one finds nothing new.
    #[arg(
        long,
        value_name = "N",
        default_value_t = registry::limits::TRANSFER_PASSES,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) passes: u32,
    /// How many things are copied at once.
    #[arg(
        long,
        value_name = "N",
        default_value_t = registry::limits::TRANSFER_CONCURRENCY as u16,
        value_parser = clap::value_parser!(u16)
            .range(1..=registry::limits::TRANSFER_CONCURRENCY_MAX as i64)
    )]
    pub(crate) concurrency: u16,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CollectArguments {
    /// The configuration file; found as for `serve` when left out.
    pub(crate) config: Option<PathBuf>,
    /// Only say what would be removed, and why.
    #[arg(short, long, value_parser = clap::builder::BoolishValueParser::new(),
        num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub(crate) dry_run: bool,
    /// Remove manifests, too, that have no tag and are no part of a tagged one.
    #[arg(short = 'm', long, value_parser = clap::builder::BoolishValueParser::new(),
        num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub(crate) delete_untagged: bool,
    /// Say only what could not be done.
    #[arg(short, long, value_parser = clap::builder::BoolishValueParser::new(),
        num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub(crate) quiet: bool,
    /// Leave alone what is younger, such as 1h or 90s. Without it, `storage.maintenance.gc.grace` if
    /// a server uses the storage, and otherwise nothing is too young.
    #[arg(long, value_name = "AGE", value_parser = config::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Take nothing out of other repositories: * is any text without a slash, ** any text. Blobs that
    /// no repository has go in any case.
    #[arg(long, value_name = "GLOB")]
    pub(crate) repository: Option<registry::RepositoryPattern>,
    /// How many operations on the storage are made in a second at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Say also which tags the rules of `retention` keep, and why.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration file; found as for `serve` when left out. Only `storage` counts.
    pub(crate) config: Option<PathBuf>,
    /// Mend what can be mended. Nothing is deleted: what can't be is moved to a quarantine.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Don't read blobs; only manifests, and blobs of another size than a manifest says.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these repositories, and their blobs: * is any text without a slash, ** any text.
    #[arg(long, value_name = "GLOB")]
    pub(crate) repository: Option<registry::RepositoryPattern>,
    /// How much is read in a second at most: bytes, or with KiB, MiB, GiB behind it.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) rate: Option<NonZeroU64>,
    /// How many things are looked at at once.
    #[arg(
        long,
        value_name = "N",
        default_value_t = registry::limits::CHECK_CONCURRENCY as u16,
        value_parser = clap::value_parser!(u16)
            .range(1..=registry::limits::CHECK_CONCURRENCY_MAX as i64)
    )]
    pub(crate) concurrency: u16,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A number of bytes, such as `10485760` or `10MiB`.
fn bytes(text: &str) -> Result<NonZeroU64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit {
        "" | "B" => Some(1),
        "K" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(1 << 20),
        "G" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    number
        .and_then(NonZeroU64::new)
        .ok_or_else(|| "write a number of bytes such as 10485760 or 10MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn distribution_s_forms_are_understood_and_unknown_ones_are_not() {
        for (line, good) in [
            ("wharf serve", true),
            ("wharf serve /etc/docker/registry/config.yml", true),
            ("wharf garbage-collect -d -m -q config.yml", true),
            ("wharf garbage-collect --dry-run --delete-untagged=true config.yml", true),
            ("wharf garbage-collect --older-than 1h30m --repository a/** --json", true),
            ("wharf garbage-collect --dry-run --explain config.yml", true),
            ("wharf garbage-collect --older-than soon", false),
            ("wharf config check --files config.yml", true),
            ("wharf config print", true),
            ("wharf storage copy a.yml b.yml --passes 1 --concurrency 64 --json", true),
            ("wharf storage copy a.yml", false),
            ("wharf storage copy a.yml b.yml --passes 0", false),
            ("wharf storage copy a.yml b.yml --concurrency 65", false),
            ("wharf mirror config", true),
            ("wharf mirror config config.yml --client podman --address https://nas.lan:5000", true),
            ("wharf mirror config --client crane", false),
            ("wharf mirror config --address nas.lan:5000", false),
            ("wharf mirror evict --dry-run --json config.yml", true),
            ("wharf mirror", false),
            ("wharf sync run", true),
            ("wharf sync run to-edge --dry-run --json --config config.yml", true),
            ("wharf sync run a b", false),
            ("wharf sync status to-edge --json --config config.yml", true),
            ("wharf sync status --dry-run", false),
            ("wharf sync", false),
            ("wharf check", true),
            ("wharf check --repair --quick --repository a/** --rate 10MiB --json config.yml", true),
            ("wharf check --rate 0", false),
            ("wharf check --rate 10MB", false),
            ("wharf check --rate 99999999999GiB", false),
            ("wharf check --repository A", false),
            ("wharf check --concurrency 0", false),
            ("wharf export config.yml app:1 -o app.tar --format docker-archive", true),
            ("wharf export config.yml app:1 -o app --platform linux/arm/v7", true),
            ("wharf export config.yml app:1 -o app --platform linux", false),
            ("wharf export config.yml app:1", false),
            ("wharf import config.yml - app:1 --image old:1 --json", true),
            ("wharf import config.yml app.tar", false),
            ("wharf backup create config.yml /backup --json --concurrency 2", true),
            ("wharf backup create config.yml", false),
            ("wharf backup verify /backup --snapshot 20260131T235959Z", true),
            ("wharf backup restore /backup config.yml --repository team/* --overwrite -d", true),
            ("wharf backup prune /backup --keep 3", true),
            ("wharf backup prune /backup --keep 0", false),
            ("wharf backup prune /backup", false),
            ("wharf repo delete a/b --config config.yml --dry-run", true),
            ("wharf repo delete", false),
            ("wharf readonly on --reason backup --config config.yml", true),
            ("wharf readonly off", true),
            ("wharf readonly", false),
            ("wharf", false),
            ("wharf sevre", false),
            ("wharf serve --port 1", false),
            ("wharf config", false),
            ("wharf serve a b", false),
        ] {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
        }
    }
}
