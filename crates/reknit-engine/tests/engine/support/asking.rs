//! Requests to peers, and looks into them.

use super::{HOME, World};
use reknit_access::{Role, Ticket};
use reknit_engine::read::{self, Entity, Page};
use reknit_engine::store::{Direction, Durability, Reads, Table};
use reknit_engine::{EngineError, Input, MemberInfo, Reply, RequestId, SpaceNo, SpaceStatus, Tx, TxError};
use reknit_types::{Dot, Tip, VerifiedEvent};
use std::ops::ControlFlow;

impl World {
    /// Sends a request and runs until its reply is there.
    pub(crate) fn ask(
        &mut self,
        at: usize,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Reply, EngineError> {
        let request = self.begin(at, input);
        let end = self.now_ms + 60_000;
        while !self.peers[at].replies.contains_key(&request) {
            assert!(self.step(end), "no reply within a minute");
        }
        self.peers[at].replies.remove(&request).unwrap()
    }

    /// Sends a request.
    pub(crate) fn begin(&mut self, at: usize, input: impl FnOnce(RequestId) -> Input) -> RequestId {
        let request = RequestId(self.peers[at].next_request);
        self.peers[at].next_request += 1;
        self.round(at, vec![input(request)]);
        request
    }

    /// The reply to a request, if it is there.
    pub(crate) fn reply(&mut self, at: usize, request: RequestId) -> Option<Result<Reply, EngineError>> {
        self.peers[at].replies.remove(&request)
    }

    pub(crate) fn create(&mut self, at: usize) -> SpaceNo {
        match self.ask(at, |request| Input::Create { request, name: "home".to_owned() }) {
            Ok(Reply::Space(no)) => no,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn invite(&mut self, at: usize, role: Role, expires_ms: Option<u64>) -> Ticket {
        match self.ask(at, |request| Input::Invite { request, space: HOME, role, expires_ms }) {
            Ok(Reply::Ticket(ticket)) => *ticket,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, at: usize, ticket: &Ticket) -> Result<SpaceNo, EngineError> {
        let ticket = Box::new(ticket.clone());
        match self.ask(at, |request| Input::Join { request, ticket })? {
            Reply::Space(no) => Ok(no),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a transaction; the dot of its event, if it did anything.
    pub(crate) fn try_transact(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Result<Option<Dot>, EngineError> {
        let run = Box::new(run);
        let reply = self.ask(at, |request| Input::Transact {
            request,
            space: HOME,
            run,
            durability: Durability::Durable,
        })?;
        match reply {
            Reply::Committed(dot) => Ok(dot),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a transaction that does something.
    pub(crate) fn transact(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Dot {
        self.try_transact(at, run).unwrap().expect("the transaction did something")
    }

    pub(crate) fn status(&mut self, at: usize) -> SpaceStatus {
        let request = self.begin(at, |request| Input::Inspect { request, space: HOME });
        match self.reply(at, request) {
            Some(Ok(Reply::Status(status))) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Everything in the space: every entity of every collection, deleted ones too.
    pub(crate) fn contents(&self, at: usize) -> Vec<Entity> {
        let store = &self.peers[at].store;
        let page = Page { deleted: true, ..Page::ALL };
        let collections = read::collections(store, HOME).unwrap();
        collections.iter().flat_map(|name| read::entities(store, HOME, name, page).unwrap()).collect()
    }

    /// The last event of a peer, as it knows itself.
    pub(crate) fn tip(&self, at: usize) -> Tip {
        let events = self.events(at);
        let own = events.iter().filter(|event| event.header().author == self.id(at));
        own.map(VerifiedEvent::tip).max().expect("a member has joined")
    }

    /// What it takes at most to make two peers equal: 200 bytes an event that one of them lacks, its payload, and 2,000
    /// bytes in all.
    pub(crate) fn difference_bytes(&self, a: usize, b: usize) -> u64 {
        let lacking = |at: usize, other: usize| {
            let events = self.events(at);
            let lacks = |event: &&VerifiedEvent| !self.peers[other].admitted.contains(&event.id());
            events.iter().filter(lacks).map(|event| 200 + u64::from(event.header().payload_len)).sum::<u64>()
        };
        2_000 + lacking(a, b) + lacking(b, a)
    }

    pub(crate) fn events(&self, at: usize) -> Vec<VerifiedEvent> {
        let info = &self.peers[at].spaces[&HOME];
        read::newest_events(&self.peers[at].store, info, usize::MAX).unwrap()
    }

    /// Bytes of the largest record of a table.
    pub(crate) fn largest(&self, at: usize, table: Table) -> usize {
        let mut largest = 0;
        let mut visit = |_: &[u8], value: &[u8]| {
            largest = largest.max(value.len());
            ControlFlow::Continue(())
        };
        self.peers[at].store.scan_prefix(table, &[], Direction::Forward, &mut visit).unwrap();
        largest
    }

    /// How many records a table holds.
    pub(crate) fn count(&self, at: usize, table: Table) -> usize {
        let mut count = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        self.peers[at].store.scan_prefix(table, &[], Direction::Forward, &mut visit).unwrap();
        count
    }

    pub(crate) fn members(&self, at: usize) -> Vec<MemberInfo> {
        self.peers[at].spaces[&HOME].members.clone()
    }
}
