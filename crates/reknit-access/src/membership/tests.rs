use super::*;
use crate::invite::InviteSecret;
use proptest::prelude::*;
use reknit_types::{DecodeError, DeviceKey, Epoch};

const NOW: u64 = 1_700_000_000_000;

/// A control event as its author would have made it.
#[derive(Debug, Clone)]
struct Made {
    id: EventId,
    header: Header,
    control: Control,
}

fn device(seed: u8) -> DeviceId {
    DeviceKey::from_seed(&[seed; 32]).id()
}

fn space() -> SpaceId {
    SpaceId::found(device(0), &[9; 32])
}

fn secret(seed: u8) -> InviteSecret {
    InviteSecret::from_seed([seed; 16])
}

fn header(kind: Kind, author: DeviceId, seq: u64, prev: Option<EventId>, ms: u64) -> Header {
    Header {
        kind,
        space: space(),
        author,
        seq,
        prev,
        parents: vec![],
        stamp: Stamp::from_parts(ms, 0).unwrap(),
        epoch: Epoch::FIRST,
        payload_len: 0,
        payload_hash: [0; 32],
    }
}

/// `prev` gives place and id of the author's event before.
fn make(
    author: DeviceId,
    prev: Option<(u64, EventId)>,
    ms: u64,
    parents: &[EventId],
    action: Action,
) -> Made {
    let mut header =
        header(Kind::Control, author, prev.map_or(1, |prev| prev.0 + 1), prev.map(|prev| prev.1), ms);
    let mut parents = parents.to_vec();
    parents.sort();
    let control = Control { parents, action };
    header.payload_hash = *blake3::hash(&control.encode()).as_bytes();
    Made { id: header.id(), header, control }
}

fn found() -> Made {
    let action = Action::Found { nonce: [9; 32], name: "garden".into(), device_name: "laptop".into() };
    make(device(0), None, NOW, &[], action)
}

fn invited(by: u8, prev: (u64, EventId), ms: u64, parents: &[EventId], role: Role) -> Made {
    let action = Action::Invite { key: secret(1).id(), role, expires_ms: Some(NOW + 1000) };
    make(device(by), Some(prev), ms, parents, action)
}

fn joined(seed: u8, ms: u64, parents: &[EventId], invite: EventId) -> Made {
    let proof = secret(1).proof(space(), device(seed), invite);
    let action = Action::Join { invite, proof, device_name: format!("device {seed}") };
    make(device(seed), None, ms, parents, action)
}

fn check(membership: &Membership, made: &Made) -> Result<(), Refusal> {
    membership.check(&made.header, Some(&made.control))
}

fn admit(membership: &mut Membership, made: &Made) {
    check(membership, made).unwrap();
    membership.apply(made.id, &made.header, &made.control);
}

fn admitted(events: &[&Made]) -> Membership {
    let mut membership = Membership::new(space());
    events.iter().for_each(|made| admit(&mut membership, made));
    membership
}

/// A garden with a writer's invite.
fn garden(role: Role) -> (Membership, Made, Made) {
    let found = found();
    let invite = invited(0, (1, found.id), NOW + 1, &[found.id], role);
    (admitted(&[&found, &invite]), found, invite)
}

fn write(author: u8, seq: u64, prev: EventId) -> Header {
    header(Kind::Data, device(author), seq, Some(prev), NOW + 50)
}

#[test]
fn the_founder_is_an_admin_and_writes() {
    let found = found();
    let membership = admitted(&[&found]);
    let member = membership.member(&device(0)).unwrap();
    assert_eq!((member.role, member.name.as_str(), membership.name()), (Role::Admin, "laptop", "garden"));
    membership.check(&write(0, 2, found.id), None).unwrap();
    membership.may_write(&device(0)).unwrap();
}

#[test]
fn nobody_else_founds_the_space() {
    let empty = Membership::new(space());
    let action = found().control.action;
    let stranger = make(device(1), None, NOW, &[], action.clone());
    assert_eq!(check(&empty, &stranger), Err(Refusal::NotFounder(device(1))));
    let mut late = found();
    late.header.parents = vec![EventId::from_bytes([1; 32])];
    assert_eq!(check(&empty, &late), Err(Refusal::NotFounder(device(0))));
    let second = make(device(0), Some((1, found().id)), NOW + 1, &[], action);
    assert_eq!(check(&empty, &second), Err(Refusal::ChainStart));
}

