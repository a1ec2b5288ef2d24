//! Live results against running the query again.

use crate::against_sqlite::same_rows;
use crate::choices::Choices;
use crate::data::{COLLECTIONS, Data, entity, name};
use crate::query::Asked;
use proptest::prelude::*;
use reknit_query::{Changed, LiveResult, Params, PredicateIndex, Query, Record, RowChange, Side};
use reknit_types::Value;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn differences_lead_from_the_first_result_to_each_later_one(
        data in proptest::collection::vec(any::<u16>(), 100..500),
        query in proptest::collection::vec(any::<u16>(), 0..60),
        edits in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..64), 1..40),
        with_indexes: bool,
    ) {
        let mut data = Data::generate(&mut Choices::new(data));
        let asked = Asked::generate(&mut Choices::new(query));
        let params = asked.params.iter().cloned().fold(Params::new(), Params::with);
        let bound = Query::parse(&asked.ours).unwrap().bind(&data.schema, &params).unwrap();
        let indexes = if with_indexes { data.memory.indexes() } else { vec![] };
        let plan = bound.plan(&indexes);
        let mut live = LiveResult::open(plan.clone(), &data.memory).unwrap();
        let mut shown: Vec<Vec<Value>> = live.rows().map(<[Value]>::to_vec).collect();
        prop_assert_eq!(&shown, &plan.run(&data.memory).unwrap().rows);
        for edit in edits {
            let changed = edit_some(&mut data, &mut Choices::new(edit));
            let differences = live.update(&data.memory, &changed).unwrap();
            for difference in differences.clone() {
                prop_assert!(difference.clone().apply(&mut shown), "{}\n{:?} of {:?}", asked.ours, difference, differences);
            }
            let again = plan.run(&data.memory).unwrap().rows;
            let told = || format!("{}\n{differences:?}\n{}\n{shown:?}\n{again:?}", asked.ours, plan.explain());
            prop_assert!(same_rows(&shown, &again), "{}", told());
            let kept: Vec<Vec<Value>> = live.rows().map(<[Value]>::to_vec).collect();
            prop_assert_eq!(&shown, &kept);
            if changed.is_empty() {
                prop_assert!(differences.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_query_that_no_change_leads_to_keeps_its_result(
        data in proptest::collection::vec(any::<u16>(), 100..500),
        queries in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..60), 24),
        edits in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..24), 1..16),
    ) {
        let mut data = Data::generate(&mut Choices::new(data));
        let mut index = PredicateIndex::new();
        let mut plans = vec![];
        for (id, choices) in queries.into_iter().enumerate() {
            let asked = Asked::generate(&mut Choices::new(choices));
            let params = asked.params.iter().cloned().fold(Params::new(), Params::with);
            let bound = Query::parse(&asked.ours).unwrap().bind(&data.schema, &params).unwrap();
            index.add(id as u64, &bound);
            let plan = bound.plan(&[]);
            let rows = plan.run(&data.memory).unwrap().rows;
            plans.push((asked.ours, plan, rows));
        }
        for edit in edits {
            let mut choices = Choices::new(edit);
            let (changed, before) = edit_one(&mut data, &mut choices);
            let after = data.memory.record(&changed.collection, changed.entity);
            let found = candidates(&index, &changed, before.as_ref(), after);
            for (id, (sql, plan, rows)) in plans.iter_mut().enumerate() {
                let again = plan.run(&data.memory).unwrap().rows;
                let is_found = found.contains(&(id as u64));
                prop_assert!(is_found || *rows == again, "{sql}\n{changed:?}\n{before:?}\n{after:?}");
                *rows = again;
            }
        }
    }
}

fn candidates(
    index: &PredicateIndex,
    changed: &Changed,
    before: Option<&Record>,
    after: Option<&Record>,
) -> std::collections::BTreeSet<u64> {
    let (none, all) = (Record::new(), before.into_iter().chain(after));
    let (old, new) = (before.unwrap_or(&none), after.unwrap_or(&none));
    let fields: std::collections::BTreeSet<_> = all.flat_map(|record| record.keys()).cloned().collect();
    let fields: Vec<_> = fields.into_iter().filter(|field| old.get(field) != new.get(field)).collect();
    let change = RowChange {
        collection: &changed.collection,
        entity: changed.entity,
        before: if before.is_some() { Side::Fields(old) } else { Side::Absent },
        after: if after.is_some() { Side::Fields(new) } else { Side::Absent },
        fields: &fields,
    };
    index.candidates(&change).unwrap()
}

/// Puts in, changes and takes out some entities.
fn edit_some(data: &mut Data, choices: &mut Choices) -> Vec<Changed> {
    (0..choices.below(8)).map(|_| edit_one(data, choices).0).collect()
}

/// Puts in, changes or takes out an entity; returns what it was.
fn edit_one(data: &mut Data, choices: &mut Choices) -> (Changed, Option<Record>) {
    let nth = choices.one_of(&[0, 0, 0, 1, 2]);
    let (collection, fields) = COLLECTIONS[nth];
    let id = entity(nth, choices.below([28, 9, 5][nth]));
    let collection = name(collection);
    let before = data.memory.record(&collection, id).cloned();
    let mut record = before.clone().unwrap_or_default();
    let record = if choices.rarely(3) {
        None
    } else {
        for _ in 0..=choices.below(3) {
            let (field, _) = choices.one_of(fields);
            match crate::data::value(field, choices) {
                Some(value) => record.insert(name(field), value),
                None => record.remove(&name(field)),
            };
        }
        Some(record)
    };
    data.memory.put(&collection, id, record);
    (Changed { collection, entity: id }, before)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn windows_over_many_rows_fill_their_gaps(
        rows in proptest::collection::vec(0i64..20, 30..60),
        edits in proptest::collection::vec(
            proptest::collection::vec((0usize..70, proptest::option::weighted(0.6, 0i64..20)), 1..6),
            1..60,
        ),
        limit in 0usize..4,
        offset in 0usize..3,
        descending: bool,
    ) {
        let mut data = Data::generate(&mut Choices::new(vec![]));
        let albums = name("albums");
        let record = |year: i64| [(name("year"), Value::Int(year))].into();
        for (nth, year) in rows.into_iter().enumerate() {
            data.memory.put(&albums, entity(0, nth), Some(record(year)));
        }
        let direction = if descending { "DESC" } else { "ASC" };
        let sql = format!("SELECT id, year FROM albums ORDER BY year {direction} LIMIT {limit} OFFSET {offset}");
        let bound = Query::parse(&sql).unwrap().bind(&data.schema, &Params::new()).unwrap();
        let plan = bound.plan(&data.memory.indexes());
        let mut live = LiveResult::open(plan.clone(), &data.memory).unwrap();
        let mut shown: Vec<Vec<Value>> = live.rows().map(<[Value]>::to_vec).collect();
        for edit in edits {
            let mut changed = vec![];
            for (nth, year) in edit {
                data.memory.put(&albums, entity(0, nth), year.map(record));
                changed.push(Changed { collection: albums.clone(), entity: entity(0, nth) });
            }
            for difference in live.update(&data.memory, &changed).unwrap() {
                prop_assert!(difference.apply(&mut shown));
            }
            prop_assert_eq!(&shown, &plan.run(&data.memory).unwrap().rows);
        }
    }
}
