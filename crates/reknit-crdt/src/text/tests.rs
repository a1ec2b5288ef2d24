use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};

/// Where, how many characters to delete, what to insert, and whether to look at the text afterwards.
fn splices() -> impl Strategy<Value = Vec<(Index, usize, String, bool)>> {
    prop::collection::vec((any::<Index>(), 0usize..3, "[ab🎉]{0,3}", any::<bool>()), 1..60)
}

fn origin(author: DeviceId) -> Origin {
    Origin { author, stamp: Stamp::from_u128(1), event: EventId::from_bytes([9; 32]) }
}

fn name() -> Name {
    Name::new("body").unwrap()
}

fn place(name: &Name) -> Place<'_> {
    Place { entity: EntityId::from_bytes([1; 16]), field: name }
}

/// One delta of one of two liars. Neighbours: nothing, a unit of the base, or one of its own.
#[derive(Debug, Clone)]
struct Branch {
    who: u8,
    start: u32,
    runs: Vec<(u32, u32, u32, Option<String>)>,
    spans: Vec<(u8, u32, u32)>,
}

fn branches() -> impl Strategy<Value = Branch> {
    let text = prop::option::weighted(0.3, "[ab🎉]{1,3}");
    let left = prop_oneof![3 => Just(8u32), 1 => 0u32..9];
    let right = prop_oneof![3 => Just(0u32), 1 => 0u32..9];
    let runs = prop::collection::vec((left, right, 1u32..4, text), 0..3);
    let spans = prop::collection::vec((0u8..3, 0u32..4, 1u32..3), 0..2);
    let start = prop_oneof![3 => Just(0u32), 1 => 1u32..4];
    (prop_oneof![3 => Just(1u8), 1 => Just(2u8)], start, runs, spans)
        .prop_map(|(who, start, runs, spans)| Branch { who, start, runs, spans })
}

impl Branch {
    fn delta(&self, place: &Place<'_>) -> (DeviceId, Vec<u8>) {
        let author = |who: u8| DeviceId::from_bytes([who + 1; 32]);
        let client = |who: u8| client_of(place, author(who), 3);
        let mut delta = Delta::new(client(self.who), self.start);
        for (left, right, len, text) in &self.runs {
            let clock = delta.end;
            // Most of what is typed at one place is the same, and at the end of what is there.
            let common = || "abcdefghijklmnopqrst"[clock as usize..][..*len as usize].to_owned();
            let unit = |number: u32| match number {
                1..4 => Some(Unit { client: client(0), clock: number - 1 }),
                4..8 if number - 4 < clock => Some(Unit { client: delta.client, clock: number - 4 }),
                8 => clock.checked_sub(1).map(|clock| Unit { client: delta.client, clock }),
                _ => None,
            };
            let run = delta::Run {
                left: unit(*left),
                right: unit(*right),
                text: text.clone().unwrap_or_else(common),
            };
            delta.push_run(run);
        }
        for (who, clock, len) in &self.spans {
            delta.push_span(Span { client: client(*who), clock: *clock, len: *len });
        }
        (author(self.who), delta.encode(3))
    }
}

const AUTHOR: DeviceId = DeviceId::from_bytes([1; 32]);

