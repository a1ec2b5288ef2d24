//! One file for each command: what it asks the peer, and how it shows the answer.

mod data;
mod doctor;
mod edit;
mod init;
mod log;
mod ls;
mod query;
mod schema;
mod spaces;
mod status;
mod sync;
mod transfer;
mod up;
mod watch;

use crate::args::{Cli, Command, Global, SpaceCommand};
use crate::calls::Call;
use crate::demo;
use crate::door::Door;
use crate::exit::Failure;
use crate::home::{Home, Reach};
use crate::output::{Output, print};
use crate::replay;
use clap::CommandFactory;
use std::process::ExitCode;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) space: Option<String>,
    pub(crate) output: Output,
}

impl Context {
    fn new(global: Global, output: Output) -> Result<Self, Failure> {
        Ok(Self { home: Home::find(global.home)?, space: global.space, output })
    }

    /// Opens the way to the peer, uses it, and closes it again whatever happens.
    async fn with<R>(
        &self,
        reach: Reach,
        work: impl AsyncFnOnce(&Door) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let door = Door::open(&self.home, reach).await?;
        let result = work(&door).await;
        let closed = door.close().await;
        result.and_then(|result| closed.map(|()| result))
    }

    /// Asks the peer one question.
    async fn ask<C: Call>(&self, call: C) -> Result<C::Reply, Failure> {
        self.with(Reach::Offline, async |door| door.call(call).await).await
    }
}

/// Runs a command.
pub(crate) async fn run(cli: Cli, output: Output) -> Result<ExitCode, Failure> {
    let context = Context::new(cli.global, output)?;
    match cli.command {
        Command::Init(args) => init::run(&context, args).await,
        Command::Up(args) => up::run(&context, args).await,
        Command::Space { command: SpaceCommand::New { name } } => spaces::new(&context, name).await,
        Command::Space { command: SpaceCommand::List } => spaces::list(&context).await,
        Command::Space { command: SpaceCommand::Info } => spaces::info(&context).await,
        Command::Space { command: SpaceCommand::Leave } => spaces::leave(&context).await,
        Command::Invite(args) => spaces::invite(&context, args).await,
        Command::Join(args) => spaces::join(&context, args).await,
        Command::Put(args) => data::put(&context, args).await,
        Command::Get(args) => data::get(&context, args).await,
        Command::Edit(args) => edit::run(&context, args).await,
        Command::Rm(args) => data::remove(&context, args).await,
        Command::Restore(args) => data::restore(&context, args).await,
        Command::Ls(args) => ls::run(&context, args).await,
        Command::Schema(args) => schema::run(&context, args).await,
        Command::Query(args) => query::run(&context, args).await,
        Command::Log(args) => log::run(&context, args).await,
        Command::Watch(args) => watch::run(&context, args).await,
        Command::Status => status::status(&context).await,
        Command::Why => status::why(&context).await,
        Command::Sync(args) => sync::run(&context, args).await,
        Command::Import(args) => transfer::import(&context, args).await,
        Command::Export(args) => transfer::export(&context, args).await,
        Command::Doctor => return doctor::run(&context).await,
        Command::Demo(args) => return demo::run(output, args).await,
        Command::Replay(args) => return replay::run(output, args).await,
        Command::Completions { shell } => completions(context.output, shell),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn completions(output: Output, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reknit", &mut script);
    if output.is_json() {
        let script = String::from_utf8_lossy(&script);
        return output.json_line(&serde_json::json!({ "shell": shell.to_string(), "script": script }));
    }
    print(&script)
}
