//! `reknit edit`

use super::Context;
use crate::args::EditArgs;
use crate::calls::{Begin, Begun, Cancel, Commit};
use crate::door::Door;
use crate::exit::Failure;
use crate::home::Reach;
use serde::Serialize;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// How an edit ended.
#[derive(Serialize)]
struct Edited {
    id: reknit::EntityId,
    changed: bool,
}

pub(super) async fn run(context: &Context, args: EditArgs) -> Result<(), Failure> {
    let edited = context.with(Reach::Offline, async |door| edit(context, door, args).await).await?;
    context.output.result(&edited, |page| {
        page.line(if edited.changed {
            format!("changed {}", edited.id)
        } else {
            "nothing changed".to_owned()
        });
    })
}

async fn edit(context: &Context, door: &Door, args: EditArgs) -> Result<Edited, Failure> {
    let (collection, field) = (args.collection, args.field);
    let call = Begin { space: context.space.clone(), collection, id: args.id, field: field.clone() };
    let Begun { draft, id, text } = door.call(call).await?;
    let changed = change(door, (draft, &text), args.from.as_deref(), &field).await;
    if !matches!(changed, Ok(true)) {
        // A draft that this does not reach is given up after a while.
        let _ = door.call(Cancel { draft }).await;
    }
    Ok(Edited { id, changed: changed? })
}

/// Whether there was anything to change.
async fn change(
    door: &Door,
    (draft, text): (u64, &str),
    from: Option<&Path>,
    field: &str,
) -> Result<bool, Failure> {
    let new = match from {
        Some(file) => Written { text: read(file)?, sheet: None },
        None => in_editor(text, field).await?,
    };
    // Editors end the last line, whether the text did or not.
    let wanted = match new.text.strip_suffix('\n') {
        Some(trimmed) if !text.ends_with('\n') => trimmed,
        _ => &new.text,
    };
    if wanted == text {
        return Ok(false);
    }
    let committed = door.call(Commit { draft, text: wanted.to_owned() }).await;
    committed.map(|()| true).map_err(|failure| match new.sheet {
        Some(sheet) => sheet.kept(failure),
        None => failure,
    })
}

/// A text, and the file it was written in if that is ours.
struct Written {
    text: String,
    sheet: Option<Sheet>,
}

/// The file that the user's editor writes. It goes when this is dropped.
struct Sheet {
    dir: TempDir,
    file: PathBuf,
}

impl Sheet {
    /// Keeps what the user wrote, and says where it is.
    fn kept(self, failure: Failure) -> Failure {
        let _ = self.dir.keep();
        let file = self.file.display();
        let message =
            format!("{}. What you wrote is kept in {file}: `reknit edit --from` takes it", failure.message);
        Failure { message, ..failure }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|cause| Failure::while_doing(format!("reading {}", file.display()), cause))?;
    Ok(text)
}

/// Lets the user's editor change the text in a file that only the user can read.
async fn in_editor(text: &str, field: &str) -> Result<Written, Failure> {
    let name: String = field.chars().filter(|char| char.is_alphanumeric()).collect();
    let failed = |cause: std::io::Error| Failure::while_doing("preparing the text for the editor", cause);
    let dir = tempfile::Builder::new().prefix("reknit-").tempdir().map_err(failed)?;
    let file = dir.path().join(format!("{name}.txt"));
    std::fs::write(&file, text).map_err(failed)?;
    let editor = editor();
    // Through the shell, since $EDITOR may hold arguments; the file is an argument of its own.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{} \"$1\"", editor.to_string_lossy())).arg("sh").arg(&file);
    let status = command
        .status()
        .await
        .map_err(|cause| Failure::while_doing(format!("starting {}", editor.to_string_lossy()), cause))?;
    let (written, sheet) = (read(&file), Sheet { dir, file });
    if !status.success() {
        let failure = Failure::error(format!(
            "{} ended with {status}: nothing was changed; set EDITOR to the editor you like",
            editor.to_string_lossy()
        ));
        let touched = written.is_ok_and(|written| written != text);
        return Err(if touched { sheet.kept(failure) } else { failure });
    }
    match written {
        Ok(text) => Ok(Written { text, sheet: Some(sheet) }),
        Err(failure) => Err(sheet.kept(failure)),
    }
}

fn editor() -> OsString {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into())
}
