//! The engine: routes each input to the part whose affair it is, and settles a round into one batch.

use crate::admit::{Admission, Arrival, Desk, Waits, admit};
use crate::cells::Cells;
use crate::effects::{Effects, Input, MemberInfo, Notice, Output, Reply, RequestId, Run, SpaceInfo};
use crate::error::{EngineError, Refused, TxError};
use crate::joining::Join;
use crate::layout::{CellKey, SpaceNo};
use crate::links::LinkTable;
use crate::space::SpaceState;
use crate::status::{Glance, inspect};
use crate::store::{Batch, Durability, Reads, View};
use crate::tx::{Tx, TxContext, TxState};
use crate::write::Writing;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use reknit_access::{Action, Role, SpaceKeys, Ticket, invite};
use reknit_crdt::{Identity, Origin};
use reknit_types::{DeviceId, DeviceKey, Dot, EventId, Kind, SpaceId, Stamp, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Who the engine acts for, and its source of chance.
pub struct Config {
    /// The key of this device.
    pub device: DeviceKey,
    /// What people call it.
    pub device_name: String,
    /// Seeded afresh for every session: identities and ids are drawn from it.
    pub rng: ChaCha20Rng,
}

/// The state machine of a peer.
///
/// Feed it inputs with [`Engine::handle`] until [`Engine::is_full`], then call [`Engine::settle`] once, commit the batch,
/// and only then release the outputs: nothing is acknowledged, sent or shown before it is committed.
pub struct Engine {
    pub(crate) device: Arc<DeviceKey>,
    pub(crate) device_name: String,
    pub(crate) spaces: BTreeMap<SpaceNo, SpaceState>,
    pub(crate) cells: Cells,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) table: LinkTable,
    pub(crate) connected: BTreeMap<DeviceId, u64>,
    pub(crate) joins: Vec<Join>,
    /// When the last input came, by the local clock.
    pub(crate) last_ms: u64,
    changed_spaces: BTreeSet<SpaceNo>,
    /// Bytes of the events of all spaces that wait for the round to be settled.
    pending_bytes: usize,
    session_nonce: u64,
    /// Numbers up to this one are taken, or were.
    pub(crate) last_space: u32,
}

impl Engine {
    /// The engine over what a store holds. Reads a few records a space, never the history.
    ///
    /// # Errors
    /// [`EngineError::Store`] and [`EngineError::Damaged`].
    pub fn open(config: Config, reads: &dyn Reads) -> Result<Self, EngineError> {
        let Config { device, device_name, mut rng } = config;
        let session_nonce = rng.next_u64();
        let spaces: BTreeMap<_, _> =
            SpaceState::load_all(reads)?.into_iter().map(|space| (space.no, space)).collect();
        let changed_spaces = spaces.keys().copied().collect();
        let last_space = spaces.last_key_value().map_or(0, |(no, _)| no.0);
        Ok(Self {
            device: Arc::new(device),
            device_name,
            spaces,
            cells: Cells::new(),
            rng,
            table: LinkTable::default(),
            connected: BTreeMap::new(),
            joins: vec![],
            last_ms: 0,
            changed_spaces,
            pending_bytes: 0,
            session_nonce,
            last_space,
        })
    }