#[test]
fn a_writer_joins_writes_and_invites() {
    let (mut membership, _, invite) = garden(Role::Writer);
    let join = joined(1, NOW + 2, &[invite.id], invite.id);
    admit(&mut membership, &join);
    let member = membership.member(&device(1)).unwrap();
    assert_eq!(
        (member.role, member.invited_by, member.invite),
        (Role::Writer, Some(device(0)), Some(invite.id))
    );
    membership.check(&write(1, 2, join.id), None).unwrap();
    membership.check(&write(1, 3, invite.id), None).unwrap();
    check(&membership, &invited(1, (1, join.id), NOW + 3, &[join.id], Role::Writer)).unwrap();
}

#[test]
fn a_reader_joins_and_neither_writes_nor_invites() {
    let (mut membership, _, invite) = garden(Role::Reader);
    let join = joined(1, NOW + 2, &[invite.id], invite.id);
    admit(&mut membership, &join);
    let refused = Err(Refusal::RoleTooLow { held: Role::Reader, needed: Role::Writer });
    assert_eq!(membership.check(&write(1, 2, join.id), None), refused);
    assert_eq!(membership.may_write(&device(1)), refused);
    let invites = invited(1, (1, join.id), NOW + 3, &[join.id], Role::Reader);
    assert_eq!(check(&membership, &invites), refused);
}

#[test]
fn an_invite_gives_no_other_role_than_reader_or_writer() {
    let (membership, found, _) = garden(Role::Writer);
    for role in [Role::Relay, Role::Admin] {
        let invite = invited(0, (1, found.id), NOW + 2, &[found.id], role);
        assert_eq!(check(&membership, &invite), Err(Refusal::NotInvitable(role)));
    }
}

#[test]
fn strangers_write_nothing() {
    let (membership, found, invite) = garden(Role::Writer);
    assert_eq!(membership.check(&write(1, 2, found.id), None), Err(Refusal::NotMember(device(1))));
    assert_eq!(membership.check(&write(1, 3, found.id), None), Err(Refusal::NotMember(device(1))));
    let first = header(Kind::Data, device(1), 1, None, NOW + 50);
    assert_eq!(membership.check(&first, None), Err(Refusal::ChainStart));
    let invites = invited(1, (1, found.id), NOW + 2, &[invite.id], Role::Reader);
    assert_eq!(check(&membership, &invites), Err(Refusal::NotMember(device(1))));
}

#[test]
fn a_member_that_forks_its_chain_before_its_join_is_refused_there() {
    let (mut membership, found, invite) = garden(Role::Writer);
    admit(&mut membership, &joined(1, NOW + 2, &[invite.id], invite.id));
    assert_eq!(
        membership.check(&header(Kind::Data, device(1), 1, None, NOW), None),
        Err(Refusal::ChainStart)
    );
    assert_eq!(membership.check(&write(1, 2, found.id), None), Err(Refusal::NotMember(device(1))));
}

#[test]
fn a_fork_at_the_join_has_on_each_branch_the_role_of_its_own_join() {
    let (mut membership, found, reader) = garden(Role::Reader);
    let writer = invited(0, (2, reader.id), NOW + 2, &[found.id, reader.id], Role::Writer);
    admit(&mut membership, &writer);
    let as_writer = joined(1, NOW + 3, &[writer.id], writer.id);
    let as_reader = joined(1, NOW + 4, &[writer.id], reader.id);
    for order in [[&as_writer, &as_reader], [&as_reader, &as_writer]] {
        let mut membership = membership.clone();
        order.into_iter().for_each(|join| admit(&mut membership, join));
        membership.check(&write(1, 2, as_writer.id), None).unwrap();
        let refused = Refusal::RoleTooLow { held: Role::Reader, needed: Role::Writer };
        assert_eq!(membership.check(&write(1, 2, as_reader.id), None), Err(refused));
        let member = membership.member(&device(1)).unwrap();
        assert_eq!((member.role, member.start), (Role::Writer, as_writer.id));
    }
}

#[test]
fn of_several_beginnings_the_earliest_gives_the_name_and_the_strongest_the_role() {
    let (mut membership, found, reader) = garden(Role::Reader);
    let writer = invited(0, (2, reader.id), NOW + 2, &[found.id, reader.id], Role::Writer);
    admit(&mut membership, &writer);
    let first = joined(1, NOW + 3, &[writer.id], reader.id);
    let second = joined(1, NOW + 4, &[writer.id], writer.id);
    let action = Action::Found { nonce: [9; 32], name: "yard".into(), device_name: "copy".into() };
    let refounded = make(device(0), None, NOW - 1, &[], action);
    for order in [[&first, &second, &refounded], [&refounded, &second, &first]] {
        let mut membership = membership.clone();
        order.into_iter().for_each(|made| admit(&mut membership, made));
        let member = membership.member(&device(1)).unwrap();
        assert_eq!((member.role, member.start, member.invite), (Role::Writer, first.id, Some(reader.id)));
        assert_eq!(
            (membership.name(), membership.member(&device(0)).unwrap().name.as_str()),
            ("yard", "copy")
        );
    }
}

