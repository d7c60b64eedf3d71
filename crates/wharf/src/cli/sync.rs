//! `wharf sync`.

use clap::{Args, Subcommand};

use super::ConfigArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Run jobs now: copy what their targets lack.
    ///
    /// Beside servers, too; one process works on a job at a time, and one that was cut short is gone
    /// on with by the next. Exits with 0 if everything was copied, with 1 if something could not be,
    /// with 2 if it was not even begun. See docs/sync.md.
    Run(SyncRunArguments),
    /// Show how jobs stand: their last runs, what is queued, what was given up and why.
    ///
    /// Exits with 1 if something was given up, with 2 if it can't be seen.
    Status(SyncStatusArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SyncRunArguments {
    /// The job; all of them, one after the other, when left out.
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
    /// Only say what would be copied.
    #[arg(short, long)]
    pub(crate) dry_run: bool,
    /// Print the reports as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SyncStatusArguments {
    /// The job; all of them when left out.
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
