//! Terms, part by part.

use super::{Compiler, Phase};
use crate::bound::AggregateExpr;
use crate::datum::Datum;
use crate::error::ParseError;
use crate::expr::{Expr, Pattern, Search, SearchError, ValueSet};
use crate::limits::SEARCH_WORDS_MAX;
use crate::syntax::{Aggregate, Term, TermKind};
use reknit_types::Value;

impl Compiler<'_> {
    /// A term that is a condition. Text is none, and a constant one is surely a mistake.
    pub(super) fn condition(&mut self, term: &Term) -> Result<Expr, ParseError> {
        let condition = self.term(term)?;
        self.check_condition(condition, term)
    }

    fn check_condition(&self, condition: Expr, term: &Term) -> Result<Expr, ParseError> {
        let is_none = matches!(&condition, Expr::Constant(value) if *value != Value::Null && Datum::borrowed(value).as_truth().is_none());
        if is_none {
            return Err(ParseError::new(term.at, "this value is no condition", "compare it with something"));
        }
        Ok(condition)
    }

    /// The value of a term that is a constant or a parameter.
    pub(super) fn constant<'t>(&'t self, term: &'t Term) -> Option<&'t Value> {
        match &term.kind {
            TermKind::Literal(value) => Some(value),
            TermKind::Positional(nth) => self.params.positional.get(*nth),
            TermKind::Named(name) => self.params.named.get(name),
            _ => None,
        }
    }

    pub(super) fn term(&mut self, term: &Term) -> Result<Expr, ParseError> {
        if self.phase == Phase::Groups && !term.aggregates() {
            return self.group_term(term);
        }
        let compiled = self.kind(term)?;
        Ok(compiled.folded())
    }

    /// Beside groups, a term without aggregates is made of keys and constants.
    fn group_term(&mut self, term: &Term) -> Result<Expr, ParseError> {
        if let TermKind::Path(parts) = &term.kind
            && let Some(column) =
                self.alias(parts).filter(|_| self.columns_named && !self.has_field(&parts[0]))
        {
            self.columns_named = false;
            let column = self.term(column);
            self.columns_named = true;
            return column;
        }
        self.phase = Phase::Rows;
        let as_row = self.term(term);
        self.phase = Phase::Groups;
        let as_row = match as_row {
            Ok(as_row) => as_row,
            // Some part of it may name a column.
            Err(_) if !term.parts().is_empty() => return self.kind(term),
            Err(error) => return Err(error),
        };
        if let Some(nth) = self.keys.iter().position(|key| *key == as_row) {
            return Ok(Expr::Key(nth));
        }
        if let Expr::Constant(_) = as_row {
            return Ok(as_row);
        }
        self.kind(term)
    }

    fn kind(&mut self, term: &Term) -> Result<Expr, ParseError> {
        Ok(match &term.kind {
            TermKind::Literal(_) | TermKind::Positional(_) | TermKind::Named(_) => {
                Expr::Constant(self.constant(term).cloned().unwrap_or_default())
            }
            TermKind::Path(parts) => return self.path_term(parts, term),
            TermKind::Aggregate(aggregate) => return self.aggregate(aggregate, term),
            TermKind::Negate(inner) => Expr::Negate(self.boxed(inner)?),
            TermKind::Not(inner) => Expr::Not(Box::new(self.condition(inner)?)),
            TermKind::All(terms) => Expr::All(self.row(terms, true)?),
            TermKind::Any(terms) => Expr::Any(self.row(terms, false)?),
            TermKind::Arithmetic(op, left, right) => {
                Expr::Arithmetic(*op, self.boxed(left)?, self.boxed(right)?)
            }
            TermKind::Compare(op, left, right) => Expr::Compare(*op, self.boxed(left)?, self.boxed(right)?),
            TermKind::Same { left, right, negated } => {
                Expr::Same { left: self.boxed(left)?, right: self.boxed(right)?, negated: *negated }
            }
            TermKind::IsNull { term, negated } => Expr::IsNull { term: self.boxed(term)?, negated: *negated },
            TermKind::IsTruth { term, truth, negated } => {
                Expr::IsTruth { term: Box::new(self.condition(term)?), truth: *truth, negated: *negated }
            }
            TermKind::In { term, list, negated } => self.in_list(term, list, *negated)?,
            TermKind::Like { term, pattern, escape, fold, negated } => {
                let (term, pattern) = (self.boxed(term)?, self.boxed(pattern)?);
                like(term, pattern, (*escape, *fold), *negated)
            }
            TermKind::Match(text, words) => self.search(text, words)?,
            TermKind::Case { branches, otherwise } => {
                let branches =
                    branches.iter().map(|(when, then)| Ok((self.condition(when)?, self.term(then)?)));
                let branches = branches.collect::<Result<_, ParseError>>()?;
                let otherwise = otherwise.as_ref().map(|otherwise| self.boxed(otherwise)).transpose()?;
                Expr::Case { branches, otherwise }
            }
            TermKind::Call(function, terms) => {
                Expr::Call(*function, terms.iter().map(|term| self.term(term)).collect::<Result<_, _>>()?)
            }
        })
    }

    fn boxed(&mut self, term: &Term) -> Result<Box<Expr>, ParseError> {
        self.term(term).map(Box::new)
    }

    fn path_term(&mut self, parts: &[String], term: &Term) -> Result<Expr, ParseError> {
        if self.phase != Phase::Groups {
            return self.path(parts, term.at);
        }
        let reason = format!("{} is neither grouped by nor aggregated", parts.join("."));
        Err(ParseError::new(term.at, reason, "add it to GROUP BY, or write MIN(..)"))
    }

    /// The conditions of a row of `AND`s or `OR`s, those of rows of the same inside it brought up.
    fn row(&mut self, terms: &[Term], and: bool) -> Result<Vec<Expr>, ParseError> {
        let mut row = vec![];
        for term in terms {
            match (self.condition(term)?, and) {
                (Expr::All(inner), true) | (Expr::Any(inner), false) => row.extend(inner),
                (other, _) => row.push(other),
            }
        }
        Ok(row)
    }

    fn in_list(&mut self, term: &Term, list: &[Term], negated: bool) -> Result<Expr, ParseError> {
        let term = self.boxed(term)?;
        let list: Vec<Expr> = list.iter().map(|value| self.term(value)).collect::<Result<_, _>>()?;
        let constants: Option<Vec<Value>> = list
            .iter()
            .map(|value| if let Expr::Constant(value) = value { Some(value.clone()) } else { None })
            .collect();
        Ok(match constants {
            Some(values) => Expr::InSet { term, set: ValueSet::new(values), negated },
            None => Expr::In { term, list, negated },
        })
    }

    fn search(&mut self, text: &Term, words: &Term) -> Result<Expr, ParseError> {
        let term = self.boxed(text)?;
        match self.constant(words) {
            Some(Value::Text(text)) => match Search::new(text) {
                Ok(search) => Ok(Expr::Match(term, search)),
                Err(SearchError) => {
                    let reason = format!("MATCH looks for {SEARCH_WORDS_MAX} words at most");
                    Err(ParseError::new(words.at, reason, ""))
                }
            },
            Some(Value::Null) => Ok(Expr::Constant(Value::Null)),
            _ => {
                let instead = "write MATCH(field, 'words') or MATCH(field, ?)";
                Err(ParseError::new(words.at, "MATCH looks for the words of a constant text", instead))
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, term: &Term) -> Result<Expr, ParseError> {
        if self.phase != Phase::Groups {
            return Err(ParseError::new(term.at, "an aggregate is not possible here", "write it in HAVING"));
        }
        self.phase = Phase::Rows;
        let argument = aggregate.argument.as_ref().map(|argument| self.term(argument)).transpose();
        self.phase = Phase::Groups;
        let compiled =
            AggregateExpr { function: aggregate.function, distinct: aggregate.distinct, argument: argument? };
        let nth = self.aggregates.iter().position(|known| *known == compiled).unwrap_or_else(|| {
            self.aggregates.push(compiled);
            self.aggregates.len() - 1
        });
        Ok(Expr::Aggregate(nth))
    }
}

fn like(term: Box<Expr>, pattern: Box<Expr>, (escape, fold): (Option<char>, bool), negated: bool) -> Expr {
    match &*pattern {
        Expr::Constant(Value::Text(text)) => {
            Expr::LikePattern { term, pattern: Pattern::new(text, escape, fold), negated }
        }
        _ => Expr::Like { term, pattern, escape, fold, negated },
    }
}
