//! What looks like a function: aggregates, `MATCH` and a few functions of one row.

use super::Terms;
use crate::error::{ParseError, Position};
use crate::limits::COLUMNS_MAX;
use crate::syntax::{Aggregate, AggregateFunction, Function, Term, TermKind};
use sqlparser::ast;

/// The arguments of a call that has nothing but arguments.
struct Arguments {
    distinct: bool,
    args: Vec<ast::FunctionArg>,
}

impl Terms {
    pub(super) fn call(&mut self, function: ast::Function, at: Position) -> Result<TermKind, ParseError> {
        let name = function.name.to_string().to_ascii_uppercase();
        let arguments = arguments(function, &name, at)?;
        let aggregate = match name.as_str() {
            "COUNT" => AggregateFunction::Count,
            "SUM" => AggregateFunction::Sum,
            "MIN" => AggregateFunction::Min,
            "MAX" => AggregateFunction::Max,
            "AVG" => AggregateFunction::Avg,
            _ => return self.function(&name, arguments, at),
        };
        self.aggregate(aggregate, &name, arguments, at)
    }

    fn aggregate(
        &mut self,
        function: AggregateFunction,
        name: &str,
        Arguments { distinct, args }: Arguments,
        at: Position,
    ) -> Result<TermKind, ParseError> {
        if let (
            [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)],
            AggregateFunction::Count,
            false,
        ) = (args.as_slice(), function, distinct)
        {
            return Ok(TermKind::Aggregate(Aggregate { function, distinct, argument: None }));
        }
        let mut terms = self.terms(args, name, at)?;
        let (Some(argument), true) = (terms.pop(), terms.is_empty()) else {
            return Err(ParseError::new(
                at,
                format!("{name} takes one argument"),
                format!("write {name}(field)"),
            ));
        };
        if argument.aggregates() {
            return Err(ParseError::new(argument.at, "an aggregate of an aggregate", "ask two queries"));
        }
        Ok(TermKind::Aggregate(Aggregate { function, distinct, argument: Some(Box::new(argument)) }))
    }

    fn function(
        &mut self,
        name: &str,
        Arguments { distinct, args }: Arguments,
        at: Position,
    ) -> Result<TermKind, ParseError> {
        if distinct {
            return Err(ParseError::new(at, format!("{name} takes no DISTINCT"), "leave it out"));
        }
        let mut terms = self.terms(args, name, at)?;
        let (function, takes) = match name {
            "MATCH" => {
                let (Some(words), Some(text), true) = (terms.pop(), terms.pop(), terms.is_empty()) else {
                    let instead = "write MATCH(field, 'words')";
                    return Err(ParseError::new(at, "MATCH takes a field and words", instead));
                };
                return Ok(TermKind::Match(Box::new(text), Box::new(words)));
            }
            "LOWER" => (Function::Lower, 1..=1),
            "UPPER" => (Function::Upper, 1..=1),
            "LENGTH" => (Function::Length, 1..=1),
            "ABS" => (Function::Abs, 1..=1),
            "COALESCE" => (Function::Coalesce, 2..=COLUMNS_MAX),
            "NULLIF" => (Function::NullIf, 2..=2),
            _ => {
                let instead = "there are COUNT SUM MIN MAX AVG MATCH LOWER UPPER LENGTH ABS COALESCE NULLIF";
                return Err(ParseError::new(at, format!("there is no function {name}"), instead));
            }
        };
        if !takes.contains(&terms.len()) {
            let reason = format!("{name} takes {} argument(s), not {}", takes.start(), terms.len());
            return Err(ParseError::new(at, reason, ""));
        }
        Ok(TermKind::Call(function, terms))
    }

    fn terms(
        &mut self,
        args: Vec<ast::FunctionArg>,
        name: &str,
        at: Position,
    ) -> Result<Vec<Term>, ParseError> {
        let read = |arg| match arg {
            ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => self.read(expr, at),
            _ => Err(ParseError::new(at, format!("{name} does not take this"), "write a plain term")),
        };
        args.into_iter().map(read).collect()
    }
}

fn arguments(function: ast::Function, name: &str, at: Position) -> Result<Arguments, ParseError> {
    let ast::Function {
        name: _,
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args,
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    } = function
    else {
        let instead = "write the function and its arguments, without FILTER, OVER or other clauses";
        return Err(ParseError::new(at, format!("this form of {name} is not supported"), instead));
    };
    let ast::FunctionArguments::List(ast::FunctionArgumentList { duplicate_treatment, args, clauses }) = args
    else {
        return Err(ParseError::new(at, format!("{name} is not supported"), ""));
    };
    if !within_group.is_empty() || !clauses.is_empty() {
        return Err(ParseError::new(at, format!("this form of {name} is not supported"), ""));
    }
    let distinct = duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
    Ok(Arguments { distinct, args })
}
