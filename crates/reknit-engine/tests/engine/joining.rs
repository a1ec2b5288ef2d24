use crate::support::{HOME, World, family};
use reknit_access::{INVITE_SEED_BYTES, InviteSecret, Role, Ticket};
use reknit_engine::store::Table;
use reknit_engine::{EngineError, Input, Notice};

#[test]
fn two_peers_join_by_ticket_and_converge() {
    let mut world = World::new(1, 2);
    world.create(0);
    let id = reknit_types::EntityId::from_bytes([1; 16]);
    world.transact(0, move |tx| tx.entity("notes", id)?.set("title", "hello").map(|_| ()));
    let ticket = world.invite(0, Role::Writer, None);
    world.connect(0, 1);
    assert_eq!(world.join(1, &ticket).unwrap(), HOME);
    world.converge();
    assert_eq!(world.members(0).len(), 2);
    assert_eq!(world.contents(1).len(), 1);
    for at in 0..2 {
        let status = world.status(at);
        assert!(status.peers[0].converged, "{status:#?}");
        assert!(status.reasons.is_empty(), "{:?}", status.reasons);
    }
}

#[test]
fn a_device_that_joins_before_it_is_connected_becomes_a_member_when_it_is() {
    let mut world = World::new(2, 2);
    world.create(0);
    let ticket = Box::new(world.invite(0, Role::Writer, None));
    let request = world.begin(1, |request| Input::Join { request, ticket });
    world.pass(5_000);
    assert!(world.reply(1, request).is_none());
    assert_eq!(world.status(1).reasons[0].code, "joining");
    assert!(matches!(world.try_transact(1, |tx| tx.create("notes").map(|_| ())), Err(EngineError::Joining)));
    world.connect(0, 1);
    world.pass(5_000);
    assert!(matches!(world.reply(1, request), Some(Ok(_))));
    world.converge();
}

#[test]
fn joining_goes_on_after_a_restart() {
    let mut world = World::new(3, 2);
    world.create(0);
    let ticket = Box::new(world.invite(0, Role::Writer, None));
    world.begin(1, |request| Input::Join { request, ticket });
    world.restart(1);
    world.connect(0, 1);
    world.pass(5_000);
    world.converge();
    assert_eq!(world.status(1).role, Some(Role::Writer));
}

#[test]
fn any_member_admits_while_the_inviter_is_away() {
    let mut world = World::new(4, 3);
    world.create(0);
    world.connect(0, 1);
    let ticket = world.invite(0, Role::Writer, None);
    world.join(1, &ticket).unwrap();
    world.converge_all(&[0, 1]);
    world.disconnect(0, 1);
    world.connect(1, 2);
    world.join(2, &ticket).unwrap();
    world.converge_all(&[1, 2]);
    world.disconnect(1, 2);
    world.connect(0, 2);
    world.converge();
}

/// The join is written and the stream is cut before anybody has heard of it.
#[test]
fn a_member_whose_join_nobody_knows_is_still_served() {
    let mut world = World::new(5, 2);
    world.create(0);
    let ticket = world.invite(0, Role::Writer, None);
    world.connect(0, 1);
    world.join(1, &ticket).unwrap();
    world.disconnect(0, 1);
    world.pass(1_000);
    assert_eq!(world.members(0).len(), 1);
    world.restart(1);
    world.connect(0, 1);
    world.converge();
    assert_eq!(world.members(0).len(), 2);
}

#[test]
fn an_expired_invite_is_refused_at_once() {
    let mut world = World::new(6, 2);
    world.create(0);
    let ticket = world.invite(0, Role::Writer, Some(world.now_ms + 1_000));
    world.connect(0, 1);
    world.pass(2_000);
    let refused = world.join(1, &ticket).unwrap_err();
    assert!(matches!(refused, EngineError::NotPermitted(reknit_access::Refusal::InviteExpired { .. })));
}

/// The joiner's clock is behind, so only the members know that the invite expired.
#[test]
fn an_invite_that_has_expired_for_the_members_gets_a_reply() {
    let mut world = World::new(7, 2);
    world.create(0);
    let ticket = world.invite(0, Role::Writer, Some(world.now_ms + 1_000));
    world.peers[1].skew_ms = -3_600_000;
    world.pass(2_000);
    world.connect(0, 1);
    let refused = world.join(1, &ticket).unwrap_err();
    assert!(matches!(refused, EngineError::JoinRefused(_)), "{refused}");
    assert_eq!(world.members(0).len(), 1);
}

