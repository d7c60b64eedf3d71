//! `wharf`: a container and OCI registry, in place of CNCF Distribution's `registry`.

mod cli;
mod commands;
mod logging;
mod options;
mod purging;
mod shutdown;
mod storage_driver;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command, ConfigCommand};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { config } => commands::serve::run(config.as_deref()),
        Command::Config { command: ConfigCommand::Check { config, files } } => {
            commands::config::check(config.as_deref(), files)
        }
        Command::Config { command: ConfigCommand::Print { config } } => {
            commands::config::print(config.as_deref())
        }
        Command::GarbageCollect { .. } => commands::refuse(
            "garbage-collect is not built yet. Until it is, stop wharf, run Distribution's \
             `registry garbage-collect CONFIG` on the volume, and start wharf again: the layout \
             is the same",
        ),
    }
}
