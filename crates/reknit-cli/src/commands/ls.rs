//! `reknit ls`

use super::Context;
use crate::args::LsArgs;
use crate::calls::{Collections, List, PAGE_ENTITIES_MAX};
use crate::exit::Failure;
use crate::home::Reach;
use crate::table::Table;
use crate::view::{EntityView, readable};
use std::collections::BTreeSet;

pub(super) async fn run(context: &Context, args: LsArgs) -> Result<(), Failure> {
    match args.collection.clone() {
        None => collections(context).await,
        Some(collection) => entities(context, collection, args).await,
    }
}

async fn collections(context: &Context) -> Result<(), Failure> {
    let counts = context.ask(Collections { space: context.space.clone() }).await?;
    context.output.result(&counts, |page| {
        if counts.is_empty() {
            return page.line("nothing here yet: `reknit put COLLECTION field=text`");
        }
        let mut table = Table::new(&["collection", "entities"]);
        for (name, count) in &counts {
            table.row([name.clone(), count.to_string()]);
        }
        page.table(&table);
    })
}

async fn entities(context: &Context, collection: String, args: LsArgs) -> Result<(), Failure> {
    let limit = args.limit.unwrap_or(if context.output.is_json() { usize::MAX } else { SHOWN });
    let (found, more) = context
        .with(Reach::Offline, async |door| {
            let (mut found, mut after) = (Vec::new(), args.after);
            loop {
                let call = List {
                    space: context.space.clone(),
                    collection: collection.clone(),
                    after,
                    limit: PAGE_ENTITIES_MAX.min(limit.saturating_sub(found.len())),
                    include_deleted: args.deleted,
                };
                let page = door.call(call).await?;
                found.extend(page.entities);
                after = page.next_after;
                if after.is_none() || found.len() >= limit {
                    return Ok((found, after));
                }
            }
        })
        .await?;
    context.output.result(&found, |page| page.table(&overview(&found)))?;
    if let Some(after) = more {
        context.output.warn(format_args!("there may be more: --after {after}, or a greater --limit"));
    }
    Ok(())
}

/// A column for each of the first few fields, in order of name.
fn overview(entities: &[EntityView]) -> Table {
    let fields: BTreeSet<&str> =
        entities.iter().flat_map(|entity| entity.fields.keys().map(String::as_str)).collect();
    let fields: Vec<_> = fields.into_iter().take(COLUMNS_MAX).collect();
    let head: Vec<_> = std::iter::once("id").chain(fields.iter().copied()).collect();
    let mut table = Table::new(&head);
    for entity in entities {
        let id = if entity.deleted { format!("{} (deleted)", entity.id) } else { entity.id.to_string() };
        let cells = fields.iter().map(|field| entity.fields.get(*field).map_or_else(String::new, cell));
        table.row(std::iter::once(id).chain(cells));
    }
    table
}

fn cell(value: &serde_json::Value) -> String {
    let text = readable(value);
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// Entities shown to people who name no limit.
const SHOWN: usize = 100;
const COLUMNS_MAX: usize = 8;
const CELL_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entities_with_different_fields_share_a_table() {
        let entity = |byte: u8, fields: serde_json::Value| EntityView {
            collection: "songs".into(),
            id: reknit::EntityId::from_bytes([byte; 16]),
            deleted: byte == 2,
            fields: serde_json::from_value(fields).unwrap(),
            kinds: Default::default(),
        };
        let long = "x".repeat(50);
        let table =
            overview(&[entity(1, json!({"title": "Blue", "plays": 3})), entity(2, json!({"notes": long}))]);
        let lines = table.lines(None);
        assert!(lines[0].starts_with("ID ") && lines[0].contains("NOTES"), "{lines:?}");
        assert!(lines[1].ends_with("3      Blue"), "{lines:?}");
        assert!(lines[2].contains("(deleted)") && lines[2].ends_with("xxx…"), "{lines:?}");
    }
}
