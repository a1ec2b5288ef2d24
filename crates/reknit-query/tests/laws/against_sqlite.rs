//! Random queries over random data, run here and in SQLite.
//!
//! The generator stays within what both define alike; `reknit_query`'s documentation lists the differences. Every query is
//! run without indexes, with a choice of them, and in pages.

use crate::choices::Choices;
use crate::data::Data;
use crate::query::Asked;
use crate::sqlite::Oracle;
use proptest::prelude::*;
use reknit_query::{Cursor, Params, Query};
use reknit_types::Value;

/// Queries for each choice of data.
const QUERIES: usize = 32;

/// How often data is chosen: `ORACLE_CASES`, or few enough for everyday use.
fn cases() -> u32 {
    std::env::var("ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn sqlite_finds_the_same(
        data in proptest::collection::vec(any::<u16>(), 0..600),
        queries in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..80), QUERIES),
    ) {
        let data = Data::generate(&mut Choices::new(data));
        let oracle = Oracle::new(&data);
        for choices in queries {
            let mut choices = Choices::new(choices);
            let asked = Asked::generate(&mut choices);
            let wanted = oracle.ask(&asked);
            check(&data, &asked, &wanted, &mut choices)?;
        }
    }
}

fn check(
    data: &Data,
    asked: &Asked,
    wanted: &[Vec<Value>],
    choices: &mut Choices,
) -> Result<(), TestCaseError> {
    let query =
        Query::parse(&asked.ours).map_err(|error| TestCaseError::fail(format!("{}\n{error}", asked.ours)))?;
    let params = asked.params.iter().cloned().fold(Params::new(), Params::with);
    let bound = query
        .bind(&data.schema, &params)
        .map_err(|error| TestCaseError::fail(format!("{}\n{error}", asked.ours)))?;
    let chosen: Vec<_> = data.memory.indexes().into_iter().filter(|_| choices.below(3) > 0).collect();
    for indexes in [&[][..], &data.memory.indexes(), &chosen] {
        let plan = bound.plan(indexes);
        let answer = plan.run(&data.memory).unwrap();
        let told = || {
            format!(
                "{}\n{}\n{:?}\n{}ours {:?}\nSQLite {:?}",
                asked.ours,
                asked.theirs,
                asked.params,
                plan.explain_run(&answer.reads),
                answer.rows,
                wanted
            )
        };
        prop_assert!(same_rows(&answer.rows, wanted), "{}", told());
        if let (Some(limit), 0) = (bound.limit().filter(|limit| *limit > 0), asked.offset) {
            pages(data, asked, indexes, limit)?;
        }
    }
    Ok(())
}

/// All pages of a query, behind one another, are the query without its limit.
fn pages(
    data: &Data,
    asked: &Asked,
    indexes: &[reknit_query::IndexInfo],
    limit: u64,
) -> Result<(), TestCaseError> {
    let params = || asked.params.iter().cloned().fold(Params::new(), Params::with);
    let whole = Query::parse(&asked.ours_without_limit).unwrap().bind(&data.schema, &params()).unwrap();
    let whole = whole.plan(indexes).run(&data.memory).unwrap();
    let plan = Query::parse(&asked.ours).unwrap().bind(&data.schema, &params()).unwrap().plan(indexes);
    let mut answer = plan.run(&data.memory).unwrap();
    let mut rows = answer.rows;
    while let Some(end) = answer.end {
        let end: Cursor = end.to_string().parse().unwrap();
        answer = plan.run_after(&data.memory, &end).unwrap();
        prop_assert!(answer.rows.len() as u64 <= limit && rows.len() <= whole.rows.len());
        rows.extend(answer.rows);
    }
    prop_assert!(
        same_rows(&rows, &whole.rows),
        "{}\n{}\n{rows:?}\n{:?}",
        asked.ours,
        plan.explain(),
        whole.rows
    );
    Ok(())
}

pub(crate) fn same_rows(left: &[Vec<Value>], right: &[Vec<Value>]) -> bool {
    let same_row = |(left, right): (&Vec<Value>, &Vec<Value>)| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
    };
    left.len() == right.len() && left.iter().zip(right).all(same_row)
}

/// SQLite knows no booleans and no references.
fn same(left: &Value, right: &Value) -> bool {
    match (plain(left), plain(right)) {
        (Value::Int(left), Value::Float(right)) | (Value::Float(right), Value::Int(left)) => {
            left as f64 == right
        }
        (left, right) => left == right,
    }
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Bool(value) => Value::Int(i64::from(*value)),
        Value::Ref(entity) => Value::Text(entity.to_string()),
        other => other.clone(),
    }
}