proptest! {
    /// Typing takes short cuts around yrs; they must end where yrs does.
    #[test]
    fn a_text_follows_any_edits_and_so_does_whoever_merges_them(splices in splices(), near in 0usize..4) {
        let name = name();
        let (mut here, mut there, mut model) = (Text::new(), Text::new(), Vec::new());
        here.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        let mut at = 0usize;
        for (step, (index, delete, insert, looks)) in splices.into_iter().enumerate() {
            at = if step % 4 < near { at.min(model.len()) } else { index.index(model.len() + 1) };
            let start = at.saturating_sub(delete);
            here.splice(start, at - start, &insert).unwrap();
            model.splice(start..at, insert.chars());
            at = start + insert.chars().count();
            if let Some(delta) = here.take_delta() {
                prop_assert_eq!(there.apply(&place(&name), &origin(AUTHOR), &delta), Ok(Applied::Merged));
            }
            prop_assert_eq!(here.len(), model.len());
            if looks {
                prop_assert_eq!(here.to_string(), model.iter().collect::<String>());
                prop_assert_eq!(there.to_string(), here.to_string());
            }
        }
        prop_assert_eq!(there.to_string(), model.iter().collect::<String>());
    }

    #[test]
    fn a_delta_round_trips_and_a_flipped_bit_is_refused_or_another_delta(
        splices in splices(), at in any::<Index>(), bit in 0u8..8,
    ) {
        let name = name();
        let mut text = Text::new();
        text.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        for (index, delete, insert, _) in splices {
            let at = index.index(text.len() + 1);
            text.splice(at, delete.min(text.len() - at), &insert).unwrap();
        }
        let Some(mut bytes) = text.take_delta() else { return Ok(()) };
        let client = client_of(&place(&name), AUTHOR, 3);
        let delta = Delta::decode(&bytes, |_| client).unwrap();
        prop_assert_eq!(delta.encode(3), bytes.clone());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let derive = |nonce| client_of(&place(&name), AUTHOR, nonce);
        prop_assert_ne!(Delta::decode(&bytes, derive).ok(), Some(delta));
    }

    /// Neighbours in the wrong order, or far apart: what no honest text would send, merges the same for all.
    #[test]
    fn lies_about_neighbours_end_alike_in_any_order(
        runs in prop::collection::vec((0usize..3, 0u32..9, 0u32..9, "[x-z]{1,2}"), 1..7), order in any::<u64>(),
    ) {
        let name = name();
        let mut base = Text::new();
        base.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        base.splice(0, 0, "abcdef").unwrap();
        let first = base.take_delta().unwrap();
        let client = client_of(&place(&name), AUTHOR, 3);
        // Units of the base, and the first ones of the liars.
        let clients: Vec<u64> = (10u8..13).map(|who| client_of(&place(&name), DeviceId::from_bytes([who; 32]), 1)).collect();
        let unit = |number: u32| match number {
            0 => None,
            1..7 => Some(Unit { client, clock: number - 1 }),
            _ => Some(Unit { client: clients[number as usize - 7], clock: 0 }),
        };
        let mut clocks = [0u32; 3];
        let lies: Vec<(DeviceId, Vec<u8>)> = runs.iter().map(|(who, left, right, text)| {
            let mut delta = Delta::new(clients[*who], clocks[*who]);
            delta.push_run(delta::Run { left: unit(*left), right: unit(*right), text: text.clone() });
            clocks[*who] = delta.end;
            (DeviceId::from_bytes([10 + *who as u8; 32]), delta.encode(1))
        }).collect();
        let read = |turn: usize, reverse: bool| {
            let mut text = Text::new();
            text.apply(&place(&name), &origin(AUTHOR), &first).unwrap();
            let mut lies = lies.clone();
            lies.rotate_left(turn % runs.len());
            if reverse {
                lies.reverse();
            }
            for (author, delta) in &lies {
                let _ = text.apply(&place(&name), &origin(*author), delta);
            }
            assert!(!text.is_contested());
            text.to_string()
        };
        prop_assert_eq!(read(0, false), read(order as usize % 64, order > u64::MAX / 2));
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// A session that ran twice, honestly or not: deltas at one place that begin alike, end alike, are cut elsewhere, are
    /// deleted since or name what is not there.
    #[test]
    fn branches_of_a_session_end_alike_in_any_order(
        branches in prop::collection::vec(branches(), 1..7), orders in [any::<[u16; 8]>(), any::<[u16; 8]>()], reopens: bool,
    ) {
        let name = name();
        let mut base = Text::new();
        base.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        base.splice(0, 0, "xyz").unwrap();
        let first = (AUTHOR, base.take_delta().unwrap());
        let deltas: Vec<(DeviceId, Vec<u8>)> =
            branches.iter().map(|branch| branch.delta(&place(&name))).chain([first]).collect();
        let edits: Vec<Edit<'_>> = deltas.iter().zip(1..).map(|((author, delta), number)| {
            let (stamp, event) = (Stamp::from_u128(number), EventId::from_bytes([number as u8; 32]));
            Edit { origin: Origin { author: *author, stamp, event }, delta }
        }).collect();
        let values = orders.map(|order| {
            let mut edits: Vec<_> = edits.iter().zip(order).collect();
            edits.sort_by_key(|(_, turn)| *turn);
            let edits: Vec<Edit<'_>> = edits.into_iter().map(|(edit, _)| *edit).collect();
            let mut text = Text::new();
            for edit in &edits {
                let _ = text.apply(&place(&name), &edit.origin, edit.delta);
                if reopens {
                    text = Text::load(&text.save()).unwrap();
                }
            }
            match text.is_contested() {
                true => crate::rebuild(CrdtKind::Text, &place(&name), &edits).value(),
                false => text.value(),
            }
        });
        prop_assert_eq!(&values[0], &values[1]);
    }

}

