//! `reknit put`, `get`, `rm`, `restore`

use super::Context;
use crate::args::{GetArgs, IdsArgs, PutArgs};
use crate::assignment::Assignment;
use crate::calls::{Find, Put, Remove, Restore};
use crate::exit::Failure;
use crate::output::Page;
use crate::table::{Table, flat, harmless};
use crate::view::{EntityView, Kind, readable};
use reknit::EntityId;
use std::io::IsTerminal;

pub(super) async fn put(context: &Context, args: PutArgs) -> Result<(), Failure> {
    let (id, words) = match args.words.split_first() {
        Some((first, rest)) if !Assignment::is_one(first) => (Some(first).filter(|id| *id != "new"), rest),
        _ => (None, args.words.as_slice()),
    };
    let assignments = words.iter().map(|word| Assignment::parse(word)).collect::<Result<Vec<_>, _>>()?;
    if assignments.is_empty() {
        return Err(Failure::usage("there is nothing to write: add assignments such as title=Blue"));
    }
    let call =
        Put { space: context.space.clone(), collection: args.collection, id: id.cloned(), assignments };
    let done = context.ask(call).await?;
    context.output.result(&done, |page| {
        let did = if done.created { "created" } else { "changed" };
        page.line(format!("{did} {} {}", flat(&done.entity.collection), done.entity.id));
    })
}

pub(super) async fn get(context: &Context, args: GetArgs) -> Result<(), Failure> {
    let call = Find { space: context.space.clone(), collection: args.collection, id: args.id };
    let entity = context.ask(call).await?;
    let Some(field) = args.field else {
        return context.output.result(&entity, |page| show(&entity, page));
    };
    let value = entity.fields.get(&field).ok_or_else(|| {
        let known: Vec<_> = entity.fields.keys().map(String::as_str).collect();
        Failure::not_found(format!("{} has no field {field:?}, only: {}", entity.id, known.join(", ")))
    })?;
    context.output.result(value, |page| {
        let text = readable(value);
        page.line(if std::io::stdout().is_terminal() { harmless(&text) } else { text });
    })
}

fn show(entity: &EntityView, page: Page<'_>) {
    let deleted = if entity.deleted { " (deleted)" } else { "" };
    page.heading(format!("{} {}{deleted}", flat(&entity.collection), entity.id));
    let mut table = Table::pairs();
    let mut long = Vec::new();
    for (name, value) in &entity.fields {
        let text = readable(value);
        let kind = entity.kinds.get(name).copied();
        if text.contains('\n') {
            long.push((name, text));
        } else {
            table.row([name.as_str(), kind.map_or("", Kind::as_str), &text]);
        }
    }
    page.table(&table);
    for (name, text) in long {
        page.heading(format!("{}:", flat(name)));
        page.line(harmless(&text));
    }
}

pub(super) async fn remove(context: &Context, args: IdsArgs) -> Result<(), Failure> {
    let call = Remove { space: context.space.clone(), collection: args.collection, ids: args.ids };
    let removed = context.ask(call).await?;
    tell(context, "deleted", &removed)
}

pub(super) async fn restore(context: &Context, args: IdsArgs) -> Result<(), Failure> {
    let call = Restore { space: context.space.clone(), collection: args.collection, ids: args.ids };
    let restored = context.ask(call).await?;
    tell(context, "restored", &restored)
}

fn tell(context: &Context, did: &str, ids: &[EntityId]) -> Result<(), Failure> {
    context.output.result(&ids, |page| ids.iter().for_each(|id| page.line(format!("{did} {id}"))))
}
