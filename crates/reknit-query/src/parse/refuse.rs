//! Clauses that a query may not have.

use super::Places;
use crate::error::{ParseError, Position};
use sqlparser::ast;
use sqlparser::keywords::Keyword;

/// The body, order and limit of a query that has nothing else.
pub(super) fn check_query(
    query: ast::Query,
    places: &Places,
) -> Result<(ast::Select, Option<ast::OrderBy>, Option<ast::LimitClause>), ParseError> {
    let ast::Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    let clauses = [
        (with.is_some(), Keyword::WITH, "WITH", "write one SELECT"),
        (fetch.is_some(), Keyword::FETCH, "FETCH", "write LIMIT n"),
        (!locks.is_empty(), Keyword::FOR, "FOR", "leave it out: a query sees one state of the space"),
        (for_clause.is_some(), Keyword::FOR, "FOR", "leave it out"),
        (settings.is_some(), Keyword::SETTINGS, "SETTINGS", "leave it out"),
        (format_clause.is_some(), Keyword::FORMAT, "FORMAT", "leave it out"),
        (!pipe_operators.is_empty(), Keyword::SELECT, "|>", "write one SELECT"),
    ];
    refuse(&clauses, places)?;
    match *body {
        ast::SetExpr::Select(select) => Ok((*select, order_by, limit_clause)),
        ast::SetExpr::SetOperation { op, .. } => {
            let keyword = match op {
                ast::SetOperator::Union => Keyword::UNION,
                ast::SetOperator::Except => Keyword::EXCEPT,
                ast::SetOperator::Intersect => Keyword::INTERSECT,
                ast::SetOperator::Minus => Keyword::MINUS,
            };
            let reason = format!("{op} is not supported");
            Err(ParseError::new(
                places.of(keyword),
                reason,
                "ask two queries, or join conditions with OR or AND",
            ))
        }
        _ => {
            let at = places.of(Keyword::SELECT);
            Err(ParseError::new(at, "only a plain SELECT is supported", "write SELECT .. FROM .. WHERE .."))
        }
    }
}

/// The parts of a `SELECT` that the subset has.
pub(super) struct SelectParts {
    pub(super) distinct: bool,
    pub(super) items: Vec<ast::SelectItem>,
    pub(super) from: Vec<ast::TableWithJoins>,
    pub(super) filter: Option<ast::Expr>,
    pub(super) group: Vec<ast::Expr>,
    pub(super) having: Option<ast::Expr>,
}

pub(super) fn check_select(select: ast::Select, places: &Places) -> Result<SelectParts, ParseError> {
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let clauses = [
        (!optimizer_hints.is_empty(), Keyword::SELECT, "a hint", "leave it out"),
        (select_modifiers.is_some(), Keyword::SELECT, "a modifier of SELECT", "leave it out"),
        (top.is_some(), Keyword::TOP, "TOP", "write LIMIT n at the end"),
        (exclude.is_some(), Keyword::EXCLUDE, "EXCLUDE", "name the fields that you want"),
        (into.is_some(), Keyword::INTO, "INTO", "leave it out: a query changes nothing"),
        (!lateral_views.is_empty(), Keyword::LATERAL, "LATERAL VIEW", "leave it out"),
        (prewhere.is_some(), Keyword::PREWHERE, "PREWHERE", "write WHERE"),
        (!connect_by.is_empty(), Keyword::CONNECT, "CONNECT BY", "leave it out"),
        (!cluster_by.is_empty(), Keyword::CLUSTER, "CLUSTER BY", "write ORDER BY"),
        (!distribute_by.is_empty(), Keyword::DISTRIBUTE, "DISTRIBUTE BY", "leave it out"),
        (!sort_by.is_empty(), Keyword::SORT, "SORT BY", "write ORDER BY"),
        (!named_window.is_empty(), Keyword::WINDOW, "WINDOW", "leave it out"),
        (qualify.is_some(), Keyword::QUALIFY, "QUALIFY", "write HAVING or WHERE"),
        (value_table_mode.is_some(), Keyword::SELECT, "SELECT AS", "name the fields that you want"),
        (flavor != ast::SelectFlavor::Standard, Keyword::FROM, "FROM before SELECT", "write SELECT first"),
    ];
    refuse(&clauses, places)?;
    let distinct = match distinct {
        None | Some(ast::Distinct::All) => false,
        Some(ast::Distinct::Distinct) => true,
        Some(ast::Distinct::On(_)) => {
            let at = places.of(Keyword::DISTINCT);
            return Err(ParseError::new(
                at,
                "DISTINCT ON is not supported",
                "write GROUP BY with MIN or MAX",
            ));
        }
    };
    let group = match group_by {
        ast::GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => keys,
        _ => {
            let at = places.of(Keyword::GROUP);
            return Err(ParseError::new(
                at,
                "this form of GROUP BY is not supported",
                "write GROUP BY field, ..",
            ));
        }
    };
    Ok(SelectParts { distinct, items: projection, from, filter: selection, group, having })
}

pub(super) fn check_wildcard(
    options: ast::WildcardAdditionalOptions,
    at: Position,
) -> Result<(), ParseError> {
    let ast::WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return Err(ParseError::new(at, "* takes no options", "name the fields that you want"));
    };
    Ok(())
}

fn refuse(clauses: &[(bool, Keyword, &str, &str)], places: &Places) -> Result<(), ParseError> {
    match clauses.iter().find(|(present, ..)| *present) {
        None => Ok(()),
        Some((_, keyword, what, instead)) => {
            Err(ParseError::new(places.of(*keyword), format!("{what} is not supported"), *instead))
        }
    }
}
