//! Terms: what stands in a column, a condition or an order.

mod call;

use super::place::start;
use crate::error::{ParseError, Position};
use crate::limits::{IN_VALUES_MAX, NESTING_MAX, PATH_PARTS_MAX};
use crate::syntax::{Arithmetic, Comparison, Term, TermKind};
use reknit_types::Value;
use sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator};

/// Reads terms, and counts the `?`s on the way.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) positional: usize,
    depth: usize,
}

impl Terms {
    /// Reads `expr`, which stands at `at` or a little behind it.
    pub(super) fn read(&mut self, expr: Expr, at: Position) -> Result<Term, ParseError> {
        let at = start(&expr, at);
        if self.depth >= NESTING_MAX {
            let reason = format!("terms nest deeper than {NESTING_MAX} levels");
            return Err(ParseError::new(at, reason, "use fewer parentheses"));
        }
        self.depth += 1;
        let kind = self.kind(expr, at);
        self.depth -= 1;
        Ok(Term::new(at, kind?))
    }

    fn boxed(&mut self, expr: Expr, at: Position) -> Result<Box<Term>, ParseError> {
        self.read(expr, at).map(Box::new)
    }

    fn kind(&mut self, expr: Expr, at: Position) -> Result<TermKind, ParseError> {
        match expr {
            Expr::Identifier(name) => path(vec![name], at),
            Expr::CompoundIdentifier(parts) => path(parts, at),
            Expr::Value(value) => self.value(value.value, at),
            Expr::Nested(inner) => Ok(self.read(*inner, at)?.kind),
            Expr::UnaryOp { op, expr } => self.unary(op, *expr, at),
            Expr::BinaryOp { left, op, right } => self.binary(*left, op, *right, at),
            Expr::IsNull(term) => self.is_null(*term, at, false),
            Expr::IsNotNull(term) => self.is_null(*term, at, true),
            Expr::IsTrue(term) => self.is_truth(*term, at, (true, false)),
            Expr::IsNotTrue(term) => self.is_truth(*term, at, (true, true)),
            Expr::IsFalse(term) => self.is_truth(*term, at, (false, false)),
            Expr::IsNotFalse(term) => self.is_truth(*term, at, (false, true)),
            Expr::IsDistinctFrom(left, right) => self.same(*left, *right, at, true),
            Expr::IsNotDistinctFrom(left, right) => self.same(*left, *right, at, false),
            Expr::InList { expr, list, negated } => self.in_list(*expr, list, at, negated),
            Expr::Between { expr, negated, low, high } => self.between((*expr, *low, *high), at, negated),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like((*expr, *pattern, escape_char), at, (false, negated))
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like((*expr, *pattern, escape_char), at, (true, negated))
            }
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case((operand, conditions, else_result), at)
            }
            Expr::Function(function) => self.call(function, at),
            other => Err(unsupported(&other, at)),
        }
    }

    fn value(&mut self, value: ast::Value, at: Position) -> Result<TermKind, ParseError> {
        match value {
            ast::Value::Number(text, false) => number(&text, at),
            ast::Value::SingleQuotedString(text) => Ok(TermKind::Literal(Value::Text(text))),
            ast::Value::Boolean(value) => Ok(TermKind::Literal(Value::Bool(value))),
            ast::Value::Null => Ok(TermKind::Literal(Value::Null)),
            ast::Value::HexStringLiteral(digits) => bytes(&digits, at),
            ast::Value::Placeholder(text) => self.parameter(&text, at),
            other => {
                let instead = "write 'text', a number, TRUE, FALSE, NULL or X'hex'";
                Err(ParseError::new(at, format!("{other} is not a supported constant"), instead))
            }
        }
    }

    fn parameter(&mut self, text: &str, at: Position) -> Result<TermKind, ParseError> {
        match (text, text.strip_prefix(':')) {
            ("?", _) => {
                self.positional += 1;
                Ok(TermKind::Positional(self.positional - 1))
            }
            (_, Some(name)) if !name.is_empty() => Ok(TermKind::Named(name.to_owned())),
            _ => Err(ParseError::new(at, format!("{text} is not a supported parameter"), "write ? or :name")),
        }
    }

    fn unary(&mut self, op: UnaryOperator, expr: Expr, at: Position) -> Result<TermKind, ParseError> {
        match op {
            UnaryOperator::Not => Ok(TermKind::Not(self.boxed(expr, at)?)),
            UnaryOperator::Plus => Ok(self.read(expr, at)?.kind),
            UnaryOperator::Minus => match &expr {
                // The least integer has no positive twin.
                Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(text, false), .. }) => {
                    number(&format!("-{text}"), at)
                }
                _ => Ok(TermKind::Negate(self.boxed(expr, at)?)),
            },
            other => Err(ParseError::new(at, format!("the operator {other} is not supported"), "")),
        }
    }

    fn binary(
        &mut self,
        left: Expr,
        op: BinaryOperator,
        right: Expr,
        at: Position,
    ) -> Result<TermKind, ParseError> {
        if op == BinaryOperator::And || op == BinaryOperator::Or {
            let mut parts = vec![];
            flatten(left, &op, &mut parts);
            parts.push(right);
            let parts = parts.into_iter().map(|part| self.read(part, at)).collect::<Result<_, _>>()?;
            return Ok(if op == BinaryOperator::And { TermKind::All(parts) } else { TermKind::Any(parts) });
        }
        if let Some(comparison) = comparison(&op) {
            check_operand(&left)?;
            check_operand(&right)?;
            return Ok(TermKind::Compare(comparison, self.boxed(left, at)?, self.boxed(right, at)?));
        }
        let arithmetic = match op {
            BinaryOperator::Plus => Arithmetic::Add,
            BinaryOperator::Minus => Arithmetic::Subtract,
            BinaryOperator::Multiply => Arithmetic::Multiply,
            BinaryOperator::Divide => Arithmetic::Divide,
            BinaryOperator::Modulo => Arithmetic::Remainder,
            BinaryOperator::StringConcat => Arithmetic::Concat,
            other => {
                let instead = "write = <> < <= > >= + - * / % || AND OR";
                return Err(ParseError::new(at, format!("the operator {other} is not supported"), instead));
            }
        };
        check_mixture(&left, arithmetic)?;
        check_mixture(&right, arithmetic)?;
        Ok(TermKind::Arithmetic(arithmetic, self.boxed(left, at)?, self.boxed(right, at)?))
    }

    fn is_null(&mut self, term: Expr, at: Position, negated: bool) -> Result<TermKind, ParseError> {
        check_operand(&term)?;
        Ok(TermKind::IsNull { term: self.boxed(term, at)?, negated })
    }

    fn is_truth(
        &mut self,
        term: Expr,
        at: Position,
        (truth, negated): (bool, bool),
    ) -> Result<TermKind, ParseError> {
        check_operand(&term)?;
        Ok(TermKind::IsTruth { term: self.boxed(term, at)?, truth, negated })
    }

    fn same(&mut self, left: Expr, right: Expr, at: Position, negated: bool) -> Result<TermKind, ParseError> {
        check_operand(&left)?;
        check_operand(&right)?;
        Ok(TermKind::Same { left: self.boxed(left, at)?, right: self.boxed(right, at)?, negated })
    }

    fn in_list(
        &mut self,
        term: Expr,
        list: Vec<Expr>,
        at: Position,
        negated: bool,
    ) -> Result<TermKind, ParseError> {
        check_operand(&term)?;
        if list.len() > IN_VALUES_MAX {
            let reason = format!("the list has {} values of {IN_VALUES_MAX}", list.len());
            return Err(ParseError::new(at, reason, "ask in several queries"));
        }
        let term = self.boxed(term, at)?;
        let list = list.into_iter().map(|value| self.read(value, at)).collect::<Result<_, _>>()?;
        Ok(TermKind::In { term, list, negated })
    }

    /// `x BETWEEN a AND b` is `x >= a AND x <= b`, and `x` is read once: a `?` in it must not count twice.
    fn between(
        &mut self,
        (term, low, high): (Expr, Expr, Expr),
        at: Position,
        negated: bool,
    ) -> Result<TermKind, ParseError> {
        [&term, &low, &high].into_iter().try_for_each(check_operand)?;
        let term = self.boxed(term, at)?;
        let from = TermKind::Compare(Comparison::GreaterOrEqual, term.clone(), self.boxed(low, at)?);
        let to = TermKind::Compare(Comparison::LessOrEqual, term, self.boxed(high, at)?);
        let both = TermKind::All(vec![Term::new(at, from), Term::new(at, to)]);
        Ok(if negated { TermKind::Not(Box::new(Term::new(at, both))) } else { both })
    }

    fn like(
        &mut self,
        (term, pattern, escape): (Expr, Expr, Option<Box<Expr>>),
        at: Position,
        (fold, negated): (bool, bool),
    ) -> Result<TermKind, ParseError> {
        check_operand(&term)?;
        check_operand(&pattern)?;
        let (term, pattern) = (self.boxed(term, at)?, self.boxed(pattern, at)?);
        let escape = match escape {
            None => None,
            Some(escape) => {
                let escape = self.read(*escape, at)?;
                match &escape.kind {
                    TermKind::Literal(Value::Text(text)) if text.chars().count() == 1 => text.chars().next(),
                    _ => {
                        return Err(ParseError::new(
                            escape.at,
                            "ESCAPE takes one character",
                            "write ESCAPE '!'",
                        ));
                    }
                }
            }
        };
        Ok(TermKind::Like { term, pattern, escape, fold, negated })
    }

    /// `CASE x WHEN a THEN ..` is `CASE WHEN x = a THEN ..`.
    fn case(
        &mut self,
        (operand, conditions, otherwise): (Option<Box<Expr>>, Vec<ast::CaseWhen>, Option<Box<Expr>>),
        at: Position,
    ) -> Result<TermKind, ParseError> {
        let operand = operand.map(|operand| self.boxed(*operand, at)).transpose()?;
        let mut branches = vec![];
        for ast::CaseWhen { condition, result } in conditions {
            let when = self.read(condition, at)?;
            let when = match &operand {
                None => when,
                Some(term) => {
                    Term::new(when.at, TermKind::Compare(Comparison::Equal, term.clone(), Box::new(when)))
                }
            };
            branches.push((when, self.read(result, at)?));
        }
        let otherwise = otherwise.map(|term| self.boxed(*term, at)).transpose()?;
        Ok(TermKind::Case { branches, otherwise })
    }
}

