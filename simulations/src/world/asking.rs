//! Requests to peers, and looks into them: what an app on the device would do.

use super::{Violation, World};
use crate::network::PeerNo;
use reknit_access::{Role, Ticket};
use reknit_engine::read::{self, Entity, Page};
use reknit_engine::store::{Durability, Reads, StoreError};
use reknit_engine::{
    EngineError, Glance, Input, MemberInfo, Reply, RequestId, Run, SpaceInfo, SpaceNo, SpaceStatus, Tx,
    TxError,
};
use reknit_types::{Dot, EntityId, Name, VerifiedEvent};
use std::sync::Arc;
use std::time::Duration;

/// The space that a simulation sets up, at every peer.
pub const HOME: SpaceNo = SpaceNo(1);

impl World {
    /// Asks the peer to do this, without waiting for it; `None` if it does not run.
    pub fn submit(
        &mut self,
        peer: PeerNo,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Option<RequestId> {
        self.submit_for(peer, Durability::Durable, run)
    }

    /// As [`World::submit`], for a person who waits for the disk or not.
    pub(crate) fn submit_for(
        &mut self,
        peer: PeerNo,
        durability: Durability,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Option<RequestId> {
        let (run, space): (Run, _) = (Box::new(run), HOME);
        self.begin(peer, |request| Input::Transact { request, space, run, durability })
    }

    /// Asks something of a peer; `None` if it does not run.
    pub(crate) fn begin(
        &mut self,
        peer: PeerNo,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Option<RequestId> {
        self.peers[peer].running()?;
        let request = RequestId(self.peers[peer].next_request);
        self.peers[peer].next_request += 1;
        self.input(peer, input(request));
        Some(request)
    }

    /// The reply to a request, once it is there.
    pub fn take_reply(&mut self, peer: PeerNo, request: RequestId) -> Option<Result<Reply, EngineError>> {
        self.peers[peer].running_mut()?.replies.remove(&request)
    }

    /// Asks something of a peer and lets time pass until the answer is there.
    pub(crate) fn ask(
        &mut self,
        peer: PeerNo,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Reply, AskError> {
        let request = self.begin(peer, input).ok_or(AskError::NotRunning { peer })?;
        let mut reply = None;
        self.pass_until(ANSWER_MAX, |world| {
            reply = world.take_reply(peer, request);
            reply.is_some() || world.peers[peer].running().is_none()
        })?;
        reply.ok_or(AskError::NoAnswer { peer })?.map_err(AskError::Refused)
    }

    /// Runs a transaction at a peer and waits until it is acknowledged; the event that it became, if it did anything.
    ///
    /// # Errors
    /// [`AskError`], if the peer does not run, stops, or refuses, or if the simulation fails meanwhile.
    pub fn transact(
        &mut self,
        peer: PeerNo,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Result<Option<Dot>, AskError> {
        let run: Run = Box::new(run);
        let (space, durability) = (HOME, Durability::Durable);
        match self.ask(peer, |request| Input::Transact { request, space, run, durability })? {
            Reply::Committed(dot) => Ok(dot),
            other => Err(AskError::Strange(format!("{other:?}"))),
        }
    }

    pub(crate) fn create(&mut self, peer: PeerNo) -> Result<SpaceNo, AskError> {
        match self.ask(peer, |request| Input::Create { request, name: "home".to_owned() })? {
            Reply::Space(no) => Ok(no),
            other => Err(AskError::Strange(format!("{other:?}"))),
        }
    }

    /// A ticket into the space, written by this peer.
    ///
    /// # Errors
    /// As for [`World::transact`].
    pub fn invite(&mut self, peer: PeerNo, role: Role) -> Result<Ticket, AskError> {
        let ask = |request| Input::Invite { request, space: HOME, role, expires_ms: None };
        match self.ask(peer, ask)? {
            Reply::Ticket(ticket) => Ok(*ticket),
            other => Err(AskError::Strange(format!("{other:?}"))),
        }
    }

    /// A peer begins to join with a ticket. It needs to be introduced to a member.
    pub fn begin_join(&mut self, peer: PeerNo, ticket: &Ticket) -> Option<RequestId> {
        let ticket = Box::new(ticket.clone());
        self.begin(peer, |request| Input::Join { request, ticket })
    }

    /// How the space stands at a peer that runs, as `reknit status` and `reknit why` have it.
    ///
    /// # Errors
    /// As for [`World::transact`].
    pub fn status(&mut self, peer: PeerNo) -> Result<SpaceStatus, AskError> {
        match self.ask(peer, |request| Input::Inspect { request, space: HOME })? {
            Reply::Status(status) => Ok(*status),
            other => Err(AskError::Strange(format!("{other:?}"))),
        }
    }

    /// As [`World::status`], in no time: nothing else happens meanwhile.
    pub(crate) fn look(&mut self, peer: PeerNo) -> Result<SpaceStatus, AskError> {
        let now_ms = self.peers[peer].clock.now_ms(self.now);
        self.peers[peer].look(now_ms, HOME).ok_or(AskError::NotRunning { peer })?.map_err(AskError::Refused)
    }

    /// How far a peer is; `None` if it does not run, or does not have the space.
    pub fn glance(&self, peer: PeerNo) -> Option<Glance> {
        self.peers[peer].running()?.engine.glance(HOME)
    }

    /// A peer that runs and tells the truth.
    pub(crate) fn someone_honest(&self) -> Option<PeerNo> {
        (0..self.peers())
            .find(|peer| self.peers[*peer].acts() && !self.checks.is_hostile(*peer) && !self.has_left(*peer))
    }

    /// Whether nobody waits for a peer any more.
    pub(crate) fn has_left(&self, peer: PeerNo) -> bool {
        self.peers[peer].left
    }

    /// Why a peer does not run; none if it does.
    pub fn down(&self, peer: PeerNo) -> Option<&str> {
        match &self.peers[peer].state {
            crate::peer::State::Running(_) => None,
            crate::peer::State::Down(why) => Some(why),
        }
    }

    /// What is on the disk of a peer.
    ///
    /// # Errors
    /// [`EngineError::Store`] while its store is not open.
    pub fn reads(&self, peer: PeerNo) -> Result<&dyn Reads, EngineError> {
        self.peers[peer].disk.reads().ok_or(EngineError::Store(StoreError::Closed))
    }

    /// What is known of the space at a peer that runs.
    pub fn space(&self, peer: PeerNo) -> Option<&Arc<SpaceInfo>> {
        self.peers[peer].running()?.spaces.get(&HOME)
    }

    /// The members of the space, as a peer knows them.
    pub fn members(&self, peer: PeerNo) -> Vec<MemberInfo> {
        self.space(peer).map(|space| space.members.clone()).unwrap_or_default()
    }

    /// An entity as a peer has it; `None` if it was never seen there.
    ///
    /// # Errors
    /// [`EngineError`] if the store fails.
    pub fn entity(
        &self,
        peer: PeerNo,
        collection: &Name,
        id: EntityId,
    ) -> Result<Option<Entity>, EngineError> {
        read::entity(self.reads(peer)?, HOME, collection, id)
    }

    /// Every entity of a collection that is not deleted, as a peer has it.
    ///
    /// # Errors
    /// As for [`World::entity`].
    pub fn entities(&self, peer: PeerNo, collection: &Name) -> Result<Vec<Entity>, EngineError> {
        read::entities(self.reads(peer)?, HOME, collection, Page::ALL)
    }

    /// Everything in the space at a peer: every entity of every collection, deleted ones too.
    ///
    /// # Errors
    /// As for [`World::entity`].
    pub fn contents(&self, peer: PeerNo) -> Result<Vec<Entity>, EngineError> {
        let (reads, page) = (self.reads(peer)?, Page { deleted: true, ..Page::ALL });
        let mut contents = vec![];
        for collection in read::collections(reads, HOME)? {
            contents.extend(read::entities(reads, HOME, &collection, page)?);
        }
        Ok(contents)
    }

    /// Every event of the space at a peer that runs, the newest first.
    ///
    /// # Errors
    /// As for [`World::entity`].
    pub fn events(&self, peer: PeerNo) -> Result<Vec<VerifiedEvent>, EngineError> {
        self.newest(peer, usize::MAX)
    }

    pub(crate) fn newest(&self, peer: PeerNo, count: usize) -> Result<Vec<VerifiedEvent>, EngineError> {
        match self.space(peer) {
            Some(space) => read::newest_events(self.reads(peer)?, space, count),
            None => Ok(vec![]),
        }
    }
}

/// A peer was asked something and did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Its process is down: start it, or ask another.
    #[error("peer {peer} does not run")]
    NotRunning {
        /// Which peer.
        peer: PeerNo,
    },
    /// It stopped, or does not come to an answer.
    #[error("peer {peer} gave no answer within {} virtual seconds", ANSWER_MAX.as_secs())]
    NoAnswer {
        /// Which peer.
        peer: PeerNo,
    },
    /// It refused.
    #[error("{0}")]
    Refused(EngineError),
    /// The answer is one to another question.
    #[error("a strange answer: {0}")]
    Strange(String),
    /// Meanwhile the simulation found a rule broken.
    #[error(transparent)]
    Violation(#[from] Violation),
}

const ANSWER_MAX: Duration = Duration::from_secs(120);
