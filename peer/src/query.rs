//! Asking a space in SQL.

use crate::error::Error;
use crate::model::{FieldDeclaration, Model, Predicate, Ref, Schema as Declaration};
use crate::space::{Snapshot, Space};
use reknit_engine::rows::{Declared, Rows, Stored};
use reknit_query::{Answer, Cursor, Params, Plan, Query, Schema};
use reknit_types::{Name, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

impl Space {
    /// What a query finds now. The language is that of the `reknit-query` crate, a subset of SQL. Fields are called as models
    /// call them, or by what they are stored under.
    ///
    /// ```
    /// # use reknit::{Params, Peer};
    /// # #[tokio::main]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let peer = Peer::ephemeral().offline().start().await?;
    /// # let space = peer.create_space("home").await?;
    /// space.transact(|tx| tx.create("albums")?.set("title", "Silk")?.set("year", 1966i64).map(drop)).await?;
    /// let found = space.query("SELECT title FROM albums WHERE year < ?", &Params::new().with(1970i64))?;
    /// assert_eq!(found.rows, [["Silk".into()]]);
    /// # peer.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::QueryText`], [`Error::QueryParameters`] and [`Error::Query`]; [`Error::Store`].
    pub fn query(&self, sql: &str, params: &Params) -> Result<Answer, Error> {
        self.snapshot()?.query(sql, params)
    }

    /// The entities of a model for which a condition holds, by time of creation.
    ///
    /// # Errors
    /// As for [`Space::query`]; [`Error::Model`] if the condition compares a field with what no field can hold.
    pub fn find<M: Model>(&self, predicate: Predicate<M>) -> Result<Vec<M::View>, Error> {
        self.snapshot()?.find(predicate)
    }
}

impl Snapshot {
    /// As [`Space::query`], in this view of the space.
    ///
    /// # Errors
    /// As for [`Space::query`].
    pub fn query(&self, sql: &str, params: &Params) -> Result<Answer, Error> {
        let known = self.known()?;
        Ok(known.plan(sql, params)?.run(&known.rows)?)
    }

    /// The page behind the one that ended at `cursor`. Pages neither repeat nor leave out a row that does not move.
    ///
    /// # Errors
    /// As for [`Space::query`]; [`Error::Query`] too if the cursor is of another query.
    pub fn query_after(&self, sql: &str, params: &Params, cursor: &Cursor) -> Result<Answer, Error> {
        let known = self.known()?;
        Ok(known.plan(sql, params)?.run_after(&known.rows, cursor)?)
    }

    /// How a query would be run: [`Plan::explain`] tells it in words.
    ///
    /// # Errors
    /// [`Error::QueryText`] and [`Error::QueryParameters`]; [`Error::Store`].
    pub fn plan(&self, sql: &str, params: &Params) -> Result<Plan, Error> {
        self.known()?.plan(sql, params)
    }

    /// As [`Space::find`], in this view of the space.
    ///
    /// # Errors
    /// As for [`Space::find`].
    pub fn find<M: Model>(&self, predicate: Predicate<M>) -> Result<Vec<M::View>, Error> {
        let (condition, values) = predicate.into_parts()?;
        let params = values.into_iter().fold(Params::new(), Params::with);
        let sql = format!("SELECT id FROM \"{}\" AS \"{ROW}\" WHERE {condition} ORDER BY id", M::COLLECTION);
        let ids = self.query(&sql, &params)?.rows.into_iter().flatten();
        let views = ids.filter_map(|id| match id {
            Value::Ref(id) => self.view::<M>(Ref::new(id)).transpose(),
            _ => None,
        });
        views.collect()
    }

    pub(crate) fn known(&self) -> Result<Known<'_>, Error> {
        let declarations = self.schema()?;
        let declared: Declared = declarations.iter().filter_map(declared).collect();
        let rows = Rows::new(self.reads(), self.no()).declared(declared);
        Ok(Known { rows, declarations, found: RefCell::default() })
    }
}

