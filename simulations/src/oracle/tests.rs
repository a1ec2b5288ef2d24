mod hostile;
mod mistakes;
mod world;

use super::*;
use rand::RngExt as _;
use reknit_engine::{EntityMut, Tx, TxError};
use serde_json::json;
use world::World;

/// One random edit of one of a few entities, as somebody would make it at a keyboard.
fn edit(tx: &mut Tx<'_>, dice: [usize; 6]) -> Result<(), TxError> {
    let [which, what, at, len, a, b] = dice;
    let entity = EntityId::from_bytes([1 + (which % 3) as u8; 16]);
    let mut entity = tx.entity(["notes", "tasks"][which % 2], entity)?;
    match what % 12 {
        0 => entity.delete(),
        1 => entity.restore(),
        2 => entity.set("title", ["red", "green", "blue"][a % 3]).map(drop),
        3 => entity.add("votes", a as i64 % 7 - 3).map(drop),
        4..8 => type_text(&mut entity, [at, len, a, b]),
        _ => write_document(&mut entity, [at, len, a, b]),
    }
}

fn type_text(entity: &mut EntityMut<'_, '_>, [at, len, a, b]: [usize; 4]) -> Result<(), TxError> {
    let mut text = entity.text("body")?;
    for step in 0..1 + b % 2 {
        let all = text.len()?;
        let at = (at + step) % (all + 1);
        let typed = ["x", "🎉", "abc", "", "déjà "][a % 5];
        text.splice(at, (len % 4).min(all - at), typed)?;
    }
    Ok(())
}

fn write_document(entity: &mut EntityMut<'_, '_>, [at, len, a, b]: [usize; 4]) -> Result<(), TxError> {
    let mut tree = entity.document("tree")?;
    let done = match a % 7 {
        0 => tree.set(&format!("/{}", at % 3), json!({ "n": [b % 5, null, 1.5, "s"] })),
        1 => tree.set("/list", json!([len % 9])),
        2 => tree.insert("/list/0", json!(b % 100)),
        3 => tree.increment("/count", b as i64 % 5),
        4 => tree.set_text("/text", "hello"),
        5 => tree.splice_text("/text", at % 3, len % 2, "é🎉"),
        _ => tree.remove(&format!("/{}", at % 3)),
    };
    // Nothing may be where it looks; the document is then as it was.
    done.map(drop).or(Ok(()))
}

fn edit_somewhere(world: &mut World) {
    let at = world.rng.random_range(0..world.peers.len());
    let count = world.rng.random_range(1..4);
    let dice: Vec<[usize; 6]> =
        (0..count).map(|_| std::array::from_fn(|_| world.rng.random_range(0..1000))).collect();
    world.transact(at, move |tx| {
        for dice in dice {
            match edit(tx, dice) {
                Err(TxError::Deleted(_)) | Ok(()) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    });
}

/// Random edits at peers that are cut off and come back.
fn play(seed: u64, steps: usize) -> World {
    let mut world = World::family(seed, 3);
    for _ in 0..steps {
        match world.rng.random_range(0..10) {
            0 => {
                let at = world.rng.random_range(0..3);
                world.disconnect(at);
            }
            1 => world.connect_all(),
            _ => edit_somewhere(&mut world),
        }
    }
    world
}

#[test]
fn every_peer_holds_what_its_events_make_whatever_it_has_seen() {
    for seed in 0..60 {
        let mut world = play(seed, 25);
        world.assert_as_expected();
        world.converge();
        world.assert_as_expected();
    }
}

/// Two people who type at once, each at a place of their own and now and then at the same, and one who deletes.
#[test]
fn a_long_text_is_computed_in_time() {
    use reknit_crdt::{Crdt as _, Identity, Origin, Text};
    let (entity, name) = (EntityId::from_bytes([1; 16]), Name::new("body").unwrap());
    let at = reknit_crdt::Place { entity, field: &name };
    let authors = [DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32])];
    let mut texts = authors.map(|author| {
        let mut text = Text::new();
        text.open(&at, &Identity { author, nonce: 1 });
        text
    });
    let mut edits: Vec<rows::FieldEdit> = vec![];
    let (mut seen, mut places) = ([0, 0], [0, 0]);
    for round in 0..TYPED_BLOCKS {
        let who = round % 2;
        let text = &mut texts[who];
        // Everybody types on where they are, and goes elsewhere now and then.
        let jump = if round % 100 < 2 { round * 7919 } else { places[who] + 1 };
        let place = jump % (text.len() + 1);
        places[who] = place;
        text.splice(place, usize::from(round % 5 == 0 && place < text.len()), "w").unwrap();
        let stamp = reknit_types::Stamp::from_u128(round as u128 + 1);
        let (author, event) = (authors[who], EventId::from_bytes([who as u8; 32]));
        edits.push(rows::FieldEdit { author, stamp, event, delta: text.take_delta().unwrap() });
        if round % 1000 == 999 {
            for (who, text) in texts.iter_mut().enumerate() {
                for edit in &edits[seen[who]..] {
                    let origin = Origin { author: edit.author, stamp: edit.stamp, event: edit.event };
                    text.apply(&at, &origin, &edit.delta).unwrap();
                }
                seen[who] = edits.len();
            }
        }
    }
    let read = text::merge(&identity::Place { entity, field: &name }, &edits);
    assert_eq!(read, texts[0].to_string());
}

const TYPED_BLOCKS: usize = 10_000;
