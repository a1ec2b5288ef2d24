//! Where the parts of a query begin. The parser can tell too, but walks the whole of a part for it, calling itself.

use crate::error::Position;
use crate::lexer::position;
use sqlparser::ast::{
    CastKind, Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, TableFactor,
};
use sqlparser::tokenizer::Span;

/// Where a term begins, or `otherwise` where that is not known.
pub(super) fn start(mut expr: &Expr, otherwise: Position) -> Position {
    loop {
        expr = match expr {
            Expr::Identifier(name) => return begin(name.span, otherwise),
            Expr::CompoundIdentifier(parts) => return of_ident(parts.first(), otherwise),
            Expr::Value(value) => return begin(value.span, otherwise),
            Expr::Function(function) => return of_name(&function.name, otherwise),
            Expr::Case { case_token, .. } => return begin(case_token.0.span, otherwise),
            Expr::BinaryOp { left, .. } => left,
            Expr::IsDistinctFrom(left, _) | Expr::IsNotDistinctFrom(left, _) => left,
            Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::InList { expr: inner, .. }
            | Expr::InSubquery { expr: inner, .. }
            | Expr::Between { expr: inner, .. }
            | Expr::Like { expr: inner, .. }
            | Expr::ILike { expr: inner, .. }
            | Expr::SimilarTo { expr: inner, .. }
            | Expr::Cast { kind: CastKind::DoubleColon, expr: inner, .. }
            | Expr::Collate { expr: inner, .. }
            | Expr::CompoundFieldAccess { root: inner, .. } => inner,
            Expr::Tuple(parts) => match parts.first() {
                Some(first) => first,
                None => return otherwise,
            },
            _ => return otherwise,
        };
    }
}

pub(super) fn of_item(item: &SelectItem, otherwise: Position) -> Position {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => start(expr, otherwise),
        SelectItem::Wildcard(options) => begin(options.wildcard_token.0.span, otherwise),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            of_name(name, otherwise)
        }
        _ => otherwise,
    }
}

pub(super) fn of_table(table: &TableFactor, otherwise: Position) -> Position {
    if let TableFactor::Table { name, .. } = table { of_name(name, otherwise) } else { otherwise }
}

fn of_name(name: &ObjectName, otherwise: Position) -> Position {
    of_ident(name.0.first().and_then(|part| part.as_ident()), otherwise)
}

fn of_ident(name: Option<&Ident>, otherwise: Position) -> Position {
    name.map_or(otherwise, |name| begin(name.span, otherwise))
}

fn begin(span: Span, otherwise: Position) -> Position {
    if span.start.line == 0 { otherwise } else { position(span.start) }
}
