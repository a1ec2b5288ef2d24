//! A plan in words.

use super::{Access, Delivery, IndexAccess, Plan};
use crate::answer::Reads;
use crate::bound::{How, Kind};
use crate::source::Direction;
use std::fmt::{self, Write};

impl Plan {
    /// The plan as a tree, each step below what it feeds.
    ///
    /// ```text
    /// limit 10
    ///   index by_year: year from .., ascending, in order
    /// ```
    pub fn explain(&self) -> String {
        let mut tree = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut tree);
        tree
    }

    /// The plan, and what running it took.
    pub fn explain_run(&self, reads: &Reads) -> String {
        format!("{}{reads}\n", self.explain())
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let bound = &self.bound;
        let mut depth = 0;
        let mut line = |depth: &mut usize, text: String| {
            writeln!(out, "{:indent$}{text}", "", indent = *depth * 2)?;
            *depth += 1;
            fmt::Result::Ok(())
        };
        match (bound.limit, bound.offset) {
            (None, 0) => {}
            (None, offset) => line(&mut depth, format!("offset {offset}"))?,
            (Some(limit), 0) => line(&mut depth, format!("limit {limit}"))?,
            (Some(limit), offset) => line(&mut depth, format!("limit {limit} offset {offset}"))?,
        }
        if bound.distinct {
            line(&mut depth, "distinct rows".to_owned())?;
        }
        if let Some(sort) = self.sort() {
            line(&mut depth, sort)?;
        }
        if let Some(grouping) = &bound.grouping {
            let (keys, aggregates) = (grouping.keys.len(), grouping.aggregates.len());
            line(&mut depth, format!("group by {keys} keys, {aggregates} aggregates"))?;
        }
        for (nth, relation) in bound.relations.iter().enumerate().skip(1).rev() {
            let way = match &relation.how {
                How::Base => continue,
                How::Lookup { join, .. } => format!("{} by id", kind(*join)),
                How::Equal { field, join, .. } => {
                    match self.partner_indexes.get(nth).and_then(Option::as_ref) {
                        Some(index) => format!("{} by index {} on {field}", kind(*join), index.name),
                        None => format!("{} by a table made of {field}", kind(*join)),
                    }
                }
            };
            line(&mut depth, format!("{} {way}", relation.fields.collection))?;
        }
        let conditions: usize = self.conditions.iter().map(Vec::len).sum();
        if conditions > 0 {
            line(&mut depth, format!("filter by {conditions} conditions"))?;
        }
        line(&mut depth, self.access_line())
    }

    fn sort(&self) -> Option<String> {
        let keys = self.bound.order.len();
        match self.delivery {
            Delivery::Unordered if keys > 0 => Some(format!("sort by {keys} keys")),
            Delivery::Runs(_) if self.delivered.len() < keys => {
                Some(format!("sort by {keys} keys, within equals of the first {}", self.delivered.len()))
            }
            _ => None,
        }
    }

    fn access_line(&self) -> String {
        let collection = self.bound.collection();
        match &self.access {
            Access::Scan(direction) => format!("scan {collection}{}", way(*direction)),
            Access::Entities(ids) => format!("{} entities of {collection} by id", ids.len()),
            Access::Index(access) => {
                let order = if matches!(self.delivery, Delivery::Runs(_)) { ", in order" } else { "" };
                format!("{}{order}", index(access))
            }
            Access::Through(partners, reverse) => {
                format!("{} of {}, then index {}", index(partners), partners.index.collection, reverse.name)
            }
            Access::Intersection(first, second) => {
                format!("intersection of {} and {}", index(first), index(second))
            }
        }
    }
}

fn index(access: &IndexAccess) -> String {
    format!("index {}: {}{}", access.index.name, access.asks, way(access.direction))
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "",
        Direction::Backward => ", backwards",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Inner => "joined",
        Kind::Left => "left joined",
        Kind::Path => "followed",
    }
}
