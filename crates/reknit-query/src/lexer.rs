//! The text of a query as tokens, with paths into documents made readable to the parser.

use crate::error::{ParseError, Position};
use crate::limits::{OPERATORS_MAX, SQL_BYTES_MAX, TOKENS_MAX};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Word};

/// Standard SQL, with names in the letters of any language.
#[derive(Debug)]
pub(crate) struct Subset;

impl Dialect for Subset {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    /// Read, so that it can be refused by name.
    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }
}

/// The tokens of `sql`, bounded.
pub(crate) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, ParseError> {
    if sql.len() > SQL_BYTES_MAX {
        let reason = format!("the query takes {} bytes of {SQL_BYTES_MAX}", sql.len());
        return Err(ParseError::new(START, reason, "pass long values as parameters"));
    }
    let mut found = vec![];
    Tokenizer::new(&Subset, sql)
        .tokenize_with_location_into_buf(&mut found)
        .map_err(|error| ParseError::new(position(error.location), error.message, ""))?;
    let found = names(numbered_parts(found)?)?;
    check_size(&found)?;
    Ok(found)
}

/// `tracks.0.title` arrives as a word, the number `.0` and a word behind a period. A number that begins with a period and
/// stands right behind a name, or behind another such number, is a part of a path.
fn numbered_parts(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParseError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let behind_name = matches!(out.last(), Some(last) if matches!(last.token, Token::Word(_)));
        let behind_period = matches!(out.last(), Some(last) if last.token == Token::Period);
        match &token.token {
            Token::Number(text, _) if behind_name && text.starts_with('.') => {
                push_parts(&mut out, token.span, text.trim_start_matches('.'), true)?;
            }
            Token::Number(text, _) if behind_period => push_parts(&mut out, token.span, text, false)?,
            _ => out.push(token),
        }
    }
    Ok(out)
}

/// The parts of `0`, or of `0.1` where two numbers follow each other.
fn push_parts(
    out: &mut Vec<TokenWithSpan>,
    span: Span,
    text: &str,
    with_period: bool,
) -> Result<(), ParseError> {
    for (nth, digits) in text.split('.').enumerate() {
        if with_period || nth > 0 {
            out.push(TokenWithSpan::new(Token::Period, span));
        }
        // `0.` ends where the next name begins.
        if digits.is_empty() && nth > 0 {
            return Ok(());
        }
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let reason = format!("\".{text}\" is no part of a path");
            let instead = "write an index (tracks.0) or a quoted name (tracks.\"1e5\")";
            return Err(ParseError::new(position(span.start), reason, instead));
        }
        let word = Word { value: digits.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        out.push(TokenWithSpan::new(Token::Word(word), span));
    }
    Ok(())
}

/// `:name` is one parameter, and a number that runs into a name is neither.
fn names(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, ParseError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let glued = matches!(out.last(), Some(last) if matches!(last.token, Token::Number(_, _)));
        if let (Token::Word(word), true) = (&token.token, glued) {
            let reason = format!("\"{}\" runs into the number before it", word.value);
            return Err(ParseError::new(position(token.span.start), reason, "write a space between them"));
        }
        match (&token.token, out.last().map(|last| &last.token)) {
            (Token::Word(word), Some(Token::Colon)) if word.quote_style.is_none() => {
                let placeholder = Token::Placeholder(format!(":{}", word.value));
                let start = out.pop().map_or(token.span.start, |colon| colon.span.start);
                out.push(TokenWithSpan::new(placeholder, Span::new(start, token.span.end)));
            }
            _ => out.push(token),
        }
    }
    Ok(out)
}

fn check_size(tokens: &[TokenWithSpan]) -> Result<(), ParseError> {
    let meaning = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    if let Some(token) = meaning.clone().nth(TOKENS_MAX) {
        let reason = format!("the query has more than {TOKENS_MAX} tokens");
        return Err(ParseError::new(position(token.span.start), reason, "ask in several queries"));
    }
    if let Some(token) = meaning.filter(|token| is_operator(&token.token)).nth(OPERATORS_MAX) {
        let reason = format!("the query has more than {OPERATORS_MAX} operators");
        return Err(ParseError::new(position(token.span.start), reason, "write IN for a long row of ORs"));
    }
    Ok(())
}

/// Everything that the parser strings together without counting its depth.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND | Keyword::OR | Keyword::IS | Keyword::LIKE | Keyword::BETWEEN | Keyword::COLLATE
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::Placeholder(_)
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

/// Where a token lies.
pub(crate) fn position(location: Location) -> Position {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: number(location.line), column: number(location.column) }
}

pub(crate) const START: Position = Position { line: 1, column: 1 };