#[test]
fn a_device_joins_once_as_far_as_it_knows() {
    let (mut membership, found, invite) = garden(Role::Writer);
    let join = joined(1, NOW + 2, &[invite.id], invite.id);
    admit(&mut membership, &join);
    let again = joined(1, NOW + 3, &[join.id], invite.id);
    assert_eq!(check(&membership, &again), Err(Refusal::AlreadyMember(device(1))));
    let founder = joined(0, NOW + 3, &[found.id, invite.id], invite.id);
    assert_eq!(check(&membership, &founder), Err(Refusal::AlreadyMember(device(0))));
    check(&membership, &joined(1, NOW + 3, &[invite.id], invite.id)).unwrap();
}

#[test]
fn an_invite_serves_many_devices_until_it_expires() {
    let (mut membership, _, invite) = garden(Role::Writer);
    for seed in 1..5 {
        admit(&mut membership, &joined(seed, NOW + 1000, &[invite.id], invite.id));
    }
    assert_eq!(membership.members().count(), 5);
    let late = joined(6, NOW + 1001, &[invite.id], invite.id);
    assert_eq!(check(&membership, &late), Err(Refusal::InviteExpired { expires_ms: NOW + 1000 }));
}

#[test]
fn a_join_needs_an_invite_in_its_own_past() {
    let (membership, found, invite) = garden(Role::Writer);
    let blind = joined(1, NOW + 2, &[found.id], invite.id);
    assert_eq!(check(&membership, &blind), Err(Refusal::UnknownInvite(invite.id)));
    let no_invite = joined(1, NOW + 2, &[invite.id], found.id);
    assert_eq!(check(&membership, &no_invite), Err(Refusal::UnknownInvite(found.id)));
    let rootless = joined(1, NOW + 2, &[], invite.id);
    assert_eq!(check(&membership, &rootless), Err(Refusal::UnknownInvite(invite.id)));
}

#[test]
fn a_proof_copied_from_another_device_or_space_is_refused() {
    let (membership, _, invite) = garden(Role::Writer);
    let copied = joined(1, NOW + 2, &[invite.id], invite.id).control.action;
    let replayed = make(device(2), None, NOW + 3, &[invite.id], copied);
    assert_eq!(check(&membership, &replayed), Err(Refusal::BadProof(device(2))));

    let elsewhere = SpaceId::from_bytes([7; 32]);
    let proof = secret(1).proof(elsewhere, device(1), invite.id);
    let action = Action::Join { invite: invite.id, proof, device_name: "d".into() };
    let moved = make(device(1), None, NOW + 3, &[invite.id], action);
    assert_eq!(check(&membership, &moved), Err(Refusal::BadProof(device(1))));
    let mut foreign = joined(1, NOW + 2, &[invite.id], invite.id);
    foreign.header.space = elsewhere;
    assert_eq!(check(&membership, &foreign), Err(Refusal::WrongSpace));
}

#[test]
fn a_join_stands_at_the_beginning_of_its_chain() {
    let (membership, found, invite) = garden(Role::Writer);
    let join = joined(1, NOW + 2, &[invite.id], invite.id);
    let later = make(device(1), Some((1, found.id)), NOW + 2, &[invite.id], join.control.action);
    assert_eq!(check(&membership, &later), Err(Refusal::ChainStart));
}

#[test]
fn a_control_event_waits_for_its_control_parents() {
    let (_, found, invite) = garden(Role::Writer);
    let early = joined(1, NOW + 2, &[invite.id], invite.id);
    let refusal = check(&admitted(&[&found]), &early).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownControlParent(invite.id));
    assert!(!refusal.is_final());
    assert!(Refusal::BadProof(device(1)).is_final());
}

#[test]
fn stamps_rise_along_control_parents() {
    let (membership, _, invite) = garden(Role::Writer);
    let backdated = joined(1, NOW + 1, &[invite.id], invite.id);
    assert_eq!(check(&membership, &backdated), Err(Refusal::StampNotAfterParent(invite.id)));
}

#[test]
fn header_and_payload_agree_on_their_kind() {
    let (membership, found, _) = garden(Role::Writer);
    assert_eq!(membership.check(&found.header, None), Err(Refusal::WrongKind));
    assert_eq!(membership.check(&write(0, 2, found.id), Some(&found.control)), Err(Refusal::WrongKind));
}

