//! `wharf backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use registry::RepositoryPattern;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a snapshot of a registry, which may be in use.
    ///
    /// Only what earlier snapshots do not have is copied. Exits with 0 if the snapshot has everything,
    /// with 1 if something is damaged or it could not be made, with 2 if it was not even begun. See
    /// docs/backup.md.
    Create(CreateArguments),
    /// List the snapshots of a backup.
    List {
        /// Where the backup is: a directory, or a configuration file whose storage holds it.
        #[arg(value_name = "BACKUP")]
        place: PathBuf,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read a backup and compare everything with its digest.
    ///
    /// Exits with 1 if something is missing or damaged.
    Verify(VerifyArguments),
    /// Put a snapshot back into a registry, of whatever storage driver.
    ///
    /// What is there already is not written again, so that a restore which was cut short goes on when
    /// it is started again. Exits with 1 if something could not be restored or tags were kept.
    Restore(RestoreArguments),
    /// Remove old snapshots, and the blobs that only they name.
    Prune(PruneArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The configuration of the registry; REGISTRY_* variables apply to it.
    pub(crate) config: PathBuf,
    /// Where the backup is kept: a directory, or a configuration file whose storage holds it.
    ///
    /// Of such a file only `storage` counts, and REGISTRY_* variables do not apply to it.
    #[arg(value_name = "BACKUP")]
    pub(crate) place: PathBuf,
    /// Take along the repositories that are mirrored (`proxy`), which can be fetched again.
    #[arg(long)]
    pub(crate) mirrored: bool,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Where the backup is: a directory, or a configuration file whose storage holds it.
    #[arg(value_name = "BACKUP")]
    pub(crate) place: PathBuf,
    /// Only this snapshot.
    #[arg(long, value_name = "TIME")]
    pub(crate) snapshot: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// Where the backup is: a directory, or a configuration file whose storage holds it.
    #[arg(value_name = "BACKUP")]
    pub(crate) place: PathBuf,
    /// The configuration of the registry; REGISTRY_* variables apply to it.
    pub(crate) config: PathBuf,
    /// Which snapshot; the newest unless told.
    #[arg(long, value_name = "TIME")]
    pub(crate) snapshot: Option<String>,
    /// Only repositories whose name fits: `*` is any text without a slash, `**` any text, `?` one
    /// character.
    #[arg(long, value_name = "GLOB")]
    pub(crate) repository: Option<RepositoryPattern>,
    /// Have tags that name something else at the registry name what they do in the snapshot.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only count what would be done.
    #[arg(short, long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    /// Where the backup is: a directory, or a configuration file whose storage holds it.
    #[arg(value_name = "BACKUP")]
    pub(crate) place: PathBuf,
    /// How many of the newest snapshots stay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Only count what would be removed.
    #[arg(short, long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the jobs have in common.
#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    /// How many things are read or copied at once.
    #[arg(
        long,
        value_name = "N",
        default_value_t = archive::limits::CONCURRENCY as u16,
        value_parser = clap::value_parser!(u16).range(1..=archive::limits::CONCURRENCY_MAX as i64)
    )]
    pub(crate) concurrency: u16,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
