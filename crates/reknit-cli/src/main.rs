//! The `reknit` command: a peer for the terminal.
//!
//! `reknit up` runs a peer and answers the other commands over a unix socket in its home directory; while none runs, a
//! command opens the store itself. What can be asked is in `calls`, how it is said in `args`, and how it ends in `exit`.
//! The command decides nothing about data: that is the business of the crate `reknit`.

mod args;
mod assignment;
mod calls;
mod client;
mod clock;
mod commands;
mod demo;
mod door;
mod exit;
mod graph;
mod home;
mod multicast;
mod output;
mod replay;
mod server;
mod table;
mod view;
mod write;

use args::Cli;
use clap::Parser;
use exit::{Exit, Failure};
use output::Output;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return misspelt(&refused),
    };
    log_to_stderr();
    let output = Output::new(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            eprintln!("the runtime does not start: {cause}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli, output)) {
        Ok(code) => code,
        Err(failure) if failure.exit == Exit::ReaderGone => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

/// A command line that cannot be read, or one that asks for help. Programs are told in JSON.
fn misspelt(refused: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if !refused.use_stderr() || !wants_json {
        refused.exit();
    }
    let failure = Failure::usage(refused.to_string().trim_end());
    Output::new(true).failure(&failure);
    failure.exit_code()
}

/// `REKNIT_LOG=reknit=debug` shows what goes on inside.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("REKNIT_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
