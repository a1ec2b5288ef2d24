//! `reknit query`

use super::Context;
use crate::args::QueryArgs;
use crate::calls::{Found, LiveQuery, Query};
use crate::door::Door;
use crate::exit::{Exit, Failure};
use crate::home::Reach;
use crate::output::Page;
use crate::table::{Table, flat};
use crate::view::{DifferenceView, LiveView};
use futures::StreamExt;
use reknit::Value;
use std::collections::BTreeMap;

pub(super) async fn run(context: &Context, args: QueryArgs) -> Result<(), Failure> {
    let QueryArgs { sql, params, explain, csv, live, count } = args;
    let (positional, named) = values(params);
    if live {
        let question = LiveQuery { space: context.space.clone(), sql, positional, named };
        return context
            .with(Reach::Online, async |door| follow(context, (door, question), count).await)
            .await;
    }
    let call = Query { space: context.space.clone(), sql, positional, named, explain };
    let found = context.ask(call).await?;
    if csv {
        return context.output.text(&as_csv(&found));
    }
    context.output.result(&found, |page| match &found.plan {
        Some(plan) => plan.lines().for_each(|line| page.line(line)),
        None if found.rows.is_empty() => page.line("nothing found"),
        None => page.table(&table(&found)),
    })
}

/// Shows what an open query says until the user ends it.
async fn follow(
    context: &Context,
    (door, question): (&Door, LiveQuery),
    count: Option<usize>,
) -> Result<(), Failure> {
    let mut steps = door.follow(question).await?;
    for _ in 0..count.unwrap_or(usize::MAX) {
        let step = tokio::select! {
            step = steps.next() => step,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(step) = step.transpose()? else {
            let gone = "the peer has stopped: start it with `reknit up`, then ask again";
            return Err(Failure::new(Exit::Unreachable, gone));
        };
        if let LiveView::Failed { error } = step {
            return Err(Failure::error(error));
        }
        context.output.result(&step, |page| show(step_lines(&step), page))?;
    }
    Ok(())
}

fn show(lines: Vec<String>, page: Page<'_>) {
    lines.into_iter().for_each(|line| page.line(flat(&line)));
}

fn step_lines(step: &LiveView) -> Vec<String> {
    let line = |sign: &str, row: &[Value]| {
        format!("{sign} {}", row.iter().map(shown).collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    match step {
        LiveView::Found { rows, .. } => rows.iter().map(|row| line(" ", row)).collect(),
        LiveView::Current => vec!["-- current; what follows is news".to_owned()],
        LiveView::Changed { differences, .. } => differences
            .iter()
            .map(|difference| match difference {
                DifferenceView::Inserted { row, .. } => line("+", row),
                DifferenceView::Updated { row, .. } => line("~", row),
                DifferenceView::Removed { at } => format!("- row {at}"),
                DifferenceView::Moved { from, to, row } => {
                    format!("{} (from {from} to {to})", line(">", row))
                }
            })
            .collect(),
        LiveView::Failed { error } => vec![error.clone()],
    }
}

/// `name=value` is for `:name`, anything else for the next `?`. What is JSON is that, all else is text.
fn values(params: Vec<String>) -> (Vec<Value>, BTreeMap<String, Value>) {
    let (mut positional, mut named) = (vec![], BTreeMap::new());
    for param in params {
        match param.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, text)) => _ = named.insert(name.to_owned(), value(text)),
            None => positional.push(value(&param)),
        }
    }
    (positional, named)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Text(text.to_owned()))
}

fn table(found: &Found) -> Table {
    let head: Vec<&str> = found.columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    for row in &found.rows {
        table.row(row.iter().map(shown));
    }
    table
}

/// RFC 4180. Nothing is an empty field, and empty text is quoted.
fn as_csv(found: &Found) -> String {
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let head = line(found.columns.iter().map(|name| quoted(name)).collect());
    let rows = found.rows.iter().map(|row| {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            value => quoted(&shown(value)),
        });
        line(cells.collect())
    });
    std::iter::once(head).chain(rows).collect()
}

fn quoted(cell: &str) -> String {
    let is_plain = !cell.is_empty() && !cell.contains([',', '"', '\r', '\n']);
    if is_plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_json_or_text_by_name_or_place() {
        let (positional, named) = values(["7", "year=1966", "a b=c", "\"7\""].map(str::to_owned).to_vec());
        assert_eq!(positional, [Value::Int(7), "a b=c".into(), "7".into()]);
        assert_eq!(named, [("year".to_owned(), Value::Int(1966))].into());
    }

    #[test]
    fn csv_quotes_what_would_be_misread() {
        let columns = vec!["a".to_owned(), "b,c".to_owned()];
        let rows = vec![vec!["x\"y".into(), Value::Null], vec!["".into(), Value::Int(-1)]];
        let csv = as_csv(&Found { columns, rows, plan: None });
        assert_eq!(csv, "a,\"b,c\"\r\n\"x\"\"y\",\r\n\"\",-1\r\n");
    }
}