#[test]
fn a_stranger_with_a_valid_invite_is_admitted_so_that_it_can_join() {
    let (membership, _, invite) = garden(Role::Writer);
    let proof = secret(1).proof(space(), device(1), invite.id);
    assert_eq!(membership.admits(device(1), invite.id, &proof, NOW), Ok(Role::Writer));
    assert_eq!(membership.admits(device(2), invite.id, &proof, NOW), Err(Refusal::BadProof(device(2))));
    let expired = Refusal::InviteExpired { expires_ms: NOW + 1000 };
    assert_eq!(membership.admits(device(1), invite.id, &proof, NOW + 1001), Err(expired));
    let unknown = EventId::from_bytes([1; 32]);
    assert_eq!(membership.admits(device(1), unknown, &proof, NOW), Err(Refusal::UnknownInvite(unknown)));
    assert_eq!(membership.admits(device(0), unknown, &proof, NOW + 9999), Ok(Role::Admin));
}

#[test]
fn an_author_with_too_many_heads_names_those_that_prove_its_right() {
    let (mut membership, _, invite) = garden(Role::Writer);
    let joins: Vec<_> = (1..=60).map(|seed| joined(seed, NOW + 2, &[invite.id], invite.id)).collect();
    joins.iter().for_each(|join| admit(&mut membership, join));
    assert_eq!(membership.heads().len(), 60);
    for (seed, join) in (1..).zip(&joins) {
        let action = Action::Invite { key: secret(2).id(), role: Role::Reader, expires_ms: None };
        let parents = membership.parents_for(device(seed), &action);
        assert_eq!(parents.len(), CONTROL_PARENTS_MAX);
        check(&membership, &make(device(seed), Some((1, join.id)), NOW + 3, &parents, action)).unwrap();
    }
}

#[test]
fn a_peer_takes_in_a_bounded_number_of_control_events() {
    let (mut membership, _, invite) = garden(Role::Writer);
    let deed = Deed::Invite { key: secret(1).id(), role: Role::Reader, expires_ms: None };
    let (author, stamp) = (device(0), Stamp::from_parts(NOW + 2, 0).unwrap());
    for number in 0..CONTROL_EVENTS_MAX as u64 - 2 {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let node = Node { author, stamp, parents: membership.heads.clone(), deed: deed.clone() };
        membership.insert(EventId::from_bytes(id), node).unwrap();
    }
    let refusal = check(&membership, &joined(1, NOW + 3, &[invite.id], invite.id)).unwrap_err();
    assert_eq!((refusal.is_final(), refusal), (false, Refusal::Full));
}

#[test]
fn a_state_with_a_stamp_or_an_invite_out_of_place_is_refused() {
    let (membership, _, invite) = garden(Role::Writer);
    let mut bytes = membership.encode();
    *bytes.last_mut().unwrap() ^= 0x80;
    assert!(Membership::decode(&bytes).is_err());
    assert!(matches!(Membership::decode(&[2]), Err(DecodeError::Version { found: 2, .. })));
    let mut backwards = membership.clone();
    backwards.nodes.get_mut(&invite.id).unwrap().stamp = Stamp::from_parts(NOW, 0).unwrap();
    let refused = Err(DecodeError::Invalid("stamp of a control event"));
    assert_eq!(Membership::decode(&backwards.encode()), refused);
}

#[test]
fn the_bytes_of_a_saved_membership_stay_as_they_are() {
    let (mut membership, _, invite) = garden(Role::Writer);
    admit(&mut membership, &joined(1, NOW + 2, &[invite.id], invite.id));
    assert_eq!(
        data_encoding::HEXLOWER.encode(&membership.encode()),
        concat!(
            "01a72d0d1cacdf839c6bc6abfb89b5512e014040ae0a09b4864407197cd95222a30346ee635f5d1b76383844faa2b993",
            "0bca8216bc7c2c1d966d6600d261e15503c1bdd1dc1cf3f74082850ebb85edd1b9f79fafa5a657d0ccf848a31b858b9d",
            "7e8de755247187a391667f69f8ea93c7d883c77b998c57cbc6095c43d0acfe435ff98a88e3dd7409f195fd52db2d3cba",
            "5d72ca6709bf1d94121bf3748801b40f6f5c018bcfe5680200000000000000000000010203020864657669636520313b",
            "6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29018bcfe568000000000000000000000000",
            "010667617264656e066c6170746f703b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da2901",
            "8bcfe56801000000000000000000000101022c4ed76a7f1f27aa7ff0d77dff1dabb68e09d6da315581acde714dac410a",
            "18fd0201e8d795ffbc31",
        )
    );
}

