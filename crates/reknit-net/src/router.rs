//! The one task that owns the swarm: it routes commands, swarm events and time to the parts that decide, and carries out what
//! they decide.

mod commands;
mod dialling;
mod discovery;
mod swarm_events;

use crate::addresses::{Book, Leg};
use crate::behaviour::Behaviour;
use crate::device::peer_of;
use crate::error::NetError;
use crate::event::NetEvent;
use crate::links::Links;
use crate::meter::Meter;
use crate::net::Command;
use crate::outbox::Outbox;
use crate::rendezvous::Rendezvous;
use crate::{limits, nearby, transport};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use if_watch::tokio::IfWatcher;
use libp2p::core::transport::ListenerId;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{self, ConnectionId, Swarm};
use libp2p::{Multiaddr, PeerId, relay};
use reknit_types::DeviceId;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A bootstrap node and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) device: DeviceId,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// What a router is made of.
pub(crate) struct Parts {
    pub(crate) keypair: Keypair,
    pub(crate) local: DeviceId,
    pub(crate) mdns: bool,
    pub(crate) bootstrap: Vec<Node>,
    pub(crate) inbox: mpsc::Receiver<Command>,
    pub(crate) outbox: Outbox,
}

/// The state of the task.
pub(crate) struct Router {
    swarm: Swarm<Behaviour>,
    local: DeviceId,
    started: Instant,
    inbox: mpsc::Receiver<Command>,
    outbox: Outbox,
    book: Book,
    links: Links,
    rendezvous: Rendezvous,
    dials: BTreeMap<ConnectionId, (DeviceId, Leg)>,
    resolving: FuturesUnordered<BoxFuture<'static, (DeviceId, Leg, Vec<Multiaddr>)>>,
    watcher: Option<IfWatcher>,
    wants_mdns: bool,
    /// When to say whether peers nearby can be found: once the watcher has listed what interfaces there are.
    nearby_due: Option<Duration>,
    /// Why they cannot be found, as last told.
    nearby_problem: Option<String>,
    /// Registrations tell others of loopback addresses only when the bootstrap node is on this machine too.
    shares_loopback: bool,
    observed: BTreeSet<Multiaddr>,
    listening: Vec<(ListenerId, Multiaddr)>,
    pausing: Vec<oneshot::Sender<()>>,
}

/// What woke the task.
enum Wake {
    Command(Option<Command>),
    Swarm(Box<swarm_events::Event>),
    Resolved((DeviceId, Leg, Vec<Multiaddr>)),
    Interfaces(Option<io::Result<if_watch::IfEvent>>),
    Room,
    Due,
}

impl Router {
    pub(crate) fn new(parts: Parts, meter: &Arc<Meter>) -> Result<Self, NetError> {
        let Parts { keypair, local, mdns, bootstrap, inbox, outbox } = parts;
        let peer = keypair.public().to_peer_id();
        let (circuits, relay) = relay::client::new(peer);
        let transport = transport::with_relay(&keypair, meter, circuits)?;
        let swarm = Swarm::new(transport, Behaviour::new(&keypair, relay)?, peer, swarm_config());
        let shares_loopback =
            bootstrap.iter().flat_map(|node| &node.addresses).any(crate::addresses::is_loopback);
        let mut router = Self {
            swarm,
            local,
            started: Instant::now(),
            inbox,
            outbox,
            book: Book::new(std::hash::RandomState::new().build_hasher().finish()),
            links: Links::new(local),
            rendezvous: Rendezvous::new(bootstrap.iter().map(|node| node.peer)),
            dials: BTreeMap::new(),
            resolving: FuturesUnordered::new(),
            watcher: IfWatcher::new()
                .inspect_err(|error| tracing::warn!(%error, "cannot watch interfaces"))
                .ok(),
            wants_mdns: mdns,
            nearby_due: None,
            nearby_problem: None,
            shares_loopback,
            observed: BTreeSet::new(),
            listening: Vec::new(),
            pausing: Vec::new(),
        };
        for node in bootstrap {
            router.know(node.device, node.addresses)?;
        }
        router.start_mdns();
        Ok(router)
    }

    /// Listens on these addresses. An error when all of them fail.
    pub(crate) fn listen(&mut self, addresses: &[Multiaddr]) -> Result<(), NetError> {
        let mut refused = Vec::new();
        for address in addresses {
            match self.swarm.listen_on(address.clone()) {
                Ok(id) => self.listening.push((id, address.clone())),
                Err(error) => refused.push((address.clone(), error.to_string())),
            }
        }
        if self.listening.is_empty() && !addresses.is_empty() {
            let reasons: Vec<_> =
                refused.into_iter().map(|(addr, reason)| format!("{addr}: {reason}")).collect();
            return Err(NetError::CannotListen(reasons.join("; ")));
        }
        for (addr, reason) in refused {
            self.outbox.push(NetEvent::ListenFailed { addr, reason });
        }
        Ok(())
    }

    /// Runs until it is told to shut down or all handles are gone.
    pub(crate) async fn run(mut self) {
        let goodbye = loop {
            self.act();
            match self.wake().await {
                Wake::Command(Some(Command::Shutdown { reply })) => break Some(reply),
                Wake::Command(None) => break None,
                Wake::Command(Some(command)) => self.on_command(command),
                Wake::Swarm(event) => self.on_swarm_event(*event),
                Wake::Resolved((device, leg, addresses)) => self.dial(device, leg, addresses),
                Wake::Interfaces(event) => self.on_interfaces(event),
                Wake::Room | Wake::Due => {}
            }
        };
        self.close().await;
        if let Some(reply) = goodbye {
            let _ = reply.send(());
        }
    }

