//! A peer beside what it must hold.

use super::{Expected, ExpectedEntity};
use reknit_crdt::FieldValue;
use reknit_engine::read::{self, Page};
use reknit_engine::store::Reads;
use reknit_engine::{EngineError, SpaceInfo, SpaceStatus};
use reknit_types::{EntityId, EventId, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};

/// One peer, as those who ask it find it.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// Its store.
    pub reads: &'a dyn Reads,
    /// What it knows of the space.
    pub space: &'a SpaceInfo,
    /// How the space stands there.
    pub status: &'a SpaceStatus,
}

/// Where a peer differs from what it must hold; a line each, at most [`DIFFERENCES_MAX`] and one that counts the rest.
pub fn differences(expected: &Expected, found: &Found<'_>) -> Vec<String> {
    let mut lines = vec![];
    about_space(expected, found, &mut lines);
    about_members(expected, found, &mut lines);
    match entities(found) {
        Ok(entities) => about_entities(&expected.entities, &entities, &mut lines),
        Err(error) => lines.push(format!("entities: cannot be read: {error}")),
    }
    let more = lines.len().saturating_sub(DIFFERENCES_MAX);
    lines.truncate(DIFFERENCES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more differences"));
    }
    lines
}

fn about_space(expected: &Expected, found: &Found<'_>, lines: &mut Vec<String>) {
    let status = found.status;
    compare("name", &expected.name, &found.space.name, lines);
    compare("events", &expected.events, &status.events, lines);
    compare("authors", &expected.frontier.len(), &status.authors, lines);
    let heads: BTreeSet<EventId> = status.heads.iter().map(|head| head.id).collect();
    sets("heads", &expected.heads, &heads, lines);
    compare("frontier digest", &expected.digest, &status.frontier_digest, lines);
    let forked = expected.frontier.iter().filter(|(_, tips)| tips.len() > 1).map(|(author, _)| *author);
    sets("forked authors", &forked.collect(), &status.forked.iter().copied().collect(), lines);
    let forks: BTreeMap<_, BTreeSet<EventId>> = status
        .forks
        .iter()
        .map(|fork| ((fork.author, fork.seq), fork.events.iter().copied().collect()))
        .collect();
    let nothing = BTreeSet::new();
    let places: BTreeSet<_> = expected.forks.keys().chain(forks.keys()).copied().collect();
    for place in places {
        let (expected, found) = (expected.forks.get(&place), forks.get(&place));
        let what = format!("fork of {} at {}", place.0.short(), place.1);
        sets(&what, expected.unwrap_or(&nothing), found.unwrap_or(&nothing), lines);
    }
    if expected.voids.len() as u64 != status.voids {
        let listed: Vec<String> = expected
            .voids
            .iter()
            .take(LISTED_MAX)
            .map(|((event, op), why)| format!("operation {op} of {}: {why}", event.short()))
            .collect();
        let (count, found) = (expected.voids.len(), status.voids);
        lines.push(format!("voids: expected {count}, found {found}; expected are {}", listed.join("; ")));
    }
}

fn about_members(expected: &Expected, found: &Found<'_>, lines: &mut Vec<String>) {
    let seen: BTreeMap<_, _> = found.space.members.iter().map(|member| (member.device, member)).collect();
    let devices: BTreeSet<_> = expected.members.keys().chain(seen.keys()).copied().collect();
    for device in devices {
        let wanted = expected.members.get(&device).map(|it| (it.name.as_str(), it.role, it.since.ms()));
        let seen = seen.get(&device).map(|it| (it.name.as_str(), it.role, it.since_ms));
        compare(&format!("member {}", device.short()), &wanted, &seen, lines);
    }
}

fn about_entities(
    expected: &BTreeMap<(Name, EntityId), ExpectedEntity>,
    found: &BTreeMap<(Name, EntityId), ExpectedEntity>,
    lines: &mut Vec<String>,
) {
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let at = format!("{}/{}", key.0, key.1);
        match (expected.get(key), found.get(key)) {
            (Some(expected), Some(found)) => about_entity(&at, expected, found, lines),
            (Some(_), None) => lines.push(format!("{at}: expected the entity, found nothing")),
            (None, _) => lines.push(format!("{at}: expected nothing, found the entity")),
        }
    }
}

fn about_entity(at: &str, expected: &ExpectedEntity, found: &ExpectedEntity, lines: &mut Vec<String>) {
    compare(&format!("{at} deleted"), &expected.deleted, &found.deleted, lines);
    let names: BTreeSet<_> = expected.fields.keys().chain(found.fields.keys()).collect();
    for name in names {
        let (wanted, seen) = (expected.fields.get(name), found.fields.get(name));
        match (wanted, seen) {
            (Some(FieldValue::Text(wanted)), Some(FieldValue::Text(seen))) if wanted != seen => {
                lines.push(format!("{at} {name}: {}", texts(wanted, seen)));
            }
            _ => compare(&format!("{at} {name}"), &wanted, &seen, lines),
        }
    }
}

fn entities(found: &Found<'_>) -> Result<BTreeMap<(Name, EntityId), ExpectedEntity>, EngineError> {
    let mut entities = BTreeMap::new();
    let page = Page { deleted: true, ..Page::ALL };
    for collection in read::collections(found.reads, found.space.no)? {
        for entity in read::entities(found.reads, found.space.no, &collection, page)? {
            let seen = ExpectedEntity { deleted: entity.deleted, fields: entity.fields };
            entities.insert((entity.collection, entity.id), seen);
        }
    }
    Ok(entities)
}

fn compare<T: PartialEq + Debug>(what: &str, expected: &T, found: &T, lines: &mut Vec<String>) {
    if expected != found {
        let (expected, found) = (shown(&format!("{expected:?}")), shown(&format!("{found:?}")));
        lines.push(format!("{what}: expected {expected}, found {found}"));
    }
}

fn sets<T: Ord + Display>(what: &str, expected: &BTreeSet<T>, found: &BTreeSet<T>, lines: &mut Vec<String>) {
    let list = |lacking: Vec<&T>| -> String {
        let listed: Vec<String> = lacking.iter().take(LISTED_MAX).map(ToString::to_string).collect();
        if listed.is_empty() { "nothing".to_owned() } else { listed.join(" ") }
    };
    if expected != found {
        let missing = list(expected.difference(found).collect());
        let extra = list(found.difference(expected).collect());
        lines.push(format!("{what}: expected {missing}, found {extra} instead"));
    }
}

/// Two texts from shortly before they part.
fn texts(expected: &str, found: &str) -> String {
    let same = expected.chars().zip(found.chars()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(CONTEXT_CHARACTERS);
    let tail = |text: &str| shown(&format!("{:?}", text.chars().skip(from).collect::<String>()));
    format!("expected from character {from} on {}, found {}", tail(expected), tail(found))
}

fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if cut.len() < text.len() {
        cut.push_str("..");
    }
    cut
}

/// Lines that [`differences`] returns at most, but for the one that counts the rest.
pub const DIFFERENCES_MAX: usize = 64;
const LISTED_MAX: usize = 4;
const SHOWN_CHARACTERS: usize = 160;
const CONTEXT_CHARACTERS: usize = 10;