#[test]
fn a_reader_reads_and_cannot_write() {
    let mut world = family(8, 2);
    let reader = world.add_peer();
    let ticket = world.invite(0, Role::Reader, None);
    world.connect(0, reader);
    world.join(reader, &ticket).unwrap();
    world.transact(1, |tx| tx.create("notes")?.set("a", 1i64).map(|_| ()));
    world.converge();
    assert_eq!(world.contents(reader).len(), 1);
    let refused = world.try_transact(reader, |tx| tx.create("notes").map(|_| ())).unwrap_err();
    assert!(matches!(refused, EngineError::NotPermitted(_)), "{refused}");
    let role = Role::Writer;
    let refused = world.ask(reader, |request| Input::Invite { request, space: HOME, role, expires_ms: None });
    assert!(matches!(refused, Err(EngineError::NotPermitted(_))));
    assert_eq!(world.contents(reader).len(), 1);
}

#[test]
fn asking_for_a_space_that_is_not_here_is_an_answer_not_a_failure() {
    let mut world = World::new(9, 1);
    let asked = world.ask(0, |request| Input::Inspect { request, space: HOME });
    assert!(asked.is_err());
    let asked = world.try_transact(0, |tx| tx.create("notes").map(|_| ()));
    assert!(asked.is_err());
}

#[test]
fn a_space_that_cannot_be_founded_leaves_nothing() {
    let mut world = World::new(10, 1);
    let name = "x".repeat(100_000);
    assert!(world.ask(0, |request| Input::Create { request, name }).is_err());
    world.restart(0);
    assert!(world.peers[0].spaces.is_empty());
    assert_eq!(world.create(0), HOME);
    world.restart(0);
    assert_eq!(world.status(0).events, 1);
}

/// Whoever holds an invite is served; what is kept of it is no more than of a member, and nothing of a stranger.
#[test]
fn a_stranger_who_is_served_and_never_joins_leaves_no_receipt() {
    let mut world = World::new(11, 2);
    world.create(0);
    let ticket = Box::new(world.invite(0, Role::Writer, Some(world.now_ms + 60_000)));
    world.begin(1, |request| Input::Join { request, ticket });
    // By its clock the invite has expired when it has got the history, so it cannot write its join.
    world.peers[1].skew_ms = 300_000;
    world.connect(0, 1);
    world.pass(30_000);
    assert_eq!(world.status(1).events, world.status(0).events);
    let converged = |notice: &Notice| matches!(notice, Notice::Converged { .. });
    assert!(world.peers[0].notices.iter().any(converged));
    assert_eq!((world.members(0).len(), world.count(0, Table::Receipts)), (1, 0));
}

#[test]
fn whoever_gave_up_waiting_for_a_join_takes_no_room() {
    let mut world = World::new(11, 2);
    world.create(0);
    let ticket = world.invite(0, Role::Writer, None);
    for _ in 0..200 {
        let ticket = Box::new(ticket.clone());
        let request = world.begin(1, |request| Input::Join { request, ticket });
        assert!(world.reply(1, request).is_none());
        world.begin(1, |_| Input::Forget { request });
    }
    // Even those who leave without a word make room for the same space.
    for _ in 0..200 {
        let ticket = Box::new(ticket.clone());
        let request = world.begin(1, |request| Input::Join { request, ticket });
        assert!(world.reply(1, request).is_none());
    }
    world.connect(0, 1);
    world.join(1, &ticket).unwrap();
    world.converge();
}

#[test]
fn a_space_that_is_still_being_joined_can_be_given_up_and_joined_again() {
    let mut world = World::new(12, 2);
    world.create(0);
    let expired = world.invite(0, Role::Writer, Some(world.now_ms + 1_000));
    world.peers[1].skew_ms = -3_600_000;
    world.pass(2_000);
    world.connect(0, 1);
    assert!(matches!(world.join(1, &expired), Err(EngineError::JoinRefused(_))));
    assert_eq!(world.status(1).reasons[0].code, "join-refused");
    let left = world.ask(1, |request| Input::Leave { request, space: HOME });
    assert!(left.is_ok(), "{left:?}");
    assert!(world.ask(1, |request| Input::Inspect { request, space: HOME }).is_err());
    let stayed = world.ask(0, |request| Input::Leave { request, space: HOME });
    assert!(matches!(stayed, Err(EngineError::Invalid(_))), "a member stays: {stayed:?}");

    world.restart(1);
    assert!(world.ask(1, |request| Input::Inspect { request, space: HOME }).is_err());
    world.peers[1].skew_ms = 0;
    let ticket = world.invite(0, Role::Writer, None);
    world.connect(0, 1);
    assert_eq!(world.join(1, &ticket).unwrap(), HOME);
    world.converge();
}

