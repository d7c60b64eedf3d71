//! `wharf`: a container and OCI registry, in place of CNCF Distribution's `registry`.

mod aside;
mod assembly;
mod authentication;
mod background;
mod cli;
mod collecting;
mod commands;
mod descriptors;
mod encryption;
mod entrypoint;
mod evicting;
mod listening;
mod logging;
mod mirroring;
mod notifications;
mod options;
mod presence;
mod purging;
mod redirects;
mod remotes;
mod retention;
mod scrubbing;
mod shared_cache;
mod shutdown;
mod storage_driver;
mod syncing;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{
    CertCommand, Cli, Command, ConfigCommand, HtpasswdCommand, MirrorCommand, ReadonlyCommand,
    RepoCommand, StorageCommand, SyncCommand,
};

/// Receive buffers are freed by other threads than those that allocated them, which glibc's
/// allocator answers with memory that grows under many pushes and stays afterwards. See "Memory"
/// in `docs/performance.md` for what was measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::parse_from(entrypoint::arguments(std::env::args_os())).command {
        Command::Serve { config } => commands::serve::run(config.as_deref()),
        Command::Config { command: ConfigCommand::Check { config, files } } => {
            commands::config::check(config.as_deref(), files)
        }
        Command::Config { command: ConfigCommand::Print { config } } => {
            commands::config::print(config.as_deref())
        }
        Command::Htpasswd { command } => match command {
            HtpasswdCommand::Add { file, user, cost } => {
                commands::htpasswd::add(&file, &user, cost)
            }
            HtpasswdCommand::Remove { file, user } => commands::htpasswd::remove(&file, &user),
            HtpasswdCommand::List { file } => commands::htpasswd::list(&file),
            HtpasswdCommand::Verify { file, user } => commands::htpasswd::verify(&file, &user),
        },
        Command::Cert { command: CertCommand::New { hosts, out, days } } => {
            commands::cert::new(&hosts, &out, days)
        }
        Command::Storage { command: StorageCommand::Copy(arguments) } => {
            commands::storage_copy::run(&arguments)
        }
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Backup { command } => commands::backup::run(&command),
        Command::Export(arguments) => commands::images::run_export(&arguments),
        Command::Import(arguments) => commands::images::run_import(&arguments),
        Command::Repo { command: RepoCommand::Delete { name, config, dry_run } } => {
            commands::repo::delete(&name, config.file.as_deref(), dry_run)
        }
        Command::Readonly { command } => match command {
            ReadonlyCommand::On { reason, config } => {
                commands::readonly::on(&reason, config.file.as_deref())
            }
            ReadonlyCommand::Off { config } => commands::readonly::off(config.file.as_deref()),
            ReadonlyCommand::Status { config } => {
                commands::readonly::status(config.file.as_deref())
            }
        },
        Command::Mirror { command } => match command {
            MirrorCommand::Config(arguments) => commands::mirror::config(&arguments),
            MirrorCommand::Evict(arguments) => commands::evict::run(&arguments),
        },
        Command::Sync { command } => match command {
            SyncCommand::Run(arguments) => commands::sync::run(&arguments),
            SyncCommand::Status(arguments) => commands::sync::status(&arguments),
        },
        Command::Healthcheck { url } => commands::healthcheck::run(url.as_deref()),
        Command::GarbageCollect(arguments) => commands::garbage_collect::run(&arguments),
    }
}
