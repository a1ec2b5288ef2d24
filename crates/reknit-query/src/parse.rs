//! From tokens to what was written. Everything outside the subset is refused here, with its place.
//!
//! Structures of the parser are taken apart without `..` wherever a part could change what a query means, so that a new
//! version of the parser cannot bring a meaning along unnoticed.

mod place;
mod refuse;
mod term;

use crate::error::{ParseError, Position};
use crate::lexer::{START, Subset, position, tokens};
use crate::limits::{COLUMNS_MAX, NESTING_MAX, PARSER_DEPTH_MAX, RELATIONS_MAX};
use crate::syntax::{Item, Join, OrderKey, Select, Table, Term, TermKind};
use place::{of_item, of_table};
use refuse::{check_query, check_select, check_wildcard};
use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use term::Terms;

/// Reads one query.
pub(crate) fn parse(sql: &str) -> Result<Select, ParseError> {
    let tokens = tokens(sql)?;
    check_begin(&tokens)?;
    let mut parser = Parser::new(&Subset)
        .with_recursion_limit(PARSER_DEPTH_MAX)
        .with_tokens_with_locations(tokens.clone());
    let end = tokens.last().map_or(START, |last| position(last.span.end));
    let query = parser.parse_query().map_err(|error| syntax_error(error, &parser, end))?;
    let ended = parser.consume_token(&Token::SemiColon);
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        let reason = format!("{} is not expected here", rest.token);
        let instead = if ended { "ask one query at a time" } else { "" };
        return Err(ParseError::new(position(rest.span.start), reason, instead));
    }
    Reader { places: Places { tokens }, terms: Terms::default() }.query(*query)
}

fn check_begin(tokens: &[TokenWithSpan]) -> Result<(), ParseError> {
    match tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_))) {
        None => Err(ParseError::new(START, "the query is empty", "write SELECT .. FROM ..")),
        Some(TokenWithSpan { token: Token::Word(word), .. }) if word.keyword == Keyword::SELECT => Ok(()),
        Some(first) => {
            let reason = format!("{} does not begin a query", first.token);
            Err(ParseError::new(position(first.span.start), reason, "write SELECT .. FROM .."))
        }
    }
}

fn syntax_error(error: ParserError, parser: &Parser<'_>, end: Position) -> ParseError {
    let next = parser.peek_token().span.start;
    let here = if next.line == 0 { end } else { position(next) };
    match error {
        ParserError::RecursionLimitExceeded => {
            let reason = format!("terms nest deeper than {NESTING_MAX} levels");
            ParseError::new(here, reason, "use fewer parentheses")
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
            // The place is a part of the text: ".., found: x at Line: 1, Column: 8".
            let Some((reason, place)) = text.rsplit_once(" at Line: ") else {
                return ParseError::new(here, text, "");
            };
            let place = place.split_once(", Column: ");
            let place = place.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
            // Line 0 is behind the last token.
            let place = place.filter(|(line, _)| *line > 0);
            let at = place.map_or(here, |(line, column)| Position { line, column });
            ParseError::new(at, reason, "")
        }
    }
}

/// Where words stand, for the errors about clauses that the parser gives no place for.
struct Places {
    tokens: Vec<TokenWithSpan>,
}

impl Places {
    fn of(&self, keyword: Keyword) -> Position {
        let is_it =
            |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
        self.tokens.iter().find(is_it).map_or(START, |token| position(token.span.start))
    }

    /// The texts of the columns, as they were written.
    fn items(&self) -> Vec<String> {
        let is = |token: &Token, keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
        let (mut items, mut depth) = (vec![String::new()], 0usize);
        let begin = self.tokens.iter().skip_while(|token| !is(&token.token, Keyword::SELECT)).skip(1);
        for TokenWithSpan { token, .. } in begin {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => {
                    items.push(String::new());
                    continue;
                }
                _ if depth == 0 && is(token, Keyword::FROM) => break,
                _ => {}
            }
            let modifier = is(token, Keyword::DISTINCT) || is(token, Keyword::ALL);
            match items.last_mut() {
                Some(item) if matches!(token, Token::Whitespace(_)) => item.push(' '),
                Some(item) if !(modifier && depth == 0) => item.push_str(&token.to_string()),
                _ => {}
            }
        }
        items.iter().map(|item| item.trim().to_owned()).collect()
    }
}

struct Reader {
    places: Places,
    terms: Terms,
}