/// A stranger has the key of the space and no invite. A device that is joining does not know the members yet.
#[test]
fn a_device_that_is_joining_gives_strangers_nothing_then_or_later() {
    for stranger_first in [true, false] {
        let mut world = World::new(13, 3);
        world.create(0);
        for _ in 0..20 {
            world.transact(0, |tx| tx.create("notes")?.set("title", "secret").map(|_| ()));
        }
        let ticket = world.invite(0, Role::Writer, None);
        let mut forged = ticket.clone();
        forged.invite_secret = InviteSecret::from_seed([7; INVITE_SEED_BYTES]);
        let begin = |world: &mut World, at: usize, ticket: &Ticket| {
            let ticket = Box::new(ticket.clone());
            world.begin(at, |request| Input::Join { request, ticket });
        };
        begin(&mut world, 2, &forged);
        if stranger_first {
            begin(&mut world, 1, &ticket);
            world.connect(1, 2);
            world.pass(1_000);
            world.connect(0, 1);
        } else {
            world.connect(0, 1);
            begin(&mut world, 1, &ticket);
            world.connect(1, 2);
        }
        world.pass(5_000);
        assert_eq!(world.status(1).role, Some(Role::Writer));
        world.transact(1, |tx| tx.create("notes")?.set("title", "secret").map(|_| ()));
        world.pass(60_000);
        assert_eq!(world.status(2).events, 0, "events went to a stranger");
        assert!(world.status(1).peers.iter().all(|peer| peer.device != world.id(2)));
        world.converge_all(&[0, 1]);
    }
}

#[test]
fn a_device_that_has_the_history_and_cannot_join_gives_strangers_nothing() {
    let mut world = World::new(15, 3);
    world.create(0);
    world.transact(0, |tx| tx.create("notes")?.set("title", "secret").map(|_| ()));
    let ticket = world.invite(0, Role::Writer, Some(world.now_ms + 60_000));
    let mut forged = ticket.clone();
    forged.invite_secret = InviteSecret::from_seed([7; INVITE_SEED_BYTES]);
    for (at, ticket) in [(1, ticket), (2, forged)] {
        world.begin(at, |request| Input::Join { request, ticket: Box::new(ticket) });
        // By their clocks the invite has expired when they get the history.
        world.peers[at].skew_ms = 300_000;
    }
    world.connect(1, 2);
    world.connect(0, 1);
    world.pass(30_000);
    assert_eq!((world.status(1).events, world.status(1).role), (world.status(0).events, None));
    assert_eq!(world.status(2).events, 0, "events went to a stranger");
}

#[test]
fn two_devices_that_join_at_once_both_get_in_though_only_one_of_them_reaches_a_member() {
    for seed in 14..24 {
        let mut world = World::new(seed, 3);
        world.create(0);
        world.transact(0, |tx| tx.create("notes")?.set("title", "hello").map(|_| ()));
        let ticket = world.invite(0, Role::Writer, None);
        let begin = |world: &mut World, at: usize| {
            let ticket = Box::new(ticket.clone());
            world.begin(at, |request| Input::Join { request, ticket })
        };
        let requests = [begin(&mut world, 1), begin(&mut world, 2)];
        world.connect(1, 2);
        world.pass(20_000);
        world.connect(0, 1);
        world.converge();
        assert_eq!(world.members(0).len(), 3);
        assert!(matches!(world.reply(1, requests[0]), Some(Ok(_))));
        assert!(matches!(world.reply(2, requests[1]), Some(Ok(_))));
    }
}

/// Two members know nothing of each other's joins, and meet at a device that joins.
#[test]
fn a_device_that_joins_brings_members_together_who_do_not_know_each_other() {
    for seed in 24..34 {
        let mut world = World::new(seed, 4);
        world.create(0);
        let ticket = world.invite(0, Role::Writer, None);
        for at in 1..3 {
            world.connect(0, at);
            world.join(at, &ticket).unwrap();
            world.disconnect(0, at);
            world.transact(at, |tx| tx.create("notes")?.set("title", "mine").map(|_| ()));
        }
        world.restart_with(0, reknit_engine::store::MemoryStore::new());
        world.connect(1, 3);
        world.connect(2, 3);
        world.join(3, &ticket).unwrap();
        world.converge_all(&[1, 2, 3]);
        assert_eq!(world.members(3).len(), 4);
    }
}
