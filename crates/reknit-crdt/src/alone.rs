//! What can be said of a delta by itself, before it meets the state of its field.

use crate::contract::{Crdt, Edit};
use crate::counter::Counter;
use crate::error::Void;
use crate::identity::Place;
use crate::register::Register;
use crate::{document, text};
use reknit_types::CrdtKind;

/// Whether a delta is void by itself: malformed, beyond a limit, or under an identity that is not its author's. Whoever
/// asks gets the same answer, whatever else there is of the field; a few deltas more turn out to be void only when they
/// meet the state they build on.
pub fn check(kind: CrdtKind, place: &Place<'_>, edit: &Edit<'_>) -> Result<(), Void> {
    match kind {
        CrdtKind::Register => Register::new().apply(place, &edit.origin, edit.delta).map(drop),
        CrdtKind::Counter => Counter::new().apply(place, &edit.origin, edit.delta).map(drop),
        CrdtKind::Text => text::check(place, edit),
        CrdtKind::Document => document::check(place, edit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Identity, Origin, Text};
    use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};

    /// Deltas as honest sessions make them are fit for their author and place alone, and damaged ones are not.
    #[test]
    fn a_delta_is_fit_for_its_own_author_and_place_only() {
        let (name, other) = (Name::new("body").unwrap(), Name::new("other").unwrap());
        let place = |field| Place { entity: EntityId::from_bytes([1; 16]), field };
        let identity = Identity { author: DeviceId::from_bytes([7; 32]), nonce: 42 };
        let origin = Origin {
            author: identity.author,
            stamp: Stamp::from_u128(1),
            event: EventId::from_bytes([9; 32]),
        };
        let mut document = Document::new();
        document.open(&place(&name), &identity);
        document.set("/a", &serde_json::json!(["b", 1])).unwrap();
        let made = document.take_delta().unwrap();
        let fits =
            |place: Place<'_>, origin, delta| check(CrdtKind::Document, &place, &Edit { origin, delta });
        assert_eq!(fits(place(&name), origin, &made), Ok(()));
        assert_eq!(fits(place(&other), origin, &made), Err(Void::Identity));
        let stranger = Origin { author: DeviceId::from_bytes([8; 32]), ..origin };
        assert_eq!(fits(place(&name), stranger, &made), Err(Void::Identity));
        assert!(fits(place(&name), origin, &made[..made.len() - 1]).is_err());

        let mut text = Text::new();
        text.open(&place(&name), &identity);
        text.splice(0, 0, "hello").unwrap();
        let made = text.take_delta().unwrap();
        let fits = |delta| check(CrdtKind::Text, &place(&name), &Edit { origin, delta });
        assert_eq!(fits(&made), Ok(()));
        assert!(fits(&made[..made.len() - 1]).is_err() && fits(b"").is_err());
    }
}
