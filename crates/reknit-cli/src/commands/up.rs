//! `reknit up`

use super::Context;
use crate::args::UpArgs;
use crate::calls::{Call, Follow, Happenings, Host, Status};
use crate::client::{Client, Reached};
use crate::clock::{now_ms, time_of_day};
use crate::exit::{Exit, Failure};
use crate::home::{Reach, Start};
use crate::output::Output;
use crate::server::Server;
use crate::table::flat;
use crate::view::{HappeningView, SpaceView, StatusView};
use futures::{Stream, StreamExt};
use indicatif::ProgressBar;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub(super) async fn run(context: &Context, args: UpArgs) -> Result<(), Failure> {
    let home = &context.home;
    home.must_exist()?;
    refuse_second(context).await?;
    let journal = args.journal();
    let mut config = home.config()?;
    if !args.listen.is_empty() {
        config.listen = args.listen;
    }
    config.bootstrap.extend(args.bootstrap);
    let mut start = Start::new(config, Reach::Online);
    start.mdns = !args.no_mdns;
    start.durability = args.durability.into();
    start.clock_offset_ms = args.clock_offset_ms;
    start.journal = journal;
    let peer = home.start(&start).await?;
    let host = Arc::new(Host::new(peer.clone(), home.store()));
    let happenings = Box::pin(Happenings {}.follow(&host)?);
    let (stop, stopped) = watch::channel(false);
    let served = match Server::bind(home) {
        Ok(server) => run_until_stopped(context.output, server, &host, happenings, (&stop, stopped)).await,
        Err(failure) => Err(failure),
    };
    // What ended the peer says more than that it did.
    peer.shutdown().await?;
    served
}

async fn refuse_second(context: &Context) -> Result<(), Failure> {
    let Reached::Peer(client) = Client::reach(&context.home).await? else { return Ok(()) };
    let hello = client.hello().await?;
    let dir = context.home.dir().display();
    let message = format!("a peer of {dir} is running already: process {}", hello.process);
    Err(Failure::new(Exit::StoreInUse, message))
}

async fn run_until_stopped(
    output: Output,
    server: Server,
    host: &Arc<Host>,
    happenings: impl Stream<Item = HappeningView> + Unpin,
    (stop, stopped): (&watch::Sender<bool>, watch::Receiver<bool>),
) -> Result<(), Failure> {
    let mut serving = tokio::spawn(server.serve(Arc::clone(host), stopped));
    let told = tokio::select! {
        told = tell(output, host, happenings) => told,
        ended = &mut serving => return flatten(ended),
        asked = until_asked(host) => asked,
    };
    // Nobody listens any more only if serving has ended, and then it need not be told.
    let _ = stop.send(true);
    match tokio::time::timeout(STOP_TIMEOUT, serving).await {
        Ok(ended) => flatten(ended)?,
        Err(_) => tracing::warn!("a command was still being answered"),
    }
    told
}

fn flatten(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|cause| Err(Failure::while_doing("serving the socket", cause)))
}

/// Returns when the user, the system or a command ends the peer.
async fn until_asked(host: &Host) -> Result<(), Failure> {
    let failed = |cause| Failure::while_doing("listening for signals", cause);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
        () = host.stop().notified() => Ok(()),
    }
}

/// Tells what happens until nothing can happen any more.
async fn tell(
    output: Output,
    host: &Host,
    mut happenings: impl Stream<Item = HappeningView> + Unpin,
) -> Result<(), Failure> {
    let line = if output.is_live() { output.spinner("") } else { ProgressBar::hidden() };
    let name = host.peer().device_name();
    let mut teller = Teller { output, line, heard: true };
    teller.say(&HappeningView::own("up", format!("{name} is up")));
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            happening = happenings.next() => match happening {
                Some(happening) => teller.say(&happening),
                None => return Err(Failure::error("the peer has stopped: `reknit doctor` may say why")),
            },
            _ = looks.tick(), if output.is_live() => {
                let status = Status {}.execute(host).await?;
                teller.line.set_message(summary(&status));
            }
        }
    }
}

/// Says what happens, as long as somebody listens.
struct Teller {
    output: Output,
    line: ProgressBar,
    heard: bool,
}

impl Teller {
    /// Others rely on the peer, whether anybody reads what it prints or not: it goes on without.
    fn say(&mut self, happening: &HappeningView) {
        if !self.heard {
            return;
        }
        match self.try_say(happening) {
            Err(failure) if failure.exit == Exit::ReaderGone => self.heard = false,
            Err(failure) => {
                self.heard = false;
                self.output.warn(format_args!("{failure}: the peer goes on in silence"));
            }
            Ok(()) => {}
        }
    }

    fn try_say(&self, happening: &HappeningView) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.json_line(happening);
        }
        let text = format!("{}  {}", time_of_day(now_ms()), flat(&happening.text));
        if self.output.is_live() {
            self.line.println(text);
            return Ok(());
        }
        self.output.result(&(), |page| page.line(text))
    }
}

/// Peers, spaces and lag in one line.
fn summary(status: &StatusView) -> String {
    let connected = status.peers.len();
    let lags: Vec<_> = status.spaces.iter().filter_map(lag).collect();
    let lag = if connected == 0 {
        "nobody to sync with".to_owned()
    } else if lags.is_empty() {
        "all equal".to_owned()
    } else {
        lags.join(", ")
    };
    format!("{} · {}  {lag} ", count(connected, "peer"), count(status.spaces.len(), "space"))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn lag(space: &SpaceView) -> Option<String> {
    let connected = || space.links.iter().filter(|link| link.connected);
    let we = connected().map(|link| link.we_lack).max().unwrap_or(0);
    let they = connected().map(|link| link.they_lack).max().unwrap_or(0);
    (we > 0 || they > 0).then(|| format!("{}: {we} to fetch, {they} to send", flat(&space.name)))
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long commands that are being answered may take once the peer is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
