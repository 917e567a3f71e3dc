//! SQL text to trees: one expression or one SELECT, no more.
//!
//! Our sessions run with `NO_BACKSLASH_ESCAPES`, so a backslash in a plan is a backslash: tokens are read by a dialect
//! that says so, trees are built by the MySQL dialect.

use std::any::TypeId;

use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, Value};
use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Tokenizer, TokenizerError};

use crate::place::Place;

/// What is wrong with an SQL text, at a place inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: Place,
    pub message: String,
    pub help: Option<String>,
}

impl Fault {
    pub fn new(at: Place, message: impl Into<String>) -> Self {
        Fault { at, message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The deepest nesting of expressions.
const DEPTH: usize = 40;
/// The same with fragments put in, which are deep themselves and may nest.
const PRINTED_DEPTH: usize = 400;

/// Parses one expression.
pub fn expression(text: &str) -> Result<Expr, Fault> {
    whole(text, DEPTH, |parser| parser.parse_expr())
}

/// Parses one SELECT.
pub fn select(text: &str) -> Result<Query, Fault> {
    let query = whole(text, DEPTH, |parser| parser.parse_query())?;
    match query.body.as_ref() {
        SetExpr::Select(_) => Ok(*query),
        _ => Err(Fault::new(START, "a single SELECT stands here")),
    }
}

/// Does the printed tree read as the same text again? The parser has corners where it does not; nothing that stands in
/// one of them goes to the server.
pub fn is_printable(tree: &Expr) -> bool {
    let text = tree.to_string();
    whole(&text, PRINTED_DEPTH, |parser| parser.parse_expr()).is_ok_and(|again| again.to_string() == text)
}

/// The same for a SELECT, whatever it projects.
pub fn is_printable_select(select: &Select) -> bool {
    let one = SelectItem::UnnamedExpr(Expr::value(Value::Number("1".into(), false)));
    let text = Select { projection: vec![one], ..select.clone() }.to_string();
    whole(&text, PRINTED_DEPTH, |parser| parser.parse_query()).is_ok_and(|again| again.to_string() == text)
}

const START: Place = Place { line: 1, column: 1 };

fn whole<T>(
    text: &str,
    depth: usize,
    parse: impl FnOnce(&mut Parser) -> Result<T, ParserError>,
) -> Result<T, Fault> {
    let tokens = Tokenizer::new(&PlainBackslash, text).tokenize_with_location().map_err(unreadable)?;
    let mysql = MySqlDialect {};
    let mut parser = Parser::new(&mysql).with_recursion_limit(depth).with_tokens_with_locations(tokens);
    let tree = parse(&mut parser).map_err(|e| not_understood(&e))?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(tree),
        Token::SemiColon => Err(Fault::new(
            place(rest.span.start),
            "`;`: one expression or one SELECT stands here, without an end",
        )),
        token => Err(Fault::new(
            place(rest.span.start),
            format!("unexpected `{token}` after the end of the expression"),
        )),
    }
}

fn unreadable(error: TokenizerError) -> Fault {
    Fault::new(place(error.location), error.message)
}

fn not_understood(error: &ParserError) -> Fault {
    let (ParserError::TokenizerError(message) | ParserError::ParserError(message)) = error else {
        return Fault::new(START, "nested too deeply").help("move parts of it into fragments");
    };
    // The library has its place at the end of the sentence only.
    let (sentence, at) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let numbers: Vec<usize> = at.split(", Column: ").filter_map(|n| n.trim().parse().ok()).collect();
    let at = match numbers[..] {
        [line, column] => Place { line, column },
        _ => START,
    };
    Fault::new(at, format!("not understood: {}", sentence.trim()))
}

/// The place of a token; generated tokens have none and count as the start.
pub fn place(location: Location) -> Place {
    match location {
        Location { line: 0, .. } => START,
        Location { line, column } => Place { line: line as usize, column: column as usize },
    }
}

/// MySQL as a session with `NO_BACKSLASH_ESCAPES` reads it. Used for tokens only.
#[derive(Debug)]
struct PlainBackslash;

impl Dialect for PlainBackslash {
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        MySqlDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MySqlDialect {}.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        MySqlDialect {}.is_delimited_identifier_start(ch)
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }

    fn ignores_wildcard_escapes(&self) -> bool {
        true
    }

    fn requires_single_line_comment_whitespace(&self) -> bool {
        true
    }
}
