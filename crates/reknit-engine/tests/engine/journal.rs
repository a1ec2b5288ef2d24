use crate::support::{HOME, World, family};
use proptest::prelude::*;
use rand::RngExt;
use reknit_access::Role;
use reknit_engine::journal::{End, Journal, JournalError, Recorder, Replayed, RoundEnd, Story, replay};
use reknit_engine::{Reply, TxError};
use reknit_types::EntityId;

/// Replays a journal, which must come to the same in every round.
fn replays(journal: &[u8]) -> Replayed {
    let journal = Journal::decode(journal).unwrap();
    let replayed = replay(&journal).unwrap();
    if let Some(difference) = &replayed.difference {
        panic!("{difference}\nof {:#?}", journal.rounds[difference.round].steps);
    }
    assert_eq!((replayed.rounds, replayed.inputs), (journal.rounds.len(), journal.inputs()));
    replayed
}

/// Replays the journal of every peer, and compares how they stand in the end.
fn all_replay(world: &mut World) {
    for at in 0..world.peers.len() {
        let replayed = replays(&world.peers[at].journal);
        let found = replayed.spaces.iter().find(|space| space.no == HOME).map(|space| format!("{space:?}"));
        assert_eq!(found, Some(format!("{:?}", world.status(at))));
    }
}

