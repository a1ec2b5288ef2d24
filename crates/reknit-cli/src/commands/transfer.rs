//! `reknit import`, `reknit export`: JSON lines

use super::Context;
use crate::args::{ExportArgs, ImportArgs};
use crate::calls::{Collections, List, NewEntity, PAGE_ENTITIES_MAX, Write};
use crate::door::Door;
use crate::exit::{Exit, Failure};
use crate::home::Reach;
use crate::output::{Total, not_written};
use crate::view::EntityView;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write as _};
use std::path::Path;

/// What an import or an export did.
#[derive(Serialize)]
struct Done {
    entities: u64,
}

pub(super) async fn import(context: &Context, args: ImportArgs) -> Result<(), Failure> {
    let entities =
        context.with(Reach::Offline, async |door| import_lines(context, door, &args).await).await?;
    context.output.result(&Done { entities }, |page| page.line(format!("imported {entities} entities")))
}

async fn import_lines(context: &Context, door: &Door, args: &ImportArgs) -> Result<u64, Failure> {
    let (reader, bytes) = open(&args.file)?;
    let bar = context.output.bar("import", bytes.map_or(Total::Unknown, Total::Bytes));
    let mut lines = Lines { reader, number: 0, read_bytes: 0 };
    let mut imported = 0;
    loop {
        let first = lines.number + 1;
        let groups = lines.next_groups(args)?;
        if groups.is_empty() {
            break;
        }
        let call = Write { space: context.space.clone(), groups };
        let written = door.call(call).await.map_err(|failure| Failure {
            message: format!(
                "lines {first} to {}: {}. The {imported} entities before them are in, and of these lines what other \
                 transactions hold",
                lines.number, failure.message
            ),
            ..failure
        })?;
        imported += written.entities as u64;
        bar.set_position(if bytes.is_some() { lines.read_bytes } else { imported });
    }
    bar.finish_and_clear();
    Ok(imported)
}

/// Lines of an import, as they are read.
struct Lines {
    reader: Box<dyn BufRead>,
    /// How many were read.
    number: u64,
    read_bytes: u64,
}

impl Lines {
    /// The entities of the next lines, a group for each transaction; none at the end.
    fn next_groups(&mut self, args: &ImportArgs) -> Result<Vec<Vec<NewEntity>>, Failure> {
        let (began, mut groups) = (self.read_bytes, Vec::new());
        while groups.len() < GROUPS_MAX && self.read_bytes - began < CALL_BYTES {
            match self.next_group(args)? {
                group if group.is_empty() => break,
                group => groups.push(group),
            }
        }
        Ok(groups)
    }

    fn next_group(&mut self, args: &ImportArgs) -> Result<Vec<NewEntity>, Failure> {
        let (began, mut group) = (self.read_bytes, Vec::new());
        while (group.len() as u64) < args.batch && self.read_bytes - began < GROUP_BYTES {
            let Some(line) = self.next_line()? else { break };
            if !line.trim().is_empty() {
                group.push(parse_line(&line, self.number, args.into.as_deref())?);
            }
        }
        Ok(group)
    }

    fn next_line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let read = self.reader.by_ref().take(LINE_BYTES_MAX + 1).read_line(&mut line);
        let read = read.map_err(|cause| Failure::while_doing("reading lines", cause))? as u64;
        if read > LINE_BYTES_MAX {
            return Err(Failure::error(format!(
                "line {} has more than {LINE_BYTES_MAX} bytes",
                self.number + 1
            )));
        }
        self.number += u64::from(read > 0);
        self.read_bytes += read;
        Ok((read > 0).then_some(line))
    }
}

/// The lines, and how many bytes they have if that is known.
fn open(file: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let failed = |cause: io::Error| {
        let exit = if cause.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::Error };
        Failure::new(exit, format!("opening {}: {cause}", file.display()))
    };
    let open = File::open(file).map_err(failed)?;
    let metadata = open.metadata().map_err(failed)?;
    Ok((Box::new(BufReader::new(open)), metadata.is_file().then_some(metadata.len())))
}

fn parse_line(line: &str, number: u64, into: Option<&str>) -> Result<NewEntity, Failure> {
    let refused = |cause: serde_json::Error| {
        let wanted = match into {
            Some(_) => "an object of fields",
            None => {
                r#"{"collection": .., "fields": {..}}; for plain objects of fields say --into COLLECTION"#
            }
        };
        Failure::usage(format!("line {number} is not {wanted} ({cause})"))
    };
    match into {
        None => serde_json::from_str(line).map_err(refused),
        Some(collection) => Ok(NewEntity {
            collection: collection.to_owned(),
            id: None,
            deleted: false,
            fields: serde_json::from_str(line).map_err(refused)?,
            kinds: Default::default(),
        }),
    }
}

