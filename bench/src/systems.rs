//! One small trait, and one file for each system that is measured.

use std::{future::Future, net::IpAddr, path::PathBuf, sync::Arc};

use anyhow::{Result, bail};

use crate::{
    checker::Checker,
    work::{Edit, Splice},
};

#[cfg(feature = "ankurah")]
mod ankurah;
#[cfg(feature = "iroh-docs")]
mod iroh_docs;
#[cfg(feature = "reknit")]
mod reknit;
#[cfg(feature = "samod")]
mod samod;

/// How one side is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where its data lives: empty, or what an earlier process left.
    pub(crate) dir: PathBuf,
    /// The address to listen on, at a port of the system's choice.
    pub(crate) ip: IpAddr,
    pub(crate) role: Role,
    /// Whether the subscription feeds the checker.
    pub(crate) watch: bool,
    pub(crate) checker: Arc<Checker>,
}

/// Where a system has a hub and clients, A is the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    A,
    B,
}

/// One side of one system, as an app would use it: its own defaults, storage on disk, no tuning but the tuning
/// that its documentation asks for.
pub(crate) trait System: Sized + Send + Sync + 'static {
    fn open(options: Options) -> impl Future<Output = Result<Self>> + Send;

    /// Applies one local edit, creating the entity with its first; returns when the system says it is done.
    fn apply(&self, edit: &Edit) -> impl Future<Output = Result<()>> + Send;

    /// The value of a field now, from this side alone.
    fn read(&self, entity: u32, field: u8) -> impl Future<Output = Result<Option<String>>> + Send;

    /// All that the other side needs in order to join: one line.
    fn invite(&self) -> impl Future<Output = Result<String>> + Send;

    /// Connects, or connects again; returns when the system says it is connected, or at once if it cannot say.
    fn connect(&self, invite: &str) -> impl Future<Output = Result<()>> + Send;

    fn disconnect(&self) -> impl Future<Output = Result<()>> + Send;

    /// Waits until the system knows that both sides are equal, from a word it got since `connect` was called (B) or
    /// since this was called (A, before B connects). `false`: it has no such answer.
    fn known_equal(&self) -> impl Future<Output = Result<bool>> + Send;

    /// A name for an entity that a fresh process can read it by: one line.
    fn locate(&self, entity: u32) -> impl Future<Output = Result<String>> + Send;

    fn read_located(&self, locator: &str, field: u8) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Commits one edit of a text. `false`: there is no text type.
    fn splice(&self, edit: &[Splice]) -> impl Future<Output = Result<bool>> + Send;

    /// Waits until every splice is acknowledged, where `splice` returns before that.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    fn text(&self) -> impl Future<Output = Result<String>> + Send;

    /// Closes; when it returns, everything is stored as well as the system ever stores it.
    fn stop(self) -> impl Future<Output = Result<()>> + Send;
}

/// A system's name and the release that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) id: &'static str,
    pub(crate) package: &'static str,
    /// How it was set up, for the reader of the table.
    pub(crate) setup: &'static str,
}

/// The systems in this binary, Reknit first.
pub(crate) const NAMES: &[Name] = &[
    #[cfg(feature = "reknit")]
    reknit::NAME,
    #[cfg(feature = "samod")]
    samod::NAME,
    #[cfg(feature = "iroh-docs")]
    iroh_docs::NAME,
    #[cfg(feature = "ankurah")]
    ankurah::NAME,
];

/// Runs the child process of the named system.
pub(crate) async fn run_child(system: &str, child: crate::child::Child) -> Result<()> {
    match system {
        #[cfg(feature = "reknit")]
        "reknit" => child.run::<reknit::Reknit>().await,
        #[cfg(feature = "samod")]
        "samod" => child.run::<samod::Samod>().await,
        #[cfg(feature = "iroh-docs")]
        "iroh-docs" => child.run::<iroh_docs::IrohDocs>().await,
        #[cfg(feature = "ankurah")]
        "ankurah" => child.run::<ankurah::Ankurah>().await,
        other => bail!("{other} is not compiled in"),
    }
}
