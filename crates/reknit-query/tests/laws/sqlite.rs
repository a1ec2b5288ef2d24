//! The same data in SQLite.

use super::data::{COLLECTIONS, Data, name};
use super::query::Asked;
use reknit_types::Value;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value as Sqlite, ValueRef};
use rusqlite::{Connection, params_from_iter};

pub(crate) struct Oracle {
    connection: Connection,
}

impl Oracle {
    pub(crate) fn new(data: &Data) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA case_sensitive_like = ON").unwrap();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection
            .create_scalar_function("words", 2, flags, |context| {
                Ok(words(context.get_raw(0), context.get_raw(1)))
            })
            .unwrap();
        for (collection, fields) in COLLECTIONS {
            // Columns without a type convert nothing.
            let columns: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
            connection
                .execute_batch(&format!("CREATE TABLE {collection} (id, {})", columns.join(", ")))
                .unwrap();
        }
        for (collection, id, record) in &data.rows {
            let fields = COLLECTIONS.iter().find(|(known, _)| known == collection).unwrap().1;
            let marks = vec!["?"; fields.len() + 1].join(", ");
            let values =
                fields.iter().map(|(field, _)| record.get(&name(field)).map_or(Sqlite::Null, sqlite));
            let values = std::iter::once(Sqlite::Text(id.to_string())).chain(values);
            let sql = format!("INSERT INTO {collection} VALUES ({marks})");
            connection.execute(&sql, params_from_iter(values)).unwrap();
        }
        Self { connection }
    }

    pub(crate) fn ask(&self, asked: &Asked) -> Vec<Vec<Value>> {
        let explain = |error| panic!("{}\n{error}", asked.theirs);
        let mut statement = self.connection.prepare(&asked.theirs).unwrap_or_else(explain);
        let columns = statement.column_count();
        let params = params_from_iter(asked.their_params.iter().map(sqlite));
        let rows = statement.query_map(params, |row| {
            (0..columns)
                .map(|column| Ok(value(row.get_ref(column)?)))
                .collect::<rusqlite::Result<Vec<Value>>>()
        });
        rows.unwrap_or_else(|error| panic!("{}\n{error}", asked.theirs))
            .map(|row| row.unwrap_or_else(|error| panic!("{}\n{error}", asked.theirs)))
            .collect()
    }
}

/// The definition of `MATCH`, once more.
fn words(text: ValueRef<'_>, wanted: ValueRef<'_>) -> ToSqlOutput<'static> {
    let (ValueRef::Text(text), ValueRef::Text(wanted)) = (text, wanted) else {
        return ToSqlOutput::Owned(Sqlite::Null);
    };
    let split = |text: &[u8]| -> Vec<String> {
        let text = String::from_utf8(text.to_vec()).unwrap().to_lowercase();
        text.split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (text, wanted) = (split(text), split(wanted));
    let all = !wanted.is_empty() && wanted.iter().all(|word| text.contains(word));
    ToSqlOutput::Owned(Sqlite::Integer(i64::from(all)))
}

fn sqlite(value: &Value) -> Sqlite {
    match value {
        Value::Null => Sqlite::Null,
        Value::Bool(value) => Sqlite::Integer(i64::from(*value)),
        Value::Int(value) => Sqlite::Integer(*value),
        Value::Float(value) => Sqlite::Real(*value),
        Value::Text(text) => Sqlite::Text(text.clone()),
        Value::Bytes(bytes) => Sqlite::Blob(bytes.clone()),
        Value::Ref(entity) => Sqlite::Text(entity.to_string()),
        Value::List(_) | Value::Map(_) => Sqlite::Text(json(value)),
    }
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => format!("\"{text}\""),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(name, value)| format!("\"{name}\":{}", json(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
        other => other.to_string(),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::float(value).unwrap_or_default(),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}
