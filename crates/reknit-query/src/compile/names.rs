//! What a path means: an id, a field, a part of a document, or what a reference leads to.

use super::{Compiler, Phase, name};
use crate::bound::{How, Kind, Relation};
use crate::datum::Step;
use crate::error::{ParseError, Position};
use crate::expr::{Expr, Place};
use crate::limits::{COLUMNS_MAX, RELATIONS_MAX};
use crate::source::Fields;
use crate::syntax::{Term, TermKind};
use reknit_types::Name;

/// The field that every entity has: its id.
const ID: &str = "id";

impl Compiler<'_> {
    pub(super) fn path(&mut self, parts: &[String], at: Position) -> Result<Expr, ParseError> {
        let (relation, rest) = self.first(parts, at)?;
        self.follow(relation, rest, at)
    }

    /// The relation that a path starts from, and the rest of the path.
    fn first<'p>(&self, parts: &'p [String], at: Position) -> Result<(usize, &'p [String]), ParseError> {
        let Some((first, rest)) = parts.split_first() else {
            return Err(ParseError::new(at, "an empty path", ""));
        };
        let alias = |relation: &Relation| relation.alias.as_ref() == Some(first);
        if let (Some(relation), false) = (self.relations.iter().position(alias), rest.is_empty()) {
            return Ok((relation, rest));
        }
        let hidden = |relation: &&Relation| {
            relation.alias.is_some() && relation.fields.collection.as_str() == first && !rest.is_empty()
        };
        if let Some(hidden) = self.relations.iter().find(hidden).filter(|_| !self.has_field(first)) {
            let alias = hidden.alias.as_deref().unwrap_or_default();
            let reason = format!("{first} is called {alias} here");
            return Err(ParseError::new(at, reason, format!("write {alias}.{}", rest.join("."))));
        }
        let named: Vec<usize> =
            (0..self.relations.len()).filter(|nth| self.relations[*nth].alias.is_some()).collect();
        if let [only] = named.as_slice() {
            return Ok((*only, parts));
        }
        let knows = |nth: &&usize| self.knows(**nth, first) == Some(true);
        match named.iter().filter(knows).collect::<Vec<_>>().as_slice() {
            [only] if named.iter().all(|nth| self.knows(*nth, first).is_some()) => Ok((**only, parts)),
            _ => {
                let aliases: Vec<_> =
                    named.iter().filter_map(|nth| self.relations[*nth].alias.as_deref()).collect();
                let reason = format!("{first} may be a field of any of {}", aliases.join(", "));
                let instead = format!("write {}.{first}", aliases.first().unwrap_or(&"a"));
                Err(ParseError::new(at, reason, instead))
            }
        }
    }

    /// Whether a relation has a field, as far as is known.
    fn knows(&self, relation: usize, field: &str) -> Option<bool> {
        let collection = &self.relations.get(relation)?.fields.collection;
        let has = |name| self.schema.has(collection, &name);
        if field == ID { Some(false) } else { Name::new(field).map_or(Some(false), has) }
    }

    /// Whether some collection of the query is known to have the field.
    pub(super) fn has_field(&self, field: &str) -> bool {
        (0..self.relations.len()).any(|nth| self.knows(nth, field) == Some(true))
    }

    fn follow(&mut self, relation: usize, path: &[String], at: Position) -> Result<Expr, ParseError> {
        let Some((first, rest)) = path.split_first() else {
            return Err(ParseError::new(at, "an empty path", ""));
        };
        if first == ID {
            if rest.is_empty() {
                return Ok(Expr::Id(relation));
            }
            return Err(ParseError::new(at, "an id has no parts", "write id alone"));
        }
        let field = name(first, at)?;
        let collection = self.relations[relation].fields.collection.clone();
        self.check_field(&collection, &field, at)?;
        let slot = self.relations[relation].fields.slot(&field);
        if self.relations[relation].fields.names.len() > COLUMNS_MAX {
            return Err(ParseError::new(at, format!("a query reads {COLUMNS_MAX} fields at most"), ""));
        }
        let place = Place { relation, slot };
        if rest.is_empty() {
            return Ok(Expr::Field(place));
        }
        match self.schema.reference(&collection, &field) {
            Some(target) => {
                let next = self.reference(place, target, at)?;
                self.follow(next, rest, at)
            }
            None => Ok(Expr::Part(place, rest.iter().map(|part| Step::new(part)).collect())),
        }
    }

    fn check_field(&self, collection: &Name, field: &Name, at: Position) -> Result<(), ParseError> {
        if self.schema.has(collection, field) != Some(false) {
            return self.check_alias(collection, field, at);
        }
        let known = self.schema.fields(collection).unwrap_or_default();
        let mut names: Vec<_> = known.iter().take(NAMED_IN_ERRORS).map(Name::as_str).collect();
        if known.len() > NAMED_IN_ERRORS {
            names.push("..");
        }
        let reason = format!("{collection} has no field {field}");
        Err(ParseError::new(at, reason, format!("there are id, {}", names.join(", "))))
    }

    /// In `WHERE` a column's name from `AS` is not known yet. Where the fields are not known, it would be taken for one.
    fn check_alias(&self, collection: &Name, field: &Name, at: Position) -> Result<(), ParseError> {
        if self.phase != Phase::Filter || self.schema.has(collection, field).is_some() {
            return Ok(());
        }
        let is_itself = |term: &Term| matches!(&term.kind, TermKind::Path(parts) if parts.last().is_some_and(|last| last == field.as_str()));
        match self.alias(&[field.as_str().to_owned()]) {
            Some(term) if !is_itself(term) => {
                let reason = format!("{field} is the name of a column of the result");
                Err(ParseError::new(at, reason, "write its term instead of its name"))
            }
            _ => Ok(()),
        }
    }

    /// The relation that a reference leads to: one for all paths that begin with it.
    fn reference(&mut self, place: Place, target: Name, at: Position) -> Result<usize, ParseError> {
        let known = self.relations.iter().position(|relation| match &relation.how {
            How::Lookup { reference: Expr::Field(known), join: Kind::Path, .. } => *known == place,
            _ => false,
        });
        if let Some(known) = known {
            return Ok(known);
        }
        if self.phase == Phase::Joining {
            let reason = "a reference path in ON";
            return Err(ParseError::new(at, reason, "write the condition in WHERE, or join the collection"));
        }
        let reference = Expr::Field(place);
        let how = How::Lookup { reference, join: Kind::Path, on: vec![] };
        self.push(Relation { fields: Fields { collection: target, names: vec![] }, alias: None, how }, at)
    }

    pub(super) fn push(&mut self, relation: Relation, at: Position) -> Result<usize, ParseError> {
        if self.relations.len() >= RELATIONS_MAX {
            let reason =
                format!("a query reads {RELATIONS_MAX} collections at most, reference paths counted");
            return Err(ParseError::new(at, reason, "ask in two queries"));
        }
        self.relations.push(relation);
        Ok(self.relations.len() - 1)
    }

    /// The columns of `*` or `a.*`.
    pub(super) fn all_fields(
        &mut self,
        table: Option<&str>,
        at: Position,
        (columns, items): (&mut Vec<String>, &mut Vec<Expr>),
    ) -> Result<(), ParseError> {
        let aliases: Vec<String> =
            self.relations.iter().filter_map(|relation| relation.alias.clone()).collect();
        let wanted = |alias: &&String| table.is_none_or(|table| table == alias.as_str());
        let wanted: Vec<String> = aliases.iter().filter(wanted).cloned().collect();
        if wanted.is_empty() {
            let reason = format!("no collection is called {}", table.unwrap_or_default());
            return Err(ParseError::new(at, reason, format!("there is {}", aliases.join(", "))));
        }
        for alias in wanted {
            let nth = self.relations.iter().position(|relation| relation.alias.as_ref() == Some(&alias));
            let relation = nth.unwrap_or(0);
            let collection = &self.relations[relation].fields.collection;
            let Some(fields) = self.schema.fields(collection) else {
                let reason = format!("the fields of {collection} are not known");
                return Err(ParseError::new(at, reason, "name the fields that you want"));
            };
            let qualify =
                |field: &str| if aliases.len() > 1 { format!("{alias}.{field}") } else { field.to_owned() };
            columns.push(qualify(ID));
            items.push(Expr::Id(relation));
            for field in fields.iter().filter(|field| field.as_str() != ID) {
                columns.push(qualify(field.as_str()));
                items.push(self.follow(relation, &[field.as_str().to_owned()], at)?);
            }
        }
        Ok(())
    }
}

const NAMED_IN_ERRORS: usize = 8;