proptest! {
    #[test]
    fn diff_to_ends_with_the_new_text(old in "[ab🎉 ]{0,20}", new in "[ab🎉 ]{0,20}") {
        let name = name();
        let mut text = Text::new();
        text.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        text.splice(0, 0, &old).unwrap();
        text.diff_to(&new).unwrap();
        prop_assert_eq!(text.to_string(), new);
    }
}

#[test]
fn an_edit_beyond_the_end_is_an_error_that_says_where_the_end_is() {
    let name = name();
    let mut text = Text::new();
    assert_eq!(text.splice(0, 0, "a"), Err(TextError::NotOpen));
    text.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
    text.splice(0, 0, "a🎉").unwrap();
    assert_eq!(text.splice(1, 2, ""), Err(TextError::OutOfRange { end: 3, len: 2 }));
    assert_eq!(text.splice(3, 0, "b"), Err(TextError::OutOfRange { end: 3, len: 2 }));
    assert_eq!(text.slice(1, 9), "🎉");
}

#[test]
fn a_session_goes_on_after_its_text_was_saved_and_loaded() {
    let name = name();
    let identity = Identity { author: AUTHOR, nonce: 3 };
    let mut text = Text::new();
    text.open(&place(&name), &identity);
    text.splice(0, 0, "one").unwrap();
    let first = text.take_delta().unwrap();
    let mut text = Text::load(&text.save()).unwrap();
    text.open(&place(&name), &identity);
    text.splice(3, 0, " two").unwrap();
    let second = text.take_delta().unwrap();
    let mut other = Text::new();
    let deltas = [&first, &second].map(|delta| Edit { origin: origin(AUTHOR), delta });
    assert_eq!(other.apply_all(&place(&name), &deltas), [Ok(Applied::Merged), Ok(Applied::Merged)]);
    assert_eq!(other.to_string(), "one two");
}

#[test]
fn a_keystroke_costs_few_bytes() {
    let name = name();
    let mut text = Text::new();
    text.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
    text.splice(0, 0, "hello world").unwrap();
    text.take_delta().unwrap();
    text.splice(5, 0, ",").unwrap();
    assert!(text.take_delta().unwrap().len() <= 20);
    text.splice(6, 0, "!").unwrap();
    assert!(text.take_delta().unwrap().len() <= 18);
}

/// Time stays linear, or this never ends.
#[test]
fn a_long_run_that_comes_again_is_known_and_one_that_ends_otherwise_is_not() {
    let name = name();
    let run = |last: char| {
        let mut text = Text::new();
        text.open(&place(&name), &Identity { author: AUTHOR, nonce: 3 });
        text.splice(0, 0, &("e".repeat((1 << 20) - 1) + &last.to_string())).unwrap();
        text.take_delta().unwrap()
    };
    let (first, other) = (run('x'), run('y'));
    let mut text = Text::new();
    assert_eq!(text.apply(&place(&name), &origin(AUTHOR), &first), Ok(Applied::Merged));
    assert_eq!(text.apply(&place(&name), &origin(AUTHOR), &first), Ok(Applied::Known));
    assert_eq!(text.apply(&place(&name), &origin(AUTHOR), &other), Ok(Applied::Contested));
}

#[test]
fn the_beginning_of_a_delta_is_another_delta_and_a_piece_of_it_too() {
    let name = name();
    let run = |start: u32, text: &str| {
        let mut delta = Delta::new(client_of(&place(&name), AUTHOR, 3), start);
        let left = start.checked_sub(1).map(|clock| Unit { client: delta.client, clock });
        delta.push_run(delta::Run { left, right: None, text: text.to_owned() });
        delta.encode(3)
    };
    for (start, part) in [(0, "ab"), (2, "cd"), (1, "bc")] {
        let mut text = Text::new();
        text.apply(&place(&name), &origin(AUTHOR), &run(0, "abcd")).unwrap();
        let mut text = Text::load(&text.save()).unwrap();
        assert_eq!(text.apply(&place(&name), &origin(AUTHOR), &run(0, "abcd")), Ok(Applied::Known));
        assert_eq!(text.apply(&place(&name), &origin(AUTHOR), &run(start, part)), Ok(Applied::Contested));
    }
}
