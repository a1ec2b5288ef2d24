//! From what was written to what can be run: names become slots, parameters constants, aggregates results.

mod joins;
mod names;
mod terms;

use crate::bound::{AggregateExpr, Bound, Grouping, How, OrderBy, Relation};
use crate::error::{BindError, ParseError, Position};
use crate::expr::Expr;
use crate::query::Params;
use crate::schema::Schema;
use crate::source::Fields;
use crate::syntax::{Item, OrderKey, Select, Term, TermKind};
use reknit_types::{Name, Value};

/// Compiles a query.
pub(crate) fn compile(
    select: &Select,
    schema: &dyn Schema,
    params: &Params,
    fingerprint: u64,
) -> Result<Bound, BindError> {
    let mut compiler = Compiler {
        schema,
        params,
        select,
        relations: vec![],
        keys: vec![],
        aggregates: vec![],
        phase: Phase::Rows,
        columns_named: false,
    };
    let base = compiler.relation(&select.from, How::Base)?;
    compiler.relations.push(base);
    for join in &select.joins {
        compiler.join(join)?;
    }
    compiler.finish(fingerprint)
}

struct Compiler<'a> {
    schema: &'a dyn Schema,
    params: &'a Params,
    select: &'a Select,
    relations: Vec<Relation>,
    keys: Vec<Expr>,
    aggregates: Vec<AggregateExpr>,
    phase: Phase,
    /// Whether a name may be that of a column: in `HAVING` and `ORDER BY`, and not in a column itself.
    columns_named: bool,
}

/// What a term may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Fields of rows.
    Rows,
    /// Fields of rows, before there are columns.
    Filter,
    /// Fields of rows that are found already: what a join is found by cannot follow references.
    Joining,
    /// Keys and aggregates of groups.
    Groups,
}

impl<'a> Compiler<'a> {
    fn finish(mut self, fingerprint: u64) -> Result<Bound, BindError> {
        let select = self.select;
        let filter =
            select.filter.as_ref().map(|filter| self.filter(filter)).transpose()?.unwrap_or_default();
        self.keys = select.group.iter().map(|key| self.group_key(key)).collect::<Result<_, _>>()?;
        let grouped = !self.keys.is_empty() || self.any_aggregates();
        if let (Some(having), false) = (&select.having, grouped) {
            let reason = "HAVING without GROUP BY";
            return Err(ParseError::new(having.at, reason, "write WHERE, or add GROUP BY").into());
        }
        self.phase = if grouped { Phase::Groups } else { Phase::Rows };
        let (columns, items) = self.items()?;
        self.columns_named = true;
        let having = select.having.as_ref().map(|having| self.term(having)).transpose()?;
        let order: Vec<_> =
            select.order.iter().map(|key| self.order(key, &items)).collect::<Result<_, _>>()?;
        if select.distinct {
            check_distinct(select, &order, &items)?;
        }
        let limit = select.limit.as_ref().map(|limit| self.count(limit, "LIMIT")).transpose()?;
        let offset = select.offset.as_ref().map(|offset| self.count(offset, "OFFSET")).transpose()?;
        let grouping = grouped.then_some(Grouping { keys: self.keys, aggregates: self.aggregates, having });
        Ok(Bound {
            relations: self.relations,
            filter,
            columns,
            items,
            distinct: select.distinct,
            grouping,
            order,
            limit,
            offset: offset.unwrap_or(0),
            fingerprint,
        })
    }

    fn relation(&self, table: &crate::syntax::Table, how: How) -> Result<Relation, ParseError> {
        if self.relations.iter().any(|known| known.alias.as_ref() == Some(&table.alias)) {
            let reason = format!("two collections are called {}", table.alias);
            return Err(ParseError::new(table.at, reason, "give one an alias: JOIN albums b ON .."));
        }
        let collection = name(&table.collection, table.at)?;
        let fields = Fields { collection, names: vec![] };
        Ok(Relation { fields, alias: Some(table.alias.clone()), how })
    }

    /// The conditions of `WHERE`, each by itself.
    fn filter(&mut self, filter: &Term) -> Result<Vec<Expr>, ParseError> {
        if filter.aggregates() {
            return Err(ParseError::new(filter.at, "an aggregate in WHERE", "write it in HAVING"));
        }
        self.phase = Phase::Filter;
        let filter = self.condition(filter)?;
        self.phase = Phase::Rows;
        Ok(if let Expr::All(conditions) = filter { conditions } else { vec![filter] })
    }

