//! `reknit schema`

use super::Context;
use crate::args::SchemaArgs;
use crate::calls::Schema;
use crate::exit::Failure;
use crate::output::Page;
use crate::table::{Table, flat};
use crate::view::{FieldView, SchemaView, readable};

pub(super) async fn run(context: &Context, args: SchemaArgs) -> Result<(), Failure> {
    let call = Schema { space: context.space.clone(), collection: args.collection };
    let schemas = context.ask(call).await?;
    context.output.result(&schemas, |page| {
        if schemas.is_empty() {
            page.line("no app has declared anything here: apps with typed models do, and none is needed");
        }
        schemas.iter().for_each(|schema| show(schema, page));
    })
}

fn show(schema: &SchemaView, page: Page<'_>) {
    let plural = if schema.versions == 1 { "" } else { "s" };
    page.heading(format!("{}, {} version{plural}", flat(&schema.collection), schema.versions));
    let mut table = Table::new(&["field", "name", "holds", "default", ""]);
    for field in &schema.fields {
        let default = field.default.as_ref().map(readable).unwrap_or_default();
        table.row([&field.id, &field.name, &field.holds(), &default, &besides(field)]);
    }
    page.table(&table);
    for conflict in &schema.conflicts {
        page.line(format!("conflict: {}", flat(&conflict.to_string())));
    }
}

fn besides(field: &FieldView) -> String {
    let said = [(field.optional, "optional"), (field.index, "index")];
    said.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
}