    /// Handles one input. What it leads to gathers in `effects`.
    ///
    /// # Errors
    /// [`EngineError::Store`] and [`EngineError::Damaged`]: the engine's memory can no longer be trusted to agree with
    /// the store. Drop both and open them again. What is merely wrong with a request goes into its reply.
    pub fn handle(
        &mut self,
        now_ms: u64,
        input: Input,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<(), EngineError> {
        let mut round = Turn { now_ms, reads, effects };
        // A question changes nothing.
        if !matches!(input, Input::Inspect { .. }) {
            self.note_time(&mut round)?;
        }
        match input {
            Input::Create { request, name } => {
                let reply = self.create(&mut round, name).map(Reply::Space);
                round.answer(request, reply)
            }
            Input::Join { request, ticket } => self.on_join(&mut round, request, *ticket),
            Input::Forget { request } => {
                self.forget_join(request);
                Ok(())
            }
            Input::Leave { request, space } => {
                let reply = self.leave(&mut round, space);
                round.answer(request, reply)
            }
            Input::Invite { request, space, role, expires_ms } => {
                let reply = self.invite(&mut round, space, role, expires_ms);
                round.answer(request, reply.map(|ticket| Reply::Ticket(Box::new(ticket))))
            }
            Input::Transact { request, space, run, durability } => {
                let reply = self.transact(&mut round, space, run, durability).map(Reply::Committed);
                round.answer(request, reply)
            }
            Input::Commit { request, space, transaction, durability } => {
                let reply = self.commit(&mut round, space, transaction, durability).map(Reply::Committed);
                round.answer(request, reply)
            }
            Input::Inspect { request, space } => {
                let reply = self.space(space).and_then(|space| {
                    let view = View::new(round.reads, &round.effects.batch);
                    inspect(space, &view, self.device.id(), &self.connected, now_ms)
                });
                round.answer(request, reply.map(|status| Reply::Status(Box::new(status))))
            }
            Input::Connected { device } => self.on_connected(&mut round, device),
            Input::Disconnected { device } => self.on_disconnected(&mut round, device),
            Input::Opened { link, device, opening } => self.on_opened(&mut round, link, device, opening),
            Input::Incoming { link, incoming } => self.on_incoming(&mut round, link, incoming),
            Input::Closed { link, why } => self.on_closed(&mut round, link, why),
            Input::Gossip { space, from, announce, events } => {
                self.on_gossip(&mut round, space, from, (announce, events))
            }
            Input::Tick => self.on_tick(&mut round),
        }
    }

    /// Whether a round has gathered enough: settle and commit it before the next input is handled, so that no batch
    /// grows beyond what the store takes.
    pub fn is_full(&self, effects: &Effects) -> bool {
        effects.batch.bytes() + self.pending_bytes + self.cells.changed_bytes() >= ROUND_BYTES_MAX
    }

    /// Ends a round: everything it did goes into the batch, and peers are told. Commit the batch next.
    ///
    /// # Errors
    /// As for [`Engine::handle`].
    pub fn settle(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<(), EngineError> {
        for space in self.spaces.values_mut().filter(|space| !space.round.is_empty()) {
            self.pending_bytes -= space.log.pending_bytes();
            space.log.settle(&mut effects.batch, &self.device)?;
            space.pack(now_ms, reads, &mut effects.batch)?;
            space.put_round(&mut effects.batch);
        }
        self.settle_cells(reads, &mut effects.batch)?;
        self.tell_links(&mut Turn { now_ms, reads, effects })?;
        for no in std::mem::take(&mut self.changed_spaces) {
            let info = self.space_info(no)?;
            effects.notice(Notice::Space(Arc::new(info)));
        }
        Ok(())
    }

    fn settle_cells(&mut self, reads: &dyn Reads, batch: &mut Batch) -> Result<(), EngineError> {
        self.cells.fold(reads, batch, FOLDS_A_ROUND)?;
        for space in self.spaces.values() {
            if !self.cells.has_contested(space.no) {
                continue;
            }
            let mut settled = Batch::new();
            self.cells.settle_contested(&space.log_reader(&View::new(reads, batch)), &mut settled)?;
            batch.append(settled);
        }
        self.cells.settle(batch);
        Ok(())
    }

    /// When [`Input::Tick`] is wanted next, in milliseconds since the Unix epoch.
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        let wakeup = |space: &SpaceState| [space.links.next_wakeup_ms(), space.held.until_ms];
        self.spaces.values().flat_map(wakeup).flatten().min()
    }

    /// How far a space is; `None` if this device does not have it.
    pub fn glance(&self, space: SpaceNo) -> Option<Glance> {
        let space = self.spaces.get(&space)?;
        let (events, heads) = (space.log.len(), space.heads.len());
        Some(Glance { events, heads, frontier_digest: space.frontier.digest() })
    }

    /// The device this engine acts for.
    pub fn device(&self) -> DeviceId {
        self.device.id()
    }

    /// A fresh identity for a transaction that outlives one call, and a generator for the ids it draws.
    pub fn draw_identity(&mut self) -> (Identity, ChaCha20Rng) {
        use rand::SeedableRng;
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        (Identity { author: self.device.id(), nonce: self.rng.next_u64() }, ChaCha20Rng::from_seed(seed))
    }

    /// Those who watch are told of the space once the round is settled.
    pub(crate) fn note_space_changed(&mut self, no: SpaceNo) {
        self.changed_spaces.insert(no);
    }

    /// Forgets a space that is no longer in the store.
    pub(crate) fn drop_space(&mut self, no: SpaceNo) {
        let dropped = self.spaces.remove(&no);
        self.pending_bytes -= dropped.map_or(0, |space| space.log.pending_bytes());
        self.changed_spaces.remove(&no);
    }

    pub(crate) fn space(&self, no: SpaceNo) -> Result<&SpaceState, EngineError> {
        self.spaces.get(&no).ok_or(EngineError::NoSuchSpaceNo(no.0))
    }

    pub(crate) fn space_mut(&mut self, no: SpaceNo) -> Result<&mut SpaceState, EngineError> {
        self.spaces.get_mut(&no).ok_or(EngineError::NoSuchSpaceNo(no.0))
    }

    fn create(&mut self, turn: &mut Turn<'_>, name: String) -> Result<SpaceNo, EngineError> {
        let mut nonce = [0; 32];
        self.rng.fill_bytes(&mut nonce);
        let id = SpaceId::found(self.device.id(), &nonce);
        let keys = SpaceKeys::generate(&mut self.rng);
        let no = self.add_space(turn, id, keys);
        let action = Action::Found { nonce, name, device_name: self.device_name.clone() };
        match self.control(turn, no, action) {
            Ok(_) => Ok(no),
            Err(error) => {
                self.space(no)?.abandon(&mut turn.effects.batch);
                self.drop_space(no);
                Err(error)
            }
        }
    }

    pub(crate) fn add_space(&mut self, turn: &mut Turn<'_>, id: SpaceId, keys: SpaceKeys) -> SpaceNo {
        self.last_space += 1;
        let no = SpaceNo(self.last_space);
        let space = SpaceState::new(no, id, keys);
        space.found(&mut turn.effects.batch);
        turn.effects.durable = true;
        self.spaces.insert(no, space);
        self.changed_spaces.insert(no);
        no
    }

    fn invite(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        role: Role,
        expires_ms: Option<u64>,
    ) -> Result<Ticket, EngineError> {
        let (secret, action) = invite(role, expires_ms, &mut self.rng);
        let event = self.control(turn, no, action)?;
        let space = self.space(no)?;
        Ok(Ticket {
            space: space.id,
            space_name: space.membership.name().to_owned(),
            secret: space.keys.secret().clone(),
            invite_secret: secret,
            invite: event.id,
            role,
            expires_ms,
            peers: vec![],
        })
    }

    /// Writes a control event.
    pub(crate) fn control(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        action: Action,
    ) -> Result<Dot, EngineError> {
        let space = self.space(no)?;
        let parents = space.membership.parents_for(self.device.id(), &action);
        let payload = reknit_access::Control { parents, action }.encode();
        turn.effects.durable = true;
        self.write(turn, no, Kind::Control, payload)
    }

    fn transact(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        run: Run,
        durability: Durability,
    ) -> Result<Option<Dot>, EngineError> {
        self.may_write(no)?;
        let identity = Identity { author: self.device.id(), nonce: self.session_nonce };
        let mut state = TxState::default();
        let done = {
            let view = View::new(turn.reads, &turn.effects.batch);
            let mut source = CachedCells { cells: &mut self.cells, reads: &view };
            let context = TxContext { space: no, identity, now_ms: turn.now_ms, rng: &mut self.rng };
            let mut tx = Tx::new(&mut state, &mut source, context);
            catch_unwind(AssertUnwindSafe(|| run(&mut tx))).unwrap_or(Err(TxError::Panicked))
        };
        // What a failed transaction had opened is dropped with it: it holds edits that were never made.
        done?;
        let (transaction, fields) = state.finish();
        if transaction.edits.is_empty() {
            fields.into_iter().for_each(|(key, field)| self.cells.keep_field(key, field));
            return Ok(None);
        }
        self.check(&transaction)?;
        turn.effects.durable |= durability == Durability::Durable;
        let index = self.space(no)?.log.len();
        let dot = self.write(turn, no, Kind::Data, transaction.encode())?;
        for (key, mut field) in fields {
            // Its own deltas are in the field already.
            field.next = (index + 1, 0);
            self.cells.keep_field(key, field);
        }
        Ok(Some(dot))
    }

    fn commit(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        transaction: Transaction,
        durability: Durability,
    ) -> Result<Option<Dot>, EngineError> {
        self.may_write(no)?;
        if transaction.edits.is_empty() {
            return Ok(None);
        }
        self.check(&transaction)?;
        turn.effects.durable |= durability == Durability::Durable;
        self.write(turn, no, Kind::Data, transaction.encode()).map(Some)
    }

    /// Whether a transaction of this device has an effect, and the same at every peer.
    fn check(&self, transaction: &Transaction) -> Result<(), TxError> {
        let (author, stamp) = (self.device.id(), Stamp::from_u128(0));
        // What is void by itself is so whatever the stamp and id.
        crate::tx::check(transaction, Origin { author, stamp, event: EventId::from_bytes([0; 32]) })
    }

    fn may_write(&self, no: SpaceNo) -> Result<(), EngineError> {
        let (space, us) = (self.space(no)?, self.device.id());
        if space.is_joining(&us) {
            return Err(EngineError::Joining);
        }
        Ok(space.membership.may_write(&us)?)
    }

    /// Seals an event of this device and admits it.
    fn write(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<Dot, EngineError> {
        let space = self.spaces.get(&no).ok_or(EngineError::Joining)?;
        let writing = Writing { now_ms: turn.now_ms, device: &self.device, rng: &mut self.rng };
        let event = writing.seal(space, kind, payload)?;
        let arrival =
            Arrival { events: vec![event], frame: None, source: reknit_sync::Source::Local, from: None };
        match self.admit(turn, no, arrival)? {
            Admission::Admitted(_, Some(Waits { awaiting: Some((_, reason)), .. }))
            | Admission::Refused { reason, .. } => match reason {
                Refused::Access(refusal) => Err(refusal.into()),
                Refused::Control(why) => Err(EngineError::Invalid(why)),
                reason => Err(EngineError::Damaged(reason.to_string())),
            },
            Admission::Admitted(mut admitted, _) => admitted
                .pop()
                .map(|admitted| admitted.dot)
                .ok_or_else(|| EngineError::Damaged("an event written here was here already".to_owned())),
        }
    }

    /// Admits a group of events and tells those who watch.
    pub(crate) fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        arrival: Arrival,
    ) -> Result<Admission, EngineError> {
        let local = arrival.source == reknit_sync::Source::Local;
        let space = self.spaces.get_mut(&no).ok_or(EngineError::Joining)?;
        let mut desk = Desk {
            now_ms: turn.now_ms,
            joining: space.is_joining(&self.device.id()),
            reads: turn.reads,
            batch: &mut turn.effects.batch,
            cells: &mut self.cells,
        };
        let pending_before = space.log.pending_bytes();
        let mut admission = admit(space, &mut desk, arrival)?;
        self.pending_bytes += space.log.pending_bytes() - pending_before;
        turn.effects.own |= local;
        if space.round.membership_changed {
            self.changed_spaces.insert(no);
        }
        if let Admission::Admitted(admitted, _) = &mut admission {
            for event in admitted {
                let committed = Arc::new(event.take_committed(no, local));
                turn.effects.outputs.push(Output::Notice(Notice::Committed(committed)));
            }
        }
        Ok(admission)
    }

    fn space_info(&self, no: SpaceNo) -> Result<SpaceInfo, EngineError> {
        let space = self.space(no)?;
        let member = |(device, member): (DeviceId, &reknit_access::Member)| MemberInfo {
            device,
            name: member.name.clone(),
            role: member.role,
            since_ms: member.since.ms(),
        };
        let joining = space.is_joining(&self.device.id());
        let hints = space.ticket.iter().filter(|_| joining).flat_map(|ticket| &ticket.peers);
        let name = match &space.ticket {
            Some(ticket) if space.membership.name().is_empty() => ticket.space_name.clone(),
            _ => space.membership.name().to_owned(),
        };
        Ok(SpaceInfo {
            no,
            id: space.id,
            name,
            role: space.membership.member(&self.device.id()).map(|member| member.role),
            keys: Arc::clone(&space.keys),
            members: space.membership.members().map(member).collect(),
            hints: hints.map(|peer| (peer.device, peer.addrs.clone())).collect(),
        })
    }
}

/// One call of the engine.
pub(crate) struct Turn<'a> {
    pub(crate) now_ms: u64,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) effects: &'a mut Effects,
}

impl Turn<'_> {
    /// Answers a request. What endangers the peer is not the requester's affair alone: it is passed on.
    fn answer(&mut self, request: RequestId, reply: Result<Reply, EngineError>) -> Result<(), EngineError> {
        match reply {
            Err(error @ (EngineError::Store(_) | EngineError::Damaged(_))) => Err(error),
            reply => {
                self.effects.reply(request, reply);
                Ok(())
            }
        }
    }
}

/// The engine's cells as a transaction sees them.
struct CachedCells<'a> {
    cells: &'a mut Cells,
    reads: &'a dyn Reads,
}

impl crate::cells::CellSource for CachedCells<'_> {
    fn row(&mut self, key: &crate::layout::RowKey) -> Result<crate::row::Row, EngineError> {
        self.cells.row(self.reads, key)
    }

    fn open(&mut self, key: &CellKey) -> Result<crate::cells::OpenField, EngineError> {
        self.cells.take_field(self.reads, key)
    }
}

/// Bytes that a round gathers before it takes no further input.
const ROUND_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Texts and documents folded in one round at most, so that folding never holds up a commit for long.
const FOLDS_A_ROUND: usize = 2;

#[cfg(test)]
mod tests;
