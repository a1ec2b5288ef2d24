//! What is known of the collections before a query runs.

use reknit_types::Name;
use std::collections::BTreeMap;

/// What the caller knows of its collections. A field that is not known is a plain one: nothing has to be declared, but
/// a reference that is not declared cannot be followed by a path.
pub trait Schema {
    /// The fields that `*` stands for, in order. `None` if the collection is not known.
    fn fields(&self, collection: &Name) -> Option<Vec<Name>>;

    /// Whether a collection has a field. `None` if that is not known: a query may then ask for it, and it is null where it is
    /// not there.
    fn has(&self, collection: &Name, field: &Name) -> Option<bool> {
        Some(self.fields(collection)?.contains(field))
    }

    /// The collection that a field refers to, if it is a reference.
    fn reference(&self, collection: &Name, field: &Name) -> Option<Name>;
}

/// A schema that is written down.
///
/// ```
/// use reknit_query::{Schema, Tables};
/// use reknit_types::Name;
///
/// let name = |text| Name::new(text).unwrap();
/// let mut tables = Tables::default();
/// tables.field(name("albums"), name("title")).reference(name("albums"), name("artist"), name("artists"));
/// assert_eq!(tables.reference(&name("albums"), &name("artist")), Some(name("artists")));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tables {
    collections: BTreeMap<Name, Vec<(Name, Option<Name>)>>,
}

impl Tables {
    /// Adds a collection, without fields if it is new.
    pub fn collection(&mut self, collection: Name) -> &mut Self {
        self.collections.entry(collection).or_default();
        self
    }

    /// Adds a field.
    pub fn field(&mut self, collection: Name, field: Name) -> &mut Self {
        self.put(collection, field, None)
    }

    /// Adds a field that refers to an entity of `to`.
    pub fn reference(&mut self, collection: Name, field: Name, to: Name) -> &mut Self {
        self.put(collection, field, Some(to))
    }

    fn put(&mut self, collection: Name, field: Name, to: Option<Name>) -> &mut Self {
        let fields = self.collections.entry(collection).or_default();
        match fields.iter_mut().find(|(known, _)| *known == field) {
            Some(known) => known.1 = to,
            None => fields.push((field, to)),
        }
        self
    }
}

impl Schema for Tables {
    fn fields(&self, collection: &Name) -> Option<Vec<Name>> {
        self.collections.get(collection).map(|fields| fields.iter().map(|(name, _)| name.clone()).collect())
    }

    fn reference(&self, collection: &Name, field: &Name) -> Option<Name> {
        self.collections.get(collection)?.iter().find(|(name, _)| name == field)?.1.clone()
    }
}