    /// Waits for the next thing to do. Every branch is cancel-safe: each either yields a whole item or leaves it in place.
    async fn wake(&mut self) -> Wake {
        let blocked = self.outbox.is_blocked();
        let due = self.next_due().map(|due| self.started + due);
        tokio::select! {
            command = self.inbox.recv() => Wake::Command(command),
            event = self.swarm.select_next_some(), if !blocked => Wake::Swarm(Box::new(event)),
            () = Outbox::room(self.outbox.sender()), if blocked => Wake::Room,
            Some(resolved) = self.resolving.next() => Wake::Resolved(resolved),
            event = next_of(&mut self.watcher) => Wake::Interfaces(event),
            () = sleep_until(due) => Wake::Due,
        }
    }

    /// Does what is due.
    fn act(&mut self) {
        self.outbox.flush();
        let now = self.now();
        if !self.swarm.behaviour().gate.is_shut() {
            for dial in self.book.take_due(now) {
                self.start_dial(dial);
            }
            for ask in self.rendezvous.take_due(now) {
                self.ask_node(ask);
            }
            if self.nearby_due.is_some_and(|due| due <= now) {
                self.check_nearby();
            }
        }
        let streams = &self.swarm.behaviour().streams;
        for surplus in self.links.surplus(now, |id| streams.open_streams(id)) {
            self.swarm.close_connection(surplus);
        }
        if self.links.is_empty() {
            for reply in self.pausing.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    fn next_due(&self) -> Option<Duration> {
        let surplus = self.links.next_due(self.now());
        if self.swarm.behaviour().gate.is_shut() {
            return surplus;
        }
        [self.book.next_due(), self.rendezvous.next_due(), self.nearby_due, surplus]
            .into_iter()
            .flatten()
            .min()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Stays connected to a device from now on.
    fn know(&mut self, device: DeviceId, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        let peer = peer_of(device)?;
        let now = self.now();
        if device == self.local {
            return Ok(());
        }
        if !self.book.know(device, now) {
            return Err(NetError::TooMany { what: "known devices", max: limits::KNOWN_DEVICES_MAX });
        }
        self.swarm.behaviour_mut().streams.keep(peer, true);
        for address in addresses {
            match crate::addresses::dialable(&address, &peer, crate::addresses::Trust::Given) {
                Some(address) => drop(self.book.learn(&device, address, now)),
                None => tracing::debug!(%address, %device, "ignoring an address that cannot be dialled"),
            }
        }
        if let Some(reach) = self.links.reach(&device) {
            self.book.on_up(&device, reach, now);
        }
        self.book.on_word(&device, now);
        Ok(())
    }

    fn start_mdns(&mut self) {
        if !self.wants_mdns {
            return;
        }
        let peer = *self.swarm.local_peer_id();
        let listeners: Vec<_> = self.swarm.listeners().cloned().collect();
        // It watches the interfaces by itself, so it is started even where there is none yet.
        match self.swarm.behaviour_mut().start_mdns(peer, &listeners) {
            Ok(()) => self.nearby_due = Some(self.now() + WATCHER_LISTS),
            Err(error) => self.outbox.push(NetEvent::MdnsUnavailable { reason: error.to_string() }),
        }
    }

    /// Tells whether peers nearby can be found, if that has changed.
    fn check_nearby(&mut self) {
        self.nearby_due = None;
        let Some(watcher) = self.watcher.as_ref().filter(|_| self.wants_mdns) else { return };
        let problem = nearby::unavailable(watcher.iter().map(|net| net.addr()));
        match &problem {
            Some(reason) if self.nearby_problem.is_none() => {
                self.outbox.push(NetEvent::MdnsUnavailable { reason: reason.clone() });
            }
            None if self.nearby_problem.is_some() => self.outbox.push(NetEvent::MdnsAvailable),
            _ => {}
        }
        self.nearby_problem = problem;
    }

    fn on_interfaces(&mut self, event: Option<io::Result<if_watch::IfEvent>>) {
        match event {
            Some(Ok(if_watch::IfEvent::Up(net) | if_watch::IfEvent::Down(net))) => {
                // The watcher begins by listing what there is.
                let is_news = self.now() > WATCHER_LISTS && !net.addr().is_loopback();
                if is_news && !self.swarm.behaviour().gate.is_shut() {
                    self.on_network_change();
                }
            }
            Some(Err(error)) => tracing::debug!(%error, "interface watcher"),
            None => self.watcher = None,
        }
    }

    fn on_network_change(&mut self) {
        let now = self.now();
        for address in std::mem::take(&mut self.observed) {
            self.swarm.remove_external_address(&address);
        }
        self.book.on_network_change(now);
        self.rendezvous.on_network_change(now);
        self.outbox.push(NetEvent::NetworkChanged);
        self.check_nearby();
    }

    /// Ends every connection in good order, within bounds.
    async fn close(&mut self) {
        self.shut();
        let closed = async {
            while self.swarm.network_info().connection_counters().num_connections() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::SHUTDOWN_TIMEOUT, closed).await.is_err() {
            tracing::debug!("connections did not close in time");
        }
    }

    /// Ends all connections and lets none start.
    fn shut(&mut self) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.shut();
        behaviour.stop_mdns();
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error says that it is not connected, which is what is wanted.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }
}

/// The settings common to peers and bootstrap nodes: QUIC before TCP, and no round trip to open a stream.
pub(crate) fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor()
        .with_smart_dial()
        .with_idle_connection_timeout(limits::IDLE_CONNECTION_MAX)
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn next_of(watcher: &mut Option<IfWatcher>) -> Option<io::Result<if_watch::IfEvent>> {
    match watcher {
        Some(watcher) => watcher.next().await,
        None => std::future::pending().await,
    }
}

const WATCHER_LISTS: Duration = Duration::from_secs(1);