impl Reader {
    fn query(mut self, query: ast::Query) -> Result<Select, ParseError> {
        let (body, order, limit) = check_query(query, &self.places)?;
        let parts = check_select(body, &self.places)?;
        let (from, joins) = self.from(parts.from)?;
        // In the order of the text, because that is how `?`s are counted.
        let items = self.items(parts.items)?;
        let joins = joins.into_iter().map(|join| self.join(join)).collect::<Result<_, _>>()?;
        let filter =
            parts.filter.map(|filter| self.terms.read(filter, self.places.of(Keyword::WHERE))).transpose()?;
        let group = self.list(parts.group, "GROUP BY", Keyword::GROUP)?;
        let having = parts
            .having
            .map(|having| self.terms.read(having, self.places.of(Keyword::HAVING)))
            .transpose()?;
        let order = self.order(order)?;
        let (limit, offset) = self.limit(limit)?;
        Ok(Select {
            distinct: parts.distinct,
            items,
            from,
            joins,
            filter,
            group,
            having,
            order,
            limit,
            offset,
            positional: self.terms.positional,
        })
    }

    fn items(&mut self, items: Vec<ast::SelectItem>) -> Result<Vec<Item>, ParseError> {
        if items.len() > COLUMNS_MAX {
            let reason = format!("{} columns; a result has {COLUMNS_MAX} at most", items.len());
            return Err(ParseError::new(self.places.of(Keyword::SELECT), reason, ""));
        }
        let written = self.places.items();
        items.into_iter().enumerate().map(|(nth, item)| self.item(item, written.get(nth))).collect()
    }

    fn item(&mut self, item: ast::SelectItem, written: Option<&String>) -> Result<Item, ParseError> {
        let start = of_item(&item, self.places.of(Keyword::SELECT));
        match item {
            ast::SelectItem::UnnamedExpr(expr) => {
                let name = column_name(&expr, written);
                Ok(Item::Term { term: self.terms.read(expr, start)?, name })
            }
            ast::SelectItem::ExprWithAlias { expr, alias } => {
                Ok(Item::Term { term: self.terms.read(expr, start)?, name: alias.value })
            }
            ast::SelectItem::Wildcard(options) => {
                check_wildcard(options, start)?;
                Ok(Item::All { table: None, at: start })
            }
            ast::SelectItem::QualifiedWildcard(
                ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => {
                check_wildcard(options, start)?;
                Ok(Item::All { table: Some(single_name(name, start)?), at: start })
            }
            _ => {
                let reason = "this is no column";
                Err(ParseError::new(start, reason, "write a term, with AS and one name if need be"))
            }
        }
    }

    fn from(&mut self, from: Vec<ast::TableWithJoins>) -> Result<(Table, Vec<ast::Join>), ParseError> {
        let at = self.places.of(Keyword::FROM);
        let mut from = from.into_iter();
        let (Some(first), None) = (from.next(), from.next()) else {
            let instead = "write FROM and one collection, others with JOIN .. ON ..";
            return Err(ParseError::new(at, "a query reads one collection", instead));
        };
        if first.joins.len() >= RELATIONS_MAX {
            let reason = format!("a query joins {RELATIONS_MAX} collections at most");
            return Err(ParseError::new(at, reason, ""));
        }
        Ok((table(first.relation, at)?, first.joins))
    }

    fn join(&mut self, join: ast::Join) -> Result<Join, ParseError> {
        let at = of_table(&join.relation, self.places.of(Keyword::JOIN));
        let ast::Join { relation, global, join_operator } = join;
        if global {
            return Err(ParseError::new(at, "GLOBAL is not supported", "leave it out"));
        }
        let (left, constraint) = match join_operator {
            ast::JoinOperator::Join(constraint) | ast::JoinOperator::Inner(constraint) => (false, constraint),
            ast::JoinOperator::Left(constraint) | ast::JoinOperator::LeftOuter(constraint) => {
                (true, constraint)
            }
            _ => {
                let instead = "write JOIN .. ON .. or LEFT JOIN .. ON ..";
                return Err(ParseError::new(at, "this kind of join is not supported", instead));
            }
        };
        let ast::JoinConstraint::On(on) = constraint else {
            let instead = "write ON and the reference: ON albums.artist = artists.id";
            return Err(ParseError::new(at, "a join needs a condition", instead));
        };
        Ok(Join { table: table(relation, at)?, left, on: self.terms.read(on, at)? })
    }

    fn list(
        &mut self,
        list: Vec<ast::Expr>,
        clause: &str,
        keyword: Keyword,
    ) -> Result<Vec<Term>, ParseError> {
        let at = self.places.of(keyword);
        if list.len() > COLUMNS_MAX {
            let reason = format!("{clause} has {} keys of {COLUMNS_MAX}", list.len());
            return Err(ParseError::new(at, reason, "use fewer"));
        }
        list.into_iter().map(|expr| self.terms.read(expr, at)).collect()
    }

    fn order(&mut self, order: Option<ast::OrderBy>) -> Result<Vec<OrderKey>, ParseError> {
        let at = self.places.of(Keyword::ORDER);
        let Some(ast::OrderBy { kind, interpolate }) = order else { return Ok(vec![]) };
        let (ast::OrderByKind::Expressions(keys), None) = (kind, interpolate) else {
            return Err(ParseError::new(at, "ORDER BY takes terms", "write ORDER BY field, ..."));
        };
        if keys.len() > COLUMNS_MAX {
            let reason = format!("ORDER BY has {} keys of {COLUMNS_MAX}", keys.len());
            return Err(ParseError::new(at, reason, "use fewer"));
        }
        keys.into_iter().map(|key| self.order_key(key, at)).collect()
    }

    fn order_key(&mut self, key: ast::OrderByExpr, at: Position) -> Result<OrderKey, ParseError> {
        let ast::OrderByExpr { expr, options: ast::OrderByOptions { sort, nulls_first }, with_fill } = key;
        let descending = match sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(_) => {
                return Err(ParseError::new(at, "ORDER BY .. USING is not supported", "write ASC or DESC"));
            }
        };
        if with_fill.is_some() {
            return Err(ParseError::new(at, "WITH FILL is not supported", "leave it out"));
        }
        Ok(OrderKey { term: self.terms.read(expr, at)?, descending, nulls_first })
    }

