use super::*;
use proptest::prelude::*;

fn author(at: u8) -> DeviceId {
    DeviceId::from_bytes([at; 32])
}

fn dot(at: u8, seq: u64) -> Dot {
    Dot { author: author(at), seq, id: EventId::from_bytes([seq as u8; 32]) }
}

fn frontiers() -> impl Strategy<Value = Frontier> {
    let tip = (1u64..6, 0u8..4).prop_map(|(seq, id)| Tip { seq, id: EventId::from_bytes([id; 32]) });
    let tips = proptest::collection::vec(tip, 1..4);
    proptest::collection::btree_map(0u8..6, tips, 0..6).prop_map(|authors| {
        let mut frontier = Frontier::default();
        authors.into_iter().for_each(|(at, tips)| frontier.set(author(at), tips));
        frontier
    })
}

proptest! {
    #[test]
    fn a_delta_applied_gives_the_frontier(a in frontiers(), b in frontiers()) {
        let delta = a.delta(&b);
        let applied = b.apply(&delta).unwrap();
        prop_assert_eq!(&applied, &a);
        prop_assert_eq!(applied.digest(), a.digest());
        prop_assert_eq!(delta == Delta::default(), a == b);
        let (gone, new) = (delta.gone.len(), delta.dots().count());
        prop_assert_eq!(a.dots().count() + gone, b.dots().count() + new);
    }

    #[test]
    fn frontiers_read_back_and_only_equal_ones_have_equal_digests(a in frontiers(), b in frontiers()) {
        prop_assert_eq!(&Frontier::decode(&a.encode()).unwrap(), &a);
        prop_assert_eq!(a.digest() == b.digest(), a == b);
    }
}

#[test]
fn a_delta_that_does_not_fit_gives_nothing() {
    let mut frontier = Frontier::default();
    frontier.insert(&dot(1, 1), None);
    let known = Delta { gone: vec![], new: vec![(author(1), vec![dot(1, 1).tip()])] };
    assert_eq!(frontier.apply(&known), None);
    assert_eq!(frontier.apply(&Delta { gone: vec![1], new: vec![] }), None);
    assert_eq!(frontier.apply(&Delta { gone: vec![0], new: vec![] }), Some(Frontier::default()));
    let branch = |at: usize| Tip { seq: 2, id: EventId::from_bytes([at as u8; 32]) };
    let many = |count| Delta { gone: vec![0], new: vec![(author(1), (0..count).map(branch).collect())] };
    assert!(frontier.apply(&many(TIPS_MAX)).is_some());
    assert_eq!(frontier.apply(&many(TIPS_MAX + 1)), None);
}

#[test]
fn a_chain_has_one_tip_and_a_fork_two() {
    let mut frontier = Frontier::default();
    assert_eq!(frontier.insert(&dot(1, 1), None), Inserted::Extended);
    let before = frontier.digest();
    assert_eq!(frontier.insert(&dot(1, 2), Some(&dot(1, 1).id)), Inserted::Extended);
    assert_ne!(frontier.digest(), before);
    assert_eq!(frontier.insert(&dot(1, 2), Some(&dot(1, 1).id)), Inserted::Known);
    assert_eq!(frontier.tips(&author(1)), [dot(1, 2).tip()]);
    let other = Dot { id: EventId::from_bytes([9; 32]), ..dot(1, 2) };
    assert_eq!(frontier.insert(&other, Some(&dot(1, 1).id)), Inserted::Forked);
    assert_eq!(frontier.tips(&author(1)).len(), 2);
    assert!(frontier.contains_tip(&other));
}

#[test]
fn a_chain_forked_too_often_is_full_and_stays_as_it_was() {
    let mut frontier = Frontier::default();
    for at in 0..TIPS_MAX as u8 {
        frontier.insert(&Dot { id: EventId::from_bytes([at; 32]), ..dot(1, 1) }, None);
    }
    let before = frontier.clone();
    let one_more = Dot { id: EventId::from_bytes([255; 32]), ..dot(1, 1) };
    assert_eq!(frontier.insert(&one_more, None), Inserted::Full);
    assert_eq!(frontier, before);
}