pub(super) async fn export(context: &Context, args: ExportArgs) -> Result<(), Failure> {
    let entities =
        context.with(Reach::Offline, async |door| export_lines(context, door, &args).await).await?;
    match args.output {
        Some(file) => context.output.result(&Done { entities }, |page| {
            page.line(format!("exported {entities} entities to {}", file.display()))
        }),
        None => Ok(()),
    }
}

async fn export_lines(context: &Context, door: &Door, args: &ExportArgs) -> Result<u64, Failure> {
    let known = door.call(Collections { space: context.space.clone() }).await?;
    let collections: Vec<String> = match &args.collection {
        Some(only) if !known.contains_key(only) => {
            return Err(Failure::not_found(format!("there is no collection {only:?}")));
        }
        Some(only) => vec![only.clone()],
        None => known.keys().cloned().collect(),
    };
    let mut out = create(args.output.as_deref())?;
    let total = collections.iter().filter_map(|name| known.get(name)).sum::<usize>() as u64;
    let total = if args.output.is_some() { Total::Things(total) } else { Total::Unknown };
    let bar = context.output.bar("export", total);
    for collection in collections {
        let mut call = List {
            space: context.space.clone(),
            collection,
            after: None,
            limit: PAGE_ENTITIES_MAX,
            include_deleted: args.deleted,
        };
        loop {
            let page = door.call(call.clone()).await?;
            page.entities.iter().try_for_each(|entity| write_line(&mut out, entity))?;
            bar.inc(page.entities.len() as u64);
            call.after = page.next_after;
            if call.after.is_none() {
                break;
            }
        }
    }
    out.flush().map_err(|cause| not_written("the export", &cause))?;
    let exported = bar.position();
    bar.finish_and_clear();
    Ok(exported)
}

fn create(file: Option<&Path>) -> Result<Box<dyn io::Write>, Failure> {
    let Some(file) = file else { return Ok(Box::new(BufWriter::new(io::stdout()))) };
    let created = File::create(file);
    let created =
        created.map_err(|cause| Failure::while_doing(format!("creating {}", file.display()), cause))?;
    Ok(Box::new(BufWriter::new(created)))
}

fn write_line(out: &mut impl io::Write, entity: &EntityView) -> Result<(), Failure> {
    let line = serde_json::to_string(entity).map_err(|cause| Failure::error(cause.to_string()))?;
    writeln!(out, "{line}").map_err(|cause| not_written("the export", &cause))
}

/// One line of an import: an entity whose transaction can be no larger.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Bytes of lines after which a transaction ends, so that it stays below the limit of a payload.
const GROUP_BYTES: u64 = 256 << 10;
/// Transactions in one call, and bytes of lines after which a call ends.
const GROUPS_MAX: usize = 128;
const CALL_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Kind;
    use serde_json::json;

    #[test]
    fn a_line_is_an_entity_or_with_into_its_fields() {
        let line = r#"{"collection": "songs", "fields": {"plays": 3}, "kinds": {"plays": "counter"}}"#;
        let entity = parse_line(line, 1, None).unwrap();
        assert_eq!((entity.collection.as_str(), entity.kinds["plays"]), ("songs", Kind::Counter));
        let entity = parse_line(r#"{"title": "Blue"}"#, 1, Some("songs")).unwrap();
        assert_eq!(entity.fields["title"], json!("Blue"));
    }

    #[test]
    fn a_line_that_is_none_is_named_by_number() {
        let failure = parse_line(r#"{"title": "Blue"}"#, 7, None).unwrap_err();
        assert!(failure.message.starts_with("line 7 ") && failure.message.contains("--into"));
        assert_eq!(parse_line("[]", 8, Some("songs")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let entity = EntityView {
            collection: "songs".into(),
            id: reknit::EntityId::from_bytes([7; 16]),
            deleted: false,
            fields: [("title".to_owned(), json!("Blue"))].into(),
            kinds: [("title".to_owned(), Kind::Text)].into(),
        };
        let mut line = Vec::new();
        write_line(&mut line, &entity).unwrap();
        let read = parse_line(std::str::from_utf8(&line).unwrap(), 1, None).unwrap();
        assert_eq!((read.id, read.fields, read.kinds), (Some(entity.id), entity.fields, entity.kinds));
    }
}
