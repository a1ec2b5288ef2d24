//! Paths into a document: JSON pointers (RFC 6901), such as `/tasks/0/title`. The empty path is the whole document.

use super::DocumentError;
use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc as _, Value};

/// The steps of a path.
pub(crate) fn parse(path: &str) -> Result<Vec<String>, DocumentError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let rest = path.strip_prefix('/').ok_or_else(|| DocumentError::Path(path.to_owned()))?;
    Ok(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// The object that holds the end of a path, and the end.
pub(crate) struct Target {
    pub(crate) object: ObjId,
    pub(crate) kind: ObjType,
    pub(crate) step: String,
}

/// Walks to the object that holds the end of a path; `None` for the empty path.
pub(crate) fn target(doc: &AutoCommit, path: &str) -> Result<Option<Target>, DocumentError> {
    let mut steps = parse(path)?;
    let Some(step) = steps.pop() else { return Ok(None) };
    let (mut object, mut kind) = (ROOT, ObjType::Map);
    for step in steps {
        let prop = existing(doc, &object, kind, &step, path)?;
        match doc.get(&object, prop) {
            Ok(Some((Value::Object(inner), id))) if inner != ObjType::Text => (object, kind) = (id, inner),
            _ => return Err(DocumentError::Missing(path.to_owned())),
        }
    }
    Ok(Some(Target { object, kind, step }))
}

/// The key or index that `step` names in an object; an index must exist.
pub(crate) fn existing(
    doc: &AutoCommit,
    object: &ObjId,
    kind: ObjType,
    step: &str,
    path: &str,
) -> Result<Prop, DocumentError> {
    if is_map(kind) {
        return Ok(Prop::Map(step.to_owned()));
    }
    let index = step.parse().ok().filter(|index| *index < doc.length(object));
    index.map(Prop::Seq).ok_or_else(|| DocumentError::Missing(path.to_owned()))
}

pub(crate) fn is_map(kind: ObjType) -> bool {
    matches!(kind, ObjType::Map | ObjType::Table)
}