fn path(parts: Vec<ast::Ident>, at: Position) -> Result<TermKind, ParseError> {
    if parts.len() > PATH_PARTS_MAX {
        let reason = format!("the path has {} parts of {PATH_PARTS_MAX}", parts.len());
        return Err(ParseError::new(at, reason, ""));
    }
    // Where a word of the language makes no sense, the parser takes it for a name.
    let word =
        parts.first().filter(|part| part.quote_style.is_none()).map(|part| part.value.to_ascii_uppercase());
    if let Some(word) = word.filter(|word| WORDS.contains(&word.as_str())) {
        let instead = format!("put a field of that name in quotes: \"{}\"", word.to_ascii_lowercase());
        return Err(ParseError::new(at, format!("{word} is a word of the language"), instead));
    }
    Ok(TermKind::Path(parts.into_iter().map(|part| part.value).collect()))
}

/// What cannot be a name without quotes.
const WORDS: &[&str] = &[
    "ALL", "AND", "ANY", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "DESC", "DISTINCT", "ELSE", "END",
    "ESCAPE", "EXISTS", "FALSE", "FROM", "GROUP", "HAVING", "ILIKE", "IN", "INNER", "INTERVAL", "IS", "JOIN",
    "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER", "OUTER", "RIGHT", "SELECT",
    "THEN", "TRUE", "UNION", "USING", "WHEN", "WHERE", "WITH",
];

