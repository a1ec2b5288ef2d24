//! Enemies at work: what they put in the place of what their engines say, and what they say besides.

use super::{Step, World};
use crate::disk::{Crash, SimulatedDisk};
use crate::enemy::forging::Forge;
use crate::enemy::lie::{damage, noise, tell};
use crate::enemy::{Enemy, EnemyKind, Hostile, messages};
use crate::network::{Item, PeerNo, StreamNo};
use crate::peer::{Disk, Peer};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use reknit_engine::{Incoming, Input, Notice, SpaceInfo, Why};
use reknit_sync::limits::{ANNOUNCE_BYTES_MAX, MESSAGE_BYTES_MAX};
use reknit_sync::{Announce, Frame, Message, Opening, PROTOCOL_VERSION, frame};
use reknit_types::{DeviceId, Tip, VerifiedEvent};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// These devices attack, for `longest` or however long each says.
    pub(crate) fn beset(&mut self, enemies: &[Enemy]) {
        let members: Vec<PeerNo> = (0..self.peers()).collect();
        for enemy in enemies {
            let at = if enemy.kind == EnemyKind::Stranger {
                (0..enemy.count).map(|_| self.add_stranger(&members)).collect()
            } else {
                enemy.at.clone()
            };
            for peer in at {
                let from = self.now + seconds(enemy.from);
                self.agenda.plan(from, Step::Turn(peer, Box::new(enemy.clone())));
            }
        }
    }

    /// A device that knows where to find peers, and nothing of their space.
    fn add_stranger(&mut self, others: &[PeerNo]) -> PeerNo {
        let stranger = self.add_peer();
        self.checks.on_hostile(stranger);
        others.iter().for_each(|other| self.introduce(*other, stranger));
        stranger
    }

    /// A peer attacks from now on.
    pub(super) fn turn_hostile(&mut self, peer: PeerNo, enemy: Enemy) {
        if peer >= self.peers() {
            return;
        }
        self.trace.note(self.now, format_args!("{peer} turns hostile: {}", enemy.kind));
        self.checks.on_hostile(peer);
        let until = enemy.until.map(|until| self.now + seconds((until - enemy.from).max(0.0)));
        let rng = self.chance.stream("enemy", peer as u64);
        let mut hostile = Hostile::new(enemy, until, rng);
        if hostile.enemy.kind == EnemyKind::Forker {
            hostile.twin = self.add_twin(peer);
        }
        self.enemies.hostile.insert(peer, hostile);
        self.plan_attack(peer);
    }

    /// Whether an enemy still attacks.
    pub(crate) fn is_beset(&self) -> bool {
        self.enemies.hostile.values().any(|hostile| hostile.active)
    }

    /// How often each field, or whatever else, was attacked so far.
    pub fn attacks(&self) -> &BTreeMap<&'static str, u64> {
        &self.enemies.told
    }

    /// What honest peers did about attacks, by why.
    pub fn answers(&self) -> &BTreeMap<String, u64> {
        &self.enemies.answers
    }

    /// An honest peer tells of what came from an enemy.
    pub(super) fn note_answer(&mut self, peer: PeerNo, notice: &Notice) {
        let answer = match notice {
            Notice::Refused { reason, .. } => format!("refused: {}", variant(reason)),
            Notice::Unlinked { device, why: Why::Closed(reason), .. } if self.is_enemy(device) => {
                format!("closed: {}", variant(reason))
            }
            Notice::Held { .. } => "held".to_owned(),
            _ => return,
        };
        if self.checks.knows_hostility() && !self.checks.is_hostile(peer) {
            *self.enemies.answers.entry(answer).or_default() += 1;
        }
    }

    fn is_enemy(&self, device: &DeviceId) -> bool {
        (0..self.peers()).any(|peer| self.checks.is_hostile(peer) && self.device(peer) == *device)
    }

    fn plan_attack(&mut self, peer: PeerNo) {
        let Some(hostile) = self.enemies.hostile.get_mut(&peer) else { return };
        let unit: f64 = hostile.rng.random_range(f64::MIN_POSITIVE..1.0);
        let wait = Duration::try_from_secs_f64(-unit.ln() / hostile.enemy.per_second);
        let at = self.now.saturating_add(wait.unwrap_or(Duration::MAX));
        let at = hostile.until.map_or(at, |until| at.min(until));
        if at < Duration::MAX {
            self.agenda.plan(at, Step::Attack(peer));
        }
    }

    pub(super) fn on_attack(&mut self, peer: PeerNo) {
        let Some(mut hostile) = self.enemies.hostile.remove(&peer) else { return };
        let over = hostile.until.is_some_and(|until| self.now >= until);
        if over {
            self.give_up(peer, &mut hostile);
        } else if self.peers[peer].acts() {
            self.learn(peer, &mut hostile);
            self.attack(peer, &mut hostile);
        }
        self.enemies.hostile.insert(peer, hostile);
        if !over {
            self.plan_attack(peer);
        }
    }

    fn give_up(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        hostile.active = false;
        self.trace.note(self.now, format_args!("{peer} attacks no more"));
        let devices = [Some(peer), hostile.twin];
        for device in devices.into_iter().flatten() {
            self.join_hands(device);
            if hostile.enemy.leaves && self.peers[device].running().is_some() {
                self.end(device, "the enemy is gone", Crash::Process);
            }
        }
    }

    fn attack(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        hostile.turns += 1;
        self.come_again(peer);
        match hostile.enemy.kind {
            EnemyKind::Liar => self.lie(peer, hostile),
            EnemyKind::Vandal => self.throw(peer, hostile, 1),
            EnemyKind::Flooder => self.flood(peer, hostile),
            EnemyKind::Forger => self.forge(peer, hostile),
            EnemyKind::Forker => self.fork(peer, hostile),
            EnemyKind::Stranger => self.guess(peer, hostile),
        }
    }

    /// An enemy does not wait until its engine would try again whoever ended the session.
    fn come_again(&mut self, peer: PeerNo) {
        if self.streams_of_peer(peer).len() < self.network.connected(peer).count() {
            for other in self.network.connected(peer).collect::<Vec<_>>() {
                let device = self.device(other);
                let conns = self.network.of_peer[peer].get(&other).cloned().unwrap_or_default();
                let linked = self.streams_of_peer(peer).into_iter().any(|(stream, _)| {
                    self.network.streams.get(&stream).is_some_and(|stream| conns.contains(&stream.conn))
                });
                if !linked {
                    self.input(peer, Input::Disconnected { device });
                    self.input(peer, Input::Connected { device });
                }
            }
        }
    }

    fn count(&mut self, peer: PeerNo, what: &'static str) {
        *self.enemies.told.entry(what).or_default() += 1;
        self.trace.note(self.now, format_args!("{peer} attacks: {what}"));
    }

    /// An enemy looks around, now and then.
    fn learn(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let now = self.now;
        let seldom = hostile.enemy.kind != EnemyKind::Forger;
        if seldom && hostile.known.at.is_some_and(|at| now < at + LEARN_EVERY) {
            return;
        }
        let mut events = self.newest(peer, EVENTS_KNOWN).unwrap_or_default();
        events.reverse();
        let devices = (0..self.peers()).map(|peer| self.device(peer)).collect();
        for event in events.iter().filter(|event| event.signature().is_some()).rev().take(4) {
            if let Ok(frame) = frame::encode(std::slice::from_ref(event)) {
                hostile.known.hear_frame(frame);
            }
        }
        hostile.known.learn(events, devices, now);
    }

    /// What goes out in the place of what an engine says.
    pub(super) fn as_said(&mut self, peer: PeerNo, message: &Message) -> Vec<Vec<u8>> {
        let Some(mut hostile) = self.enemies.hostile.remove(&peer) else { return vec![message.encode()] };
        let lies = hostile.active && hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
        if let Message::Events(frame) = message {
            hostile.known.hear_frame(frame.clone());
        }
        let said = if lies { self.twisted(peer, &mut hostile, message) } else { vec![message.encode()] };
        self.enemies.hostile.insert(peer, hostile);
        said
    }

    fn twisted(&mut self, peer: PeerNo, hostile: &mut Hostile, message: &Message) -> Vec<Vec<u8>> {
        match hostile.enemy.kind {
            EnemyKind::Liar => match hostile.rng.random_range(0..12) {
                0 => {
                    self.count(peer, "silence");
                    vec![]
                }
                1 => {
                    self.count(peer, "twice");
                    vec![message.encode(); 2]
                }
                _ => {
                    let mut message = message.clone();
                    if let Some(field) = tell(&mut message, &mut hostile.rng, &hostile.known) {
                        self.count(peer, field);
                    }
                    vec![message.encode()]
                }
            },
            EnemyKind::Vandal => {
                let mut bytes = message.encode();
                damage(&mut bytes, &mut hostile.rng);
                self.count(peer, "bytes");
                vec![bytes]
            }
            EnemyKind::Flooder => {
                self.count(peer, "echo");
                vec![message.encode(); hostile.rng.random_range(2..100)]
            }
            EnemyKind::Forger | EnemyKind::Forker | EnemyKind::Stranger => vec![message.encode()],
        }
    }

    /// What goes out in the place of an opening.
    pub(super) fn as_opened(&mut self, peer: PeerNo, mut opening: Opening) -> Vec<u8> {
        if let Some(hostile) = self.enemies.hostile.get_mut(&peer).filter(|hostile| hostile.active) {
            let mut field = None;
            let lies = hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
            if hostile.enemy.kind == EnemyKind::Liar && lies {
                field = tell(&mut opening, &mut hostile.rng, &hostile.known);
            }
            field.into_iter().for_each(|field| self.count(peer, field));
        }
        let bytes = opening.encode();
        self.enemies.overheard.hear_opening(&bytes);
        bytes
    }

    /// What is published in the place of an announce.
    pub(super) fn as_published(&mut self, peer: PeerNo, topic: [u8; 32], sealed: Vec<u8>) -> Vec<u8> {
        let sealed = self.announced(peer, &sealed).unwrap_or(sealed);
        self.enemies.overheard.hear_announce(topic, &sealed);
        sealed
    }

    fn announced(&mut self, peer: PeerNo, sealed: &[u8]) -> Option<Vec<u8>> {
        let space = self.space(peer).cloned()?;
        let hostile = self.enemies.hostile.get_mut(&peer).filter(|hostile| hostile.active)?;
        let lies = hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
        let mut announce = Announce::decode(&space.keys.open_announce(sealed).ok()?).ok()?;
        match hostile.enemy.kind {
            EnemyKind::Liar if lies => {
                let field = tell(&mut announce, &mut hostile.rng, &hostile.known)?;
                self.count(peer, field);
                Some(space.keys.seal_announce(&announce.encode()))
            }
            EnemyKind::Vandal if lies => {
                let mut sealed = sealed.to_vec();
                damage(&mut sealed, &mut hostile.rng);
                self.count(peer, "announce bytes");
                Some(sealed)
            }
            _ => None,
        }
    }

    /// The streams that the engine of a peer talks on.
    fn streams_of_peer(&self, peer: PeerNo) -> Vec<(StreamNo, usize)> {
        let links = self.peers[peer].running().map(|running| &running.links);
        links.into_iter().flat_map(|links| links.values().copied()).collect()
    }

    fn put_on_a_stream(&mut self, peer: PeerNo, hostile: &mut Hostile, bytes: Vec<u8>) {
        let streams = self.streams_of_peer(peer);
        if let Some((stream, side)) = streams.choose(&mut hostile.rng).copied() {
            self.transmit(stream, side, Item::Message(bytes));
        }
    }

    /// Makes up a message of any kind, and lies in it.
    fn lie(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        match hostile.rng.random_range(0..8) {
            0 => return self.lie_about_opening(peer, hostile),
            1 => return self.lie_about_announce(peer, hostile),
            _ => {}
        }
        let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
        let Some(mut message) = all.choose(&mut hostile.rng).cloned() else { return };
        if let Some(field) = tell(&mut message, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.put_on_a_stream(peer, hostile, message.encode());
    }

    fn lie_about_opening(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(other) = self.victim(peer, hostile) else { return };
        let Some(space) = self.space(peer).cloned() else { return };
        let tag = space.keys.session_tag(self.device(peer), self.device(other));
        let mut opening = Opening { version: PROTOCOL_VERSION, tag, admission: Some(vec![0; 96]) };
        if let Some(field) = tell(&mut opening, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.knock(peer, other, opening.encode());
    }

    fn lie_about_announce(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let frame = hostile.known.frames.back().cloned();
        let mut announce = Announce::new(hostile.heads(), hostile.rng.random(), frame);
        if let Some(field) = tell(&mut announce, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.publish_raw(peer, &space, &announce);
    }

    fn publish_raw(&mut self, peer: PeerNo, space: &Arc<SpaceInfo>, announce: &Announce) {
        let sealed = space.keys.seal_announce(&announce.encode());
        self.flood_gossip(peer, space.keys.topic(), sealed);
    }

    /// Somebody to attack: connected, and no enemy.
    fn victim(&self, peer: PeerNo, hostile: &mut Hostile) -> Option<PeerNo> {
        let honest = |other: &PeerNo| !self.checks.is_hostile(*other);
        let victims: Vec<PeerNo> = self.network.connected(peer).filter(honest).collect();
        victims.choose(&mut hostile.rng).copied()
    }

    /// Opens a stream that no engine knows of here.
    fn knock(&mut self, peer: PeerNo, other: PeerNo, opening: Vec<u8>) -> Option<(StreamNo, usize)> {
        let conn = self.network.newest_conn(peer, other)?;
        let side = self.network.conns.get(&conn)?.side(peer);
        let stream = self.network.add_stream(conn);
        self.transmit(stream, side, Item::Opening(opening));
        Some((stream, side))
    }

    /// Puts damaged bytes on streams.
    fn throw(&mut self, peer: PeerNo, hostile: &mut Hostile, count: usize) {
        for _ in 0..count {
            let bytes = match hostile.rng.random_range(0..32) {
                0 => vec![hostile.rng.random(); MESSAGE_BYTES_MAX + 1],
                1..4 => noise(&mut hostile.rng, 4_096),
                4 => vec![],
                _ => {
                    let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
                    let mut bytes = all.choose(&mut hostile.rng).map(Message::encode).unwrap_or_default();
                    damage(&mut bytes, &mut hostile.rng);
                    bytes
                }
            };
            self.count(peer, "bytes");
            self.put_on_a_stream(peer, hostile, bytes);
        }
        if hostile.rng.random_ratio(1, 4)
            && let Some(other) = self.victim(peer, hostile)
        {
            let mut bytes = self.enemies.overheard.openings.back().cloned().unwrap_or_default();
            damage(&mut bytes, &mut hostile.rng);
            self.count(peer, "opening bytes");
            self.knock(peer, other, bytes);
        }
    }

    /// Very much at once: in order by itself, mostly.
    fn flood(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let count = hostile.rng.random_range(FLOOD / 4..FLOOD);
        match hostile.rng.random_range(0..4) {
            0 => {
                let Some(other) = self.victim(peer, hostile) else { return };
                let tag = space.keys.session_tag(self.device(peer), self.device(other));
                let opening = Opening { version: PROTOCOL_VERSION, tag, admission: None }.encode();
                self.count(peer, "openings");
                (0..count / 4).for_each(|_| _ = self.knock(peer, other, opening.clone()));
            }
            1 => {
                self.count(peer, "announces");
                for _ in 0..count / 4 {
                    let announce = Announce::new(hostile.heads(), hostile.rng.random(), None);
                    self.publish_raw(peer, &space, &announce);
                }
            }
            2 => {
                self.count(peer, "junk");
                let junk = noise(&mut hostile.rng, ANNOUNCE_BYTES_MAX);
                (0..count / 8).for_each(|_| self.flood_gossip(peer, space.keys.topic(), junk.clone()));
            }
            _ => {
                self.count(peer, "messages");
                let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
                let Some(message) = all.choose(&mut hostile.rng) else { return };
                let Some((stream, side)) = self.streams_of_peer(peer).choose(&mut hostile.rng).copied() else {
                    return;
                };
                (0..count).for_each(|_| self.transmit(stream, side, Item::Message(message.encode())));
            }
        }
    }

    /// Signs what no engine would write, and gives it to one peer or all.
    fn forge(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let key = self.peers[peer].key.clone();
        let now_ms = self.peers[peer].clock.now_ms(self.now);
        let own = hostile.known.events.iter().rev().filter(|event| event.header().author == key.id());
        let own: Vec<Tip> = own.map(VerifiedEvent::tip).collect();
        // Mostly after what it wrote last, and a few times after something in the middle of its chain or after what was
        // forged last, whatever became of that. Who forks without end is soon not heard any more.
        let last = own.first().copied();
        let branches = hostile.forks_left > 0 && hostile.rng.random_ratio(1, 10);
        hostile.forks_left -= u32::from(branches);
        let prev = match branches {
            true if hostile.rng.random_bool(0.5) => own.choose(&mut hostile.rng).copied(),
            true => hostile.forged.as_ref().map(VerifiedEvent::tip).or(last),
            false => last,
        };
        let stranger = reknit_types::DeviceKey::from_seed(&[0xee; 32]);
        let by_stranger = hostile.rng.random_ratio(1, 16);
        let (key, prev) = if by_stranger { (&stranger, None) } else { (&key, prev) };
        let heads = match branches {
            true => hostile.forged.iter().map(VerifiedEvent::dot).collect(),
            false => hostile.heads(),
        };
        let forge = Forge { space: space.id, keys: &space.keys, key, now_ms, known: &hostile.known };
        let mut rng = hostile.rng.clone();
        let two = branches && hostile.rng.random_bool(0.5);
        let made: Vec<(VerifiedEvent, &'static str)> = if two {
            let plain = |rng: &mut _| forge.plain((prev, &heads), rng).map(|event| (event, "two branches"));
            (0..2).filter_map(|_| plain(&mut rng)).collect()
        } else {
            forge.event((prev, &heads), &mut rng).into_iter().collect()
        };
        hostile.rng = rng;
        for (event, what) in made {
            self.count(peer, if by_stranger { "event.author" } else { what });
            if let Ok(frame) = frame::encode(std::slice::from_ref(&event)) {
                self.take_home(peer, hostile, frame.clone());
                self.hand_out(peer, hostile, (&space, &event, frame));
            }
            hostile.forged = Some(event);
        }
    }

    /// The enemy's own engine goes on after what was forged, if that is in order.
    fn take_home(&mut self, peer: PeerNo, hostile: &mut Hostile, frame: Frame) {
        let Some(running) = self.peers[peer].running() else { return };
        let links: Vec<_> = running.contexts.iter().collect();
        let Some((link, context)) = links.choose(&mut hostile.rng) else { return };
        let (link, incoming) = (**link, Incoming::prepare(&Message::Events(frame).encode(), context));
        if matches!(incoming, Incoming::Events { .. }) {
            self.input(peer, Input::Incoming { link, incoming });
        }
    }

    fn hand_out(
        &mut self,
        peer: PeerNo,
        hostile: &mut Hostile,
        (space, event, frame): (&Arc<SpaceInfo>, &VerifiedEvent, Frame),
    ) {
        match hostile.rng.random_range(0..6) {
            0 => {
                let announce = Announce::new(vec![event.dot()], hostile.rng.random(), Some(frame));
                self.publish_raw(peer, space, &announce);
            }
            1 => {
                let bytes = Message::Events(frame).encode();
                for (stream, side) in self.streams_of_peer(peer) {
                    self.transmit(stream, side, Item::Message(bytes.clone()));
                }
            }
            _ => self.put_on_a_stream(peer, hostile, Message::Events(frame).encode()),
        }
    }

    /// What somebody says who knows nothing but what it heard.
    fn guess(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(other) = self.victim(peer, hostile) else { return };
        let openings: Vec<Vec<u8>> = self.enemies.overheard.openings.iter().cloned().collect();
        let announces: Vec<_> = self.enemies.overheard.announces.iter().cloned().collect();
        match hostile.rng.random_range(0..4) {
            0 => {
                let mut opening = Opening { version: PROTOCOL_VERSION, tag: [0; 32], admission: None };
                hostile.rng.fill_bytes(&mut opening.tag);
                if hostile.rng.random_bool(0.5) {
                    opening.admission = Some(noise(&mut hostile.rng, 128));
                }
                self.count(peer, "guessed opening");
                self.knock(peer, other, opening.encode());
            }
            1 | 2 => {
                let Some(mut opening) = openings.choose(&mut hostile.rng).cloned() else { return };
                if hostile.rng.random_bool(0.3) {
                    damage(&mut opening, &mut hostile.rng);
                }
                self.count(peer, "replayed opening");
                let Some((stream, side)) = self.knock(peer, other, opening) else { return };
                // Whoever was let in would go on like this.
                for message in messages::make_up_all(&mut hostile.rng, &hostile.known) {
                    self.transmit(stream, side, Item::Message(message.encode()));
                }
            }
            _ => {
                let Some((topic, mut sealed)) = announces.choose(&mut hostile.rng).cloned() else { return };
                if hostile.rng.random_bool(0.5) {
                    damage(&mut sealed, &mut hostile.rng);
                }
                self.count(peer, "replayed announce");
                self.flood_gossip(peer, topic, sealed);
            }
        }
    }

    /// Copies a device, its key included: the two run at one time.
    fn add_twin(&mut self, peer: PeerNo) -> Option<PeerNo> {
        let twin = self.peers.len();
        let disk = match &self.peers[peer].disk {
            Disk::Memory(store) => Disk::Memory(store.clone()),
            Disk::Redb(disk, _) => {
                Disk::Redb(SimulatedDisk::from_image(self.disk_seed(twin), &disk.image()), None)
            }
        };
        self.install(Peer::new(self.peers[peer].key.clone(), disk));
        self.checks.on_hostile(twin);
        for other in self.network.wanted[peer].clone() {
            self.introduce(other, twin);
        }
        Some(twin)
    }

    /// The two devices of one key write each their own branch, and change places: each has half of the others.
    fn fork(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(twin) = hostile.twin else { return };
        if hostile.turns % TURNS_APART == 1 {
            self.count(peer, "places changed");
            let swapped = (hostile.turns / TURNS_APART) % 2 == 1;
            let honest: Vec<PeerNo> =
                (0..self.peers()).filter(|other| !self.checks.is_hostile(*other)).collect();
            for other in honest {
                let even = (other % 2 == 0) != swapped;
                let (near, far) = if even { (peer, twin) } else { (twin, peer) };
                self.network_changed(|reach| {
                    reach.mend(near, other);
                    reach.cut(far, other);
                });
            }
        }
        for device in [peer, twin] {
            self.count(peer, "a branch");
            let draw = hostile.rng.next_u64();
            self.submit(device, move |tx| {
                tx.create("forks")?.set("by", draw as i64)?.add("count", 1)?;
                Ok(())
            });
        }
    }

    /// Ends what [`World::fork`] did to the network.
    fn join_hands(&mut self, device: PeerNo) {
        let others: Vec<PeerNo> = (0..self.peers()).collect();
        self.network_changed(|reach| others.iter().for_each(|other| reach.mend(device, *other)));
    }
}

/// The name of a variant.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    // Of a refusal by rights, what rights.
    words.take(if text.starts_with("Access") { 2 } else { 1 }).collect::<Vec<_>>().join(" ")
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// Messages in one burst.
const FLOOD: usize = 1_000;
const EVENTS_KNOWN: usize = 64;
const LEARN_EVERY: Duration = Duration::from_secs(1);
/// Attacks between one change of places and the next.
const TURNS_APART: u64 = 8;
