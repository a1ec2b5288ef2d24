//! Which space and which entity people mean.

use crate::exit::{Exit, Failure};
use reknit::{Entity, EntityId, Page, Peer, Space};

/// The space with this name or beginning of an id; without one, the only space there is.
pub(super) fn space(peer: &Peer, wanted: Option<&str>) -> Result<Space, Failure> {
    if let Some(wanted) = wanted {
        return Ok(peer.space_named(wanted)?);
    }
    let spaces = peer.spaces();
    match spaces.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::not_found(
            "this peer has no space yet: create one with `reknit space new NAME` or join one with `reknit join TICKET`",
        )),
        several => {
            let names: Vec<_> = several.iter().map(Space::name).collect();
            Err(Failure::usage(format!("which space? Say --space with one of: {}", names.join(", "))))
        }
    }
}

/// The entity whose id starts with these characters. Deleted ones count: they can be looked at and restored.
pub(super) fn entity(space: &Space, collection: &str, wanted: &str) -> Result<Entity, Failure> {
    let unknown = || {
        let name = space.name();
        Failure::not_found(format!("no entity of {collection} in {name} has an id that starts with {wanted}"))
    };
    if let Ok(id) = wanted.parse() {
        return space.get(collection, id)?.ok_or_else(unknown);
    }
    let (first, last) = range(wanted)?;
    let after = predecessor(first);
    let found = space.scan(collection, Page { after, limit: CANDIDATES_MAX, deleted: true })?;
    let mut fitting: Vec<_> =
        found.into_iter().filter(|entity| (first..=last).contains(&entity.id)).collect();
    match fitting.len() {
        0 | 1 => fitting.pop().ok_or_else(unknown),
        _ => Err(ambiguous(wanted, &fitting)),
    }
}

/// The id itself if it is a whole one, be there such an entity or not; else that of the entity it is the beginning of.
pub(super) fn id(space: &Space, collection: &str, wanted: &str) -> Result<EntityId, Failure> {
    wanted.parse().or_else(|_| entity(space, collection, wanted).map(|entity| entity.id))
}

fn ambiguous(wanted: &str, fitting: &[Entity]) -> Failure {
    let ids: Vec<_> = fitting.iter().map(|entity| entity.id.to_string()).collect();
    let more = if fitting.len() == CANDIDATES_MAX { "\n  .." } else { "" };
    Failure::new(
        Exit::Usage,
        format!(
            "several ids start with {wanted}: say more of the one you mean\n  {}{more}",
            ids.join("\n  ")
        ),
    )
}

/// The least and the greatest id that start with these characters.
fn range(prefix: &str) -> Result<(EntityId, EntityId), Failure> {
    let refused = || {
        Failure::usage(format!(
            "{prefix:?} is not the beginning of an id: ids have {ID_CHARS} letters and digits"
        ))
    };
    if prefix.is_empty() || prefix.chars().count() > ID_CHARS {
        return Err(refused());
    }
    let filled = |with: char| -> Result<EntityId, Failure> {
        let rest = ID_CHARS - prefix.chars().count();
        let text: String = prefix.chars().chain(std::iter::repeat_n(with, rest)).collect();
        text.parse().map_err(|_| refused())
    };
    Ok((filled('0')?, filled('Z')?))
}

fn predecessor(id: EntityId) -> Option<EntityId> {
    let number = u128::from_be_bytes(id.to_bytes()).checked_sub(1)?;
    Some(EntityId::from_bytes(number.to_be_bytes()))
}

/// Characters of an entity's id.
const ID_CHARS: usize = 26;
/// How many of the ids that could be meant are listed.
const CANDIDATES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_exactly_the_ids_that_start_with_it() {
        let (first, last) = range("01jd").unwrap();
        assert_eq!(first.to_string(), "01JD0000000000000000000000");
        assert_eq!(last.to_string(), "01JDZZZZZZZZZZZZZZZZZZZZZZ");
        let whole = "01JD0000000000000000000007";
        assert_eq!(range(whole).unwrap().0, range(whole).unwrap().1);
        assert!(predecessor(first).unwrap() < first);
        assert_eq!(predecessor(EntityId::from_bytes([0; 16])), None);
    }

    #[test]
    fn what_begins_no_id_is_refused() {
        for word in ["", "song!", "01JD00000000000000000000000", "é"] {
            assert_eq!(range(word).unwrap_err().exit, Exit::Usage, "{word}");
        }
    }
}