/// The operands of a row of `AND`s or `OR`s, without recursing into its left spine.
fn flatten(mut expr: Expr, row: &BinaryOperator, parts: &mut Vec<Expr>) {
    let mut reversed = vec![];
    loop {
        match expr {
            Expr::BinaryOp { left, op, right } if op == *row => {
                reversed.push(*right);
                expr = *left;
            }
            other => {
                reversed.push(other);
                break;
            }
        }
    }
    parts.extend(reversed.into_iter().rev());
}

fn comparison(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// How comparisons group when they follow each other without parentheses differs between databases.
fn check_operand(expr: &Expr) -> Result<(), ParseError> {
    let chained = match expr {
        Expr::BinaryOp { op, .. } => comparison(op).is_some(),
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. } => true,
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        _ => false,
    };
    if !chained {
        return Ok(());
    }
    let at = start(expr, crate::lexer::START);
    Err(ParseError::new(at, "a comparison of a comparison", "write parentheses, or AND between the two"))
}

/// `||` binds tighter than `*` in some databases and looser than `+` in others.
fn check_mixture(operand: &Expr, outer: Arithmetic) -> Result<(), ParseError> {
    let Expr::BinaryOp { op, .. } = operand else { return Ok(()) };
    let inner_joins = *op == BinaryOperator::StringConcat;
    if inner_joins == (outer == Arithmetic::Concat) {
        return Ok(());
    }
    let at = start(operand, crate::lexer::START);
    Err(ParseError::new(at, "|| next to arithmetic", "write parentheses around one of them"))
}

fn number(text: &str, at: Position) -> Result<TermKind, ParseError> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if let (true, Ok(value)) = (is_whole, text.parse()) {
        return Ok(TermKind::Literal(Value::Int(value)));
    }
    match text.parse().ok().and_then(Value::float) {
        Some(value) => Ok(TermKind::Literal(value)),
        None => Err(ParseError::new(at, format!("{text} is no number in range"), "")),
    }
}

fn bytes(digits: &str, at: Position) -> Result<TermKind, ParseError> {
    let pairs: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
        })
        .collect();
    match pairs {
        Some(bytes) => Ok(TermKind::Literal(Value::Bytes(bytes))),
        None => Err(ParseError::new(at, "bytes are written in pairs of hexadecimal digits", "write X'00ff'")),
    }
}

/// Why a term is not in the subset.
fn unsupported(expr: &Expr, at: Position) -> ParseError {
    let (what, instead) = match expr {
        Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => {
            ("a query inside a query", "join the collections, or ask two queries")
        }
        Expr::Cast { .. } | Expr::Convert { .. } => ("a conversion of types", "leave it out"),
        Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => {
            ("this way into a document", "write a path: tracks.0.title")
        }
        Expr::Tuple(_) => ("a row of values", "compare field by field"),
        Expr::Collate { .. } => ("COLLATE", "use LOWER(..) or ILIKE"),
        Expr::SimilarTo { .. } | Expr::RLike { .. } => ("a regular expression", "write LIKE or ILIKE"),
        Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => ("IS UNKNOWN", "write IS NULL"),
        Expr::Interval(_) | Expr::TypedString(_) | Expr::Extract { .. } | Expr::AtTimeZone { .. } => {
            ("a time", "store times as numbers or as text that sorts")
        }
        _ => ("this term", ""),
    };
    ParseError::new(at, format!("{what} is not supported"), instead)
}