fn edit(world: &mut World, at: usize) {
    let (what, place) = (world.rng.random_range(0..9), world.rng.random_range(0..1_000usize));
    let id = EntityId::from_bytes([world.rng.random_range(1..4); 16]);
    let _ = world.try_transact(at, move |tx| {
        match what {
            0 => tx.create("others")?.set("n", place as i64).map(drop)?,
            1 => tx.entity("things", id)?.add("count", 1).map(drop)?,
            2..=4 => {
                let mut thing = tx.entity("things", id)?;
                let mut text = thing.text("body")?;
                let len = text.len()?;
                let at = place % (len + 1);
                text.splice(at, (len - at).min(place % 3), &"é𝄞x".repeat(1 + place % 4)).map(drop)?;
            }
            5 => tx.entity("things", id)?.document("tree")?.set("/last", place as i64).map(drop)?,
            6 => tx.entity("things", id)?.document("tree")?.set_text("/words", "some words").map(drop)?,
            7 => {
                tx.create("others")?.set("n", 1i64)?;
                tx.entity("things", id)?.text("body")?.push("never said")?;
                return Err(TxError::abort("changed my mind"));
            }
            _ if place % 5 == 0 => panic!("a defect of the app, made for this test"),
            _ => drop(tx.get("things", id)?),
        }
        Ok(())
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_journal_of_every_peer_replays_bit_for_bit(seed: u64) {
        let mut world = family(seed, 3);
        world.gossip_loss = 0.3;
        for _ in 0..40 {
            let (a, b) = (world.rng.random_range(0..3), world.rng.random_range(0..3));
            match world.rng.random_range(0..9) {
                0 if a != b => world.disconnect(a, b),
                1 if a != b => world.connect(a, b),
                2 => drop(replays(&world.replace_engine(a))),
                3 => world.restart(a),
                _ => (0..3).for_each(|_| edit(&mut world, a)),
            }
            let pause = world.rng.random_range(0..700);
            world.pass(pause);
        }
        all_replay(&mut world);
        world.connect_all();
        world.converge();
        all_replay(&mut world);
    }
}

/// A journal with all that a peer does in a short life.
fn life(seed: u64) -> Vec<u8> {
    let mut world = family(seed, 2);
    (0..20).for_each(|n| edit(&mut world, n % 2));
    world.disconnect(0, 1);
    (0..10).for_each(|n| edit(&mut world, n % 2));
    world.connect(0, 1);
    world.invite(0, Role::Reader, Some(u64::MAX));
    world.converge();
    world.peers[0].journal.clone()
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let journal = life(1);
    let whole = Journal::decode(&journal).unwrap();
    assert_eq!(whole.end, End::Cut);
    for at in (0..journal.len()).step_by(97) {
        let mut changed = journal.clone();
        changed[at] ^= 0x40;
        match Journal::decode(&changed) {
            Err(_) => {}
            Ok(read) => {
                assert!(
                    matches!(read.end, End::Damaged { at: whole } | End::Torn { at: whole } if whole <= at)
                );
                assert!(read.inputs() <= whole.inputs());
            }
        }
    }
}

#[test]
fn a_journal_that_is_cut_short_anywhere_replays_up_to_there() {
    let journal = life(2);
    let whole = Journal::decode(&journal).unwrap();
    let mut rounds = 0;
    for len in (0..=journal.len()).step_by(1_009) {
        match Journal::decode(&journal[..len]) {
            Err(error) => assert!(
                matches!(error, JournalError::NoImage { .. } | JournalError::NotAJournal) && rounds == 0,
                "{error}"
            ),
            Ok(read) => {
                assert!(matches!(read.end, End::Torn { at } if at < len) || read.end == End::Cut);
                assert!(read.rounds.len() >= rounds);
                rounds = read.rounds.len();
                assert!(replay(&read).unwrap().difference.is_none());
            }
        }
    }
    assert!(rounds > 0 && rounds <= whole.rounds.len());
}

#[test]
fn a_replay_that_is_fed_something_else_says_where_it_parts() {
    let journal = Journal::decode(&life(3)).unwrap();
    let mut noticed = 0;
    for at in 0..journal.rounds.len() {
        let mut other = Journal::decode(&life(3)).unwrap();
        let RoundEnd::Settled { outcome, .. } = &other.rounds[at].end else { panic!("a whole journal") };
        if outcome.told.is_empty() {
            // The input did nothing but change what comes later.
            continue;
        }
        other.rounds[at].steps.clear();
        let difference = replay(&other).unwrap().difference.expect("the round led to something");
        assert_eq!(difference.round, at);
        noticed += 1;
        if noticed == 12 {
            return;
        }
    }
    panic!("only {noticed} rounds led to something");
}

#[test]
fn texts_and_documents_that_are_folded_replay_bit_for_bit() {
    let mut world = family(4, 2);
    let id = EntityId::from_bytes([7; 16]);
    for n in 0..320usize {
        let piece = format!("{n:04}é").repeat(80);
        world.transact(n % 2, move |tx| {
            let mut note = tx.entity("notes", id)?;
            let mut text = note.text("body")?;
            let at = text.len()? / (2 + n % 3);
            text.splice(at, usize::from(n > 5), &piece)?;
            note.document("tree")?.set(&format!("/{n}"), piece).map(drop)
        });
    }
    world.converge();
    let snapshots = world.count(0, reknit_engine::store::Table::Snapshots);
    assert!(snapshots >= 2, "{snapshots} fields were folded");
    all_replay(&mut world);
    let before = world.replace_engine(0);
    replays(&before);
    world.transact(0, move |tx| tx.entity("notes", id)?.text("body")?.push("end").map(drop));
    world.converge();
    all_replay(&mut world);
}

#[test]
fn a_join_that_waits_and_the_numbers_given_out_survive_another_engine() {
    let mut world = family(5, 2);
    let ticket = world.invite(0, Role::Writer, None);
    let newcomer = world.add_peer();
    let request = world
        .begin(newcomer, |request| reknit_engine::Input::Join { request, ticket: Box::new(ticket.clone()) });
    replays(&world.replace_engine(newcomer));
    assert!(world.reply(newcomer, request).is_none());
    world.connect(1, newcomer);
    replays(&world.replace_engine(1));
    world.converge();
    assert!(matches!(world.reply(newcomer, request), Some(Ok(Reply::Space(HOME)))));
    all_replay(&mut world);
}

#[test]
fn a_redacted_journal_tells_what_stalls_and_holds_nothing_secret() {
    let mut world = family(6, 2);
    let (us, them) = (world.id(0), world.id(1));
    let recorder = Recorder::redacted(us, [9; 32]);
    world.peers[0].story = Some((recorder, vec![]));
    let id = EntityId::from_bytes([7; 16]);
    world.transact(0, move |tx| {
        let mut diary = tx.entity("diaries", id)?;
        diary.set("mood", "melancholy")?.text("body")?.push("never to be read")?;
        Ok(())
    });
    let ticket = world.invite(0, Role::Writer, None);
    world.converge();
    world.transact(1, move |tx| tx.entity("diaries", id)?.text("body")?.push("an answer").map(drop));
    world.converge();
    world.disconnect(0, 1);
    world.transact(0, move |tx| tx.entity("diaries", id)?.set("mood", "lonely").map(drop));
    world.pass(30_000);
    world.connect(0, 1);
    world.pass(2_000);
    world.disconnect(0, 1);
    world.transact(0, move |tx| tx.entity("diaries", id)?.set("mood", "hopeful").map(drop));
    world.pass(30_000);
    world.status(0);
    let (_, bytes) = world.peers[0].story.take().unwrap();

    let (us_bytes, them_bytes) = (us.as_bytes().to_vec(), them.as_bytes().to_vec());
    let info = world.peers[0].spaces[&HOME].clone();
    let secrets: Vec<Vec<u8>> = vec![
        us_bytes,
        them_bytes,
        us.to_string().into_bytes(),
        us.short().into_bytes(),
        them.short().into_bytes(),
        world.peers[0].key.seed().to_vec(),
        info.id.as_bytes().to_vec(),
        info.keys.secret().as_bytes().to_vec(),
        ticket.to_string().into_bytes(),
        ticket.invite_secret.seed().to_vec(),
        id.to_bytes().to_vec(),
        world.status(0).frontier_digest.to_vec(),
    ];
    let words =
        ["home", "device ", "diaries", "mood", "body", "melancholy", "never to be", "an answer", "lonely"];
    let words = words.iter().map(|word| word.as_bytes().to_vec());
    for secret in secrets.into_iter().chain(words) {
        let found = bytes.windows(secret.len().min(16)).any(|window| secret.starts_with(window));
        assert!(!found, "{}", String::from_utf8_lossy(&secret));
    }
    for dot in world.events(0).iter().map(|event| event.dot()) {
        assert!(!bytes.windows(8).any(|window| dot.id.as_bytes().starts_with(window)));
    }

    assert!(matches!(Journal::decode(&bytes), Err(JournalError::Redacted)));
    let story = Story::decode(&bytes).unwrap();
    assert!(story.connected.is_empty() && story.streams.is_empty());
    let space = &story.spaces[&HOME.0];
    let [(peer, words)] = space.standing.peers.as_slice() else { panic!("{:?}", space.standing) };
    assert!(words.starts_with("not connected, not known to be equal"), "{words}");
    let since_ms = space.reasons[&("not-connected".to_owned(), Some(peer.clone()))];
    assert!(since_ms + 30_000 >= story.span_ms.unwrap().1);
    let said = story.recent.iter().map(|line| line.what.as_str());
    assert!(said.clone().any(|what| what.starts_with("hello: ")), "{:#?}", story.recent);
    assert!(said.clone().any(|what| what == "transact") && said.clone().any(|what| what == "disconnected"));
    for len in (0..bytes.len()).step_by(53) {
        if let Ok(part) = Story::decode(&bytes[..len]) {
            assert!(part.lines <= story.lines && part.end != End::Ended);
        }
    }
}