    fn any_aggregates(&self) -> bool {
        let in_items = self.select.items.iter().any(|item| match item {
            Item::All { .. } => false,
            Item::Term { term, .. } => term.aggregates(),
        });
        in_items
            || self.select.order.iter().any(|key| key.term.aggregates())
            || self.select.having.as_ref().is_some_and(Term::aggregates)
    }

    fn group_key(&mut self, key: &Term) -> Result<Expr, ParseError> {
        let term = match &key.kind {
            TermKind::Literal(Value::Int(nth)) => self.nth_item(*nth, key.at)?,
            TermKind::Path(parts) => match (self.alias(parts), parts.as_slice()) {
                (Some(term), [part]) if !self.has_field(part) => term,
                _ => key,
            },
            _ => key,
        };
        if term.aggregates() {
            return Err(ParseError::new(key.at, "an aggregate in GROUP BY", "group by a field"));
        }
        self.term(term)
    }

    fn order(&mut self, key: &OrderKey, items: &[Expr]) -> Result<OrderBy, ParseError> {
        let term = match &key.term.kind {
            TermKind::Literal(Value::Int(nth)) => {
                let nth_column = usize::try_from(*nth).ok().and_then(|nth| items.get(nth.checked_sub(1)?));
                nth_column.cloned().ok_or_else(|| no_column(*nth, key.term.at))?
            }
            TermKind::Path(parts) => match self.alias(parts) {
                Some(term) => self.term(term)?,
                None => self.term(&key.term)?,
            },
            _ => self.term(&key.term)?,
        };
        // Null is the least value: first when ascending.
        let nulls_first = key.nulls_first.unwrap_or(!key.descending);
        Ok(OrderBy { term, descending: key.descending, nulls_first })
    }

    /// The column that `AS` gave this name.
    fn alias(&self, parts: &[String]) -> Option<&'a Term> {
        let [part] = parts else { return None };
        self.select.items.iter().find_map(|item| match item {
            Item::Term { term, name } if name == part => Some(term),
            _ => None,
        })
    }

    fn nth_item(&self, nth: i64, at: Position) -> Result<&'a Term, ParseError> {
        let item = usize::try_from(nth).ok().and_then(|nth| self.select.items.get(nth.checked_sub(1)?));
        match item {
            Some(Item::Term { term, .. }) => Ok(term),
            _ => Err(no_column(nth, at)),
        }
    }

    fn items(&mut self) -> Result<(Vec<String>, Vec<Expr>), ParseError> {
        let (mut columns, mut items) = (vec![], vec![]);
        for item in &self.select.items {
            match item {
                Item::Term { term, name } => {
                    columns.push(name.clone());
                    items.push(self.term(term)?);
                }
                Item::All { table, at } => {
                    if self.phase == Phase::Groups {
                        return Err(ParseError::new(
                            *at,
                            "* in a query of groups",
                            "name the keys and aggregates",
                        ));
                    }
                    self.all_fields(table.as_deref(), *at, (&mut columns, &mut items))?;
                }
            }
        }
        Ok((columns, items))
    }

    fn count(&self, term: &Term, clause: &'static str) -> Result<u64, BindError> {
        let value = self.constant(term);
        match value {
            Some(Value::Int(count)) => u64::try_from(*count).map_err(|_| BindError::NotACount(clause)),
            _ => Err(BindError::NotACount(clause)),
        }
    }
}

/// Rows that are alike are one row, so what they are ordered by must be alike too.
fn check_distinct(select: &Select, order: &[OrderBy], items: &[Expr]) -> Result<(), ParseError> {
    match order.iter().zip(&select.order).find(|(key, _)| !items.contains(&key.term)) {
        None => Ok(()),
        Some((_, key)) => {
            let reason = "DISTINCT is ordered by what is not selected";
            Err(ParseError::new(key.term.at, reason, "add it to the columns"))
        }
    }
}

fn no_column(nth: i64, at: Position) -> ParseError {
    ParseError::new(at, format!("there is no column {nth} to refer to"), "name the field")
}

fn name(text: &str, at: Position) -> Result<Name, ParseError> {
    Name::new(text).map_err(|error| ParseError::new(at, error.to_string(), ""))
}