/// The rows of a space, and what is known of its collections.
pub(crate) struct Known<'a> {
    rows: Rows<'a>,
    declarations: Vec<Declaration>,
    /// The fields of collections, once they were looked for: that reads the collection.
    found: RefCell<BTreeMap<Name, BTreeSet<Name>>>,
}

impl<'a> Known<'a> {
    /// The rows of a snapshot, for a query that was bound to `declared`.
    pub(crate) fn of(snapshot: &'a Snapshot, declared: Declared) -> Self {
        let rows = Rows::new(snapshot.reads(), snapshot.no()).declared(declared);
        Self { rows, declarations: vec![], found: RefCell::default() }
    }

    pub(crate) fn rows(&self) -> &Rows<'a> {
        &self.rows
    }

    /// What queries call the fields.
    pub(crate) fn into_declared(self) -> Declared {
        self.declarations.iter().filter_map(declared).collect()
    }

    pub(crate) fn plan(&self, sql: &str, params: &Params) -> Result<Plan, Error> {
        Ok(Query::parse(sql)?.bind(self, params)?.plan(&[]))
    }

    fn declared(&self, collection: &Name) -> &[FieldDeclaration] {
        let found = self.declarations.iter().find(|declared| declared.collection == collection.as_str());
        found.map_or(&[], |declared| &declared.fields)
    }

    fn declaration(&self, collection: &Name, field: &Name) -> Option<&FieldDeclaration> {
        let is_it = |known: &&FieldDeclaration| known.name == field.as_str() || known.id == field.as_str();
        self.declared(collection).iter().find(is_it)
    }

    /// The fields that entities of the collection have. What cannot be read shows when the query reads it.
    fn found(&self, collection: &Name) -> Option<BTreeSet<Name>> {
        if let Some(found) = self.found.borrow().get(collection) {
            return Some(found.clone());
        }
        let found = self.rows.fields_of(collection).ok()?;
        self.found.borrow_mut().insert(collection.clone(), found.clone());
        Some(found)
    }
}

impl Schema for Known<'_> {
    /// What was declared, under the names of the structs, then what else is there.
    fn fields(&self, collection: &Name) -> Option<Vec<Name>> {
        let declared = self.declared(collection);
        let mut names: Vec<Name> = declared.iter().filter_map(|field| Name::new(&field.name).ok()).collect();
        let known: BTreeSet<&str> = declared.iter().map(|field| field.id.as_str()).collect();
        names.extend(self.found(collection)?.into_iter().filter(|field| !known.contains(field.as_str())));
        Some(names)
    }

    /// Where nothing is declared, anybody may have written any field by the time that it is asked for.
    fn has(&self, collection: &Name, field: &Name) -> Option<bool> {
        if self.declared(collection).is_empty() {
            return None;
        }
        let is_declared = self.declaration(collection, field).is_some();
        Some(is_declared || self.found(collection).is_some_and(|found| found.contains(field)))
    }

    fn reference(&self, collection: &Name, field: &Name) -> Option<Name> {
        Name::new(self.declaration(collection, field)?.references.as_deref()?).ok()
    }
}

/// What queries call the fields of a collection. An id goes before a name that is the same.
fn declared(declaration: &Declaration) -> Option<(Name, BTreeMap<Name, Stored>)> {
    let stored = |field: &FieldDeclaration| {
        Some(Stored { field: Name::new(&field.id).ok()?, default: field.default.clone() })
    };
    let names =
        declaration.fields.iter().filter_map(|field| Some((Name::new(&field.name).ok()?, stored(field)?)));
    let ids =
        declaration.fields.iter().filter_map(|field| Some((Name::new(&field.id).ok()?, stored(field)?)));
    Some((Name::new(&declaration.collection).ok()?, names.chain(ids).collect()))
}

/// No field is called so: a collection goes before a field of the same name.
const ROW: &str = "the entity";
