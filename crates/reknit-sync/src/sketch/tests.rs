use super::*;
use proptest::prelude::*;

/// How many symbols it takes to find what differs, as a sequence that ever more are added to.
fn symbols_needed(ours: &BTreeSet<u64>, theirs: &BTreeSet<u64>) -> usize {
    let all = symbols(theirs.iter().copied(), 4096);
    let enough = |count: &usize| difference(ours.iter().copied(), &all[..*count]).is_some();
    (1..all.len()).find(enough).expect("4096 symbols are enough")
}

fn sets() -> impl Strategy<Value = (BTreeSet<u64>, BTreeSet<u64>)> {
    let set = |max| proptest::collection::btree_set(any::<u64>(), 0..max);
    (set(300), set(40), set(40)).prop_map(|(both, ours, theirs)| (&both | &ours, &both | &theirs))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sketch_gives_exactly_what_differs((ours, theirs) in sets()) {
        let apart: BTreeSet<u64> = &ours ^ &theirs;
        let count = symbols_needed(&ours, &theirs);
        let found = difference(ours.iter().copied(), &symbols(theirs, count));
        prop_assert_eq!(found, Some(apart));
    }

    #[test]
    fn symbols_that_nobody_made_end_in_an_answer(
        ours in proptest::collection::btree_set(any::<u64>(), 0..20),
        sums in proptest::collection::vec((0u64..4, any::<bool>()), 0..40),
    ) {
        let made_up = sums.into_iter().map(|(sum, lone)| {
            Symbol { sum, check: if lone { check(sum) } else { 0 } }
        });
        difference(ours, &made_up.collect::<Vec<_>>());
    }
}

/// On average: how many it takes once in a while has no bound but chance.
#[test]
fn the_symbols_that_are_needed_are_about_as_many_as_differ() {
    for apart in [1, 2, 5, 20, 80] {
        let needed = |seed: u64| {
            let theirs = (0..apart).map(|at| mix(seed * 1000 + at)).collect();
            symbols_needed(&BTreeSet::from([mix(seed)]), &(&theirs | &BTreeSet::from([mix(seed)])))
        };
        let total: usize = (1..=100).map(needed).sum();
        assert!(total as u64 <= 100 * (2 + 2 * apart), "{total} symbols for 100 times {apart}");
    }
}

#[test]
fn a_thousand_that_differ_take_less_than_two_symbols_each() {
    let theirs: BTreeSet<u64> = (0..1000).map(|at| mix(at * 7)).collect();
    let count = symbols_needed(&BTreeSet::new(), &theirs);
    assert!((1000..1800).contains(&count), "{count}");
}

#[test]
fn more_symbols_go_on_from_the_first() {
    let some: Vec<u64> = (0..50).map(mix).collect();
    assert_eq!(symbols(some.iter().copied(), 100)[..30], symbols(some.iter().copied(), 30));
}