/// One step of a random history: who acts, what it does, and how much of the control DAG it knows.
#[derive(Debug, Clone)]
struct Step {
    by: u8,
    join: bool,
    writer: bool,
    pick: usize,
    known: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..6, any::<bool>(), any::<bool>(), 0usize..64, 0usize..64)
        .prop_map(|(by, join, writer, pick, known)| Step { by, join, writer, pick, known });
    proptest::collection::vec(step, 1..24)
}

/// Plays the steps; keeps the events that pass the check of a peer that knows just their causal past.
fn play(steps: &[Step]) -> Vec<Made> {
    let mut events = vec![found()];
    for (step, ms) in steps.iter().zip(NOW + 1..) {
        let past = &events[..=step.known % events.len()];
        let view = admitted(&past.iter().collect::<Vec<_>>());
        let invites: Vec<_> = view.invites().map(|(id, _)| id).collect();
        let own = past.iter().filter(|made| made.header.author == device(step.by));
        let last = own.max_by_key(|made| made.header.seq).map(|made| (made.header.seq, made.id));
        let made = match (step.join, last, invites.is_empty()) {
            (true, _, false) => joined(step.by, ms, view.heads(), invites[step.pick % invites.len()]),
            (false, Some(last), _) => {
                let role = if step.writer { Role::Writer } else { Role::Reader };
                invited(step.by, last, ms, view.heads(), role)
            }
            _ => continue,
        };
        if check(&view, &made).is_ok() {
            events.push(made);
        }
    }
    events
}

/// The events in a causal order chosen by `picks`.
fn shuffled(events: &[Made], picks: &[usize]) -> Vec<Made> {
    let (mut rest, mut order) = (events.to_vec(), Vec::<Made>::new());
    for pick in picks.iter().cycle() {
        let known: BTreeSet<_> = order.iter().map(|made| made.id).collect();
        let ready = |made: &&Made| {
            made.control.parents.iter().chain(&made.header.prev).all(|parent| known.contains(parent))
        };
        let ready: Vec<_> = rest.iter().filter(ready).map(|made| made.id).collect();
        let Some(next) = ready.get(pick % ready.len().max(1)) else { break };
        let at = rest.iter().position(|made| made.id == *next).unwrap();
        order.push(rest.remove(at));
    }
    assert!(rest.is_empty());
    order
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_causal_order_gives_the_same_membership(
        steps in steps(), picks in proptest::collection::vec(any::<usize>(), 1..24),
    ) {
        let events = play(&steps);
        let (mut one, mut other) = (Membership::new(space()), Membership::new(space()));
        events.iter().for_each(|made| admit(&mut one, made));
        for made in shuffled(&events, &picks) {
            admit(&mut other, &made);
            admit_again(&mut other, &made);
        }
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.encode(), other.encode());
    }

    #[test]
    fn verdicts_follow_from_the_past_of_the_event_alone(steps in steps(), stranger in steps()) {
        let (events, full) = (play(&steps), admitted(&play(&steps).iter().collect::<Vec<_>>()));
        for (by, step) in (0u8..6).cycle().zip(&stranger) {
            let past = &events[..=step.known % events.len()];
            let view = admitted(&past.iter().collect::<Vec<_>>());
            let invite = past[step.pick % past.len()].id;
            let made = joined(by, NOW + 500, view.heads(), invite);
            prop_assert_eq!(check(&view, &made), check(&full, &made));
            let prev = past[step.pick % past.len()].clone();
            let made = invited(by, (prev.header.seq, prev.id), NOW + 500, view.heads(), Role::Writer);
            prop_assert_eq!(check(&view, &made), check(&full, &made));
            let data = write(by, 2, prev.id);
            prop_assert_eq!(view.check(&data, None), full.check(&data, None));
        }
    }

    #[test]
    fn saved_memberships_round_trip(steps in steps()) {
        let membership = admitted(&play(&steps).iter().collect::<Vec<_>>());
        prop_assert_eq!(Membership::decode(&membership.encode()).unwrap(), membership);
    }

    #[test]
    fn a_flipped_bit_never_decodes_to_the_same_membership(
        steps in steps(), at: prop::sample::Index, bit in 0u8..8,
    ) {
        let membership = admitted(&play(&steps).iter().collect::<Vec<_>>());
        let mut bytes = membership.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Membership::decode(&bytes) {
            prop_assert_ne!(&other, &membership);
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}

fn admit_again(membership: &mut Membership, made: &Made) {
    let before = membership.clone();
    membership.apply(made.id, &made.header, &made.control);
    assert_eq!(*membership, before);
}
