//! How the partner of a row is found.

use super::{Compiler, Phase};
use crate::bound::{How, Kind};
use crate::error::ParseError;
use crate::expr::Expr;
use crate::source::FieldPath;
use crate::syntax::{Comparison, Join};

impl Compiler<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Result<(), ParseError> {
        let kind = if join.left { Kind::Left } else { Kind::Inner };
        let new = self.relation(&join.table, How::Base)?;
        let relation = self.push(new, join.table.at)?;
        if join.on.aggregates() {
            return Err(ParseError::new(join.on.at, "an aggregate in ON", "write it in HAVING"));
        }
        self.phase = Phase::Joining;
        let on = self.condition(&join.on)?;
        self.phase = Phase::Rows;
        let mut on = if let Expr::All(conditions) = on { conditions } else { vec![on] };
        let found =
            on.iter().enumerate().filter_map(|(nth, condition)| Some((nth, self.way(condition, relation)?)));
        // An id leads to one entity, a field to several.
        let best = found.min_by_key(|(_, way)| matches!(way, Way::Field(..)));
        let Some((nth, way)) = best else {
            let reason = "a join needs an equality between one collection and those before it";
            return Err(ParseError::new(join.on.at, reason, "write ON albums.artist = artists.id"));
        };
        on.remove(nth);
        self.relations[relation].how = match way {
            Way::Id(reference) => How::Lookup { reference, join: kind, on },
            Way::Field(field, with) => How::Equal { field, with, join: kind, on },
        };
        Ok(())
    }

    /// How a condition leads from the rows before to those of `relation`.
    fn way(&self, condition: &Expr, relation: usize) -> Option<Way> {
        let Expr::Compare(Comparison::Equal, left, right) = condition else { return None };
        [(left, right), (right, left)].into_iter().find_map(|(new, old)| {
            if !old.reads_only(relation) {
                return None;
            }
            match &**new {
                Expr::Id(of) if *of == relation => Some(Way::Id((**old).clone())),
                Expr::Field(place) if place.relation == relation => {
                    let field = self.relations[relation].fields.names.get(place.slot)?.clone();
                    Some(Way::Field(field.into(), (**old).clone()))
                }
                Expr::Part(place, steps) if place.relation == relation => {
                    let field = self.relations[relation].fields.names.get(place.slot)?.clone();
                    Some(Way::Field(FieldPath { field, steps: steps.clone() }, (**old).clone()))
                }
                _ => None,
            }
        })
    }
}

/// What leads to the rows of a relation.
enum Way {
    Id(Expr),
    Field(FieldPath, Expr),
}
