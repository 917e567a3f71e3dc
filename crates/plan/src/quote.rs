//! The one place where names and values become SQL text.
//!
//! Crossfade's sessions run with `NO_BACKSLASH_ESCAPES`, so that a quote is the only character to be doubled.

use change::{Cell, TableName};

/// A quoted identifier.
pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A quoted table name with its schema.
pub fn table(name: &TableName) -> String {
    format!("{}.{}", ident(&name.schema), ident(&name.table))
}

/// A quoted string literal.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A literal of bytes.
pub fn bytes(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len() * 2 + 3);
    out.push_str("x'");
    for b in value {
        for nibble in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out.push('\'');
    out
}

/// A literal with the value of a cell.
pub fn cell(value: &Cell) -> String {
    match value {
        Cell::Null => "NULL".into(),
        Cell::Int(v) => v.to_string(),
        Cell::UInt(v) => v.to_string(),
        Cell::Double(v) => format!("{v:e}"),
        Cell::Text(v) => text(v),
        Cell::Bytes(v) => bytes(v),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("we`ird; drop table x; --"), "`we``ird; drop table x; --`");
        assert_eq!(text("it's \\ fine"), r"'it''s \ fine'");
        assert_eq!(bytes(&[0, 0xab]), "x'00ab'");
        assert_eq!(cell(&Cell::UInt(u64::MAX)), "18446744073709551615");
    }
}