    fn limit(
        &mut self,
        clause: Option<ast::LimitClause>,
    ) -> Result<(Option<Term>, Option<Term>), ParseError> {
        let at = self.places.of(Keyword::LIMIT);
        let (limit, offset) = match clause {
            None => return Ok((None, None)),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit, offset.map(|offset| offset.value))
            }
            Some(_) => {
                return Err(ParseError::new(
                    at,
                    "this form of LIMIT is not supported",
                    "write LIMIT n OFFSET m",
                ));
            }
        };
        let limit = limit.map(|limit| self.count(limit, "LIMIT", at)).transpose()?;
        let at = self.places.of(Keyword::OFFSET);
        Ok((limit, offset.map(|offset| self.count(offset, "OFFSET", at)).transpose()?))
    }

    fn count(&mut self, expr: ast::Expr, clause: &str, at: Position) -> Result<Term, ParseError> {
        let term = self.terms.read(expr, at)?;
        match &term.kind {
            TermKind::Positional(_) | TermKind::Named(_) => Ok(term),
            TermKind::Literal(reknit_types::Value::Int(count)) if *count >= 0 => Ok(term),
            _ => {
                let reason = format!("{clause} takes a whole number");
                Err(ParseError::new(term.at, reason, "write a number from 0, or a parameter"))
            }
        }
    }
}

/// A column without `AS` is called what was written.
fn column_name(expr: &ast::Expr, written: Option<&String>) -> String {
    match expr {
        ast::Expr::Identifier(name) => name.value.clone(),
        ast::Expr::CompoundIdentifier(parts) => {
            parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
        }
        _ => written.cloned().unwrap_or_default(),
    }
}

fn table(factor: ast::TableFactor, at: Position) -> Result<Table, ParseError> {
    let at = of_table(&factor, at);
    let instead = "write the name of a collection, and an alias if need be";
    let ast::TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = factor
    else {
        return Err(ParseError::new(at, "this is no collection", instead));
    };
    if !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()) {
        return Err(ParseError::new(at, "a collection takes no hints", instead));
    }
    let collection = single_name(name, at)?;
    let alias = match alias {
        None => collection.clone(),
        Some(ast::TableAlias { explicit: _, name, columns, at: None }) if columns.is_empty() => name.value,
        Some(_) => return Err(ParseError::new(at, "an alias is one name", instead)),
    };
    Ok(Table { collection, alias, at })
}

fn single_name(name: ast::ObjectName, at: Position) -> Result<String, ParseError> {
    let mut parts = name.0.into_iter();
    match (parts.next(), parts.next()) {
        (Some(ast::ObjectNamePart::Identifier(name)), None) => Ok(name.value),
        _ => {
            Err(ParseError::new(at, "a collection has one name", "quote a name that holds a period: \"a.b\""))
        }
    }
}
