//! Places in a plan's files: from an offset inside an expression to a line and column of the YAML file.

use serde::{Deserialize, Deserializer};

/// A line and a column, both from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// A value with the place where the file has it.
#[derive(Clone, Debug, Default)]
pub struct Located<T> {
    pub value: T,
    pub at: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let at = spanned.referenced;
        let at = Place { line: at.line() as usize, column: at.column() as usize };
        Ok(Located { value: spanned.value, at })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The place in `source` of the character `inner` of `text`, which is the scalar at `scalar` after YAML has unfolded it.
///
/// YAML changes white space and escapes only; so both texts are walked side by side without their white space. Where
/// they part (escapes in a quoted scalar) the scalar's own place is the answer.
pub fn inside(source: &str, scalar: Place, text: &str, inner: Place) -> Place {
    walk(source, scalar, text, inner).unwrap_or(scalar)
}

fn walk(source: &str, scalar: Place, text: &str, inner: Place) -> Option<Place> {
    let mut file = characters(source).skip_while(|(at, _)| *at < scalar);
    let mut file = file.by_ref().filter(|(_, c)| !c.is_whitespace()).peekable();
    // The indicator of a block scalar, or the opening quote.
    let first = file.peek()?.1;
    match first {
        '|' | '>' => {
            let line = file.peek()?.0.line;
            while file.peek()?.0.line == line {
                file.next();
            }
        }
        '"' | '\'' if !text.starts_with(first) => {
            file.next();
        }
        _ => {}
    }
    for (at, c) in characters(text).filter(|(_, c)| !c.is_whitespace()) {
        let (place, there) = file.next()?;
        if there != c {
            return None;
        }
        if at >= inner {
            return Some(place);
        }
    }
    None
}

fn characters(text: &str) -> impl Iterator<Item = (Place, char)> {
    text.chars().scan(Place { line: 1, column: 1 }, |next, c| {
        let at = *next;
        *next = match c {
            '\n' => Place { line: at.line + 1, column: 1 },
            _ => Place { line: at.line, column: at.column + 1 },
        };
        Some((at, c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Place {
        Place { line, column }
    }

    #[test]
    fn a_place_inside_a_folded_or_literal_scalar_is_found() {
        let source = "value: >\n  a +\n  b\nnext: x\n";
        assert_eq!(inside(source, at(1, 8), "a + b\n", at(1, 5)), at(3, 3));
        let source = "value: |\n  a +\n    b\n";
        assert_eq!(inside(source, at(1, 8), "a +\n  b\n", at(2, 3)), at(3, 5));
    }

    #[test]
    fn a_place_inside_a_plain_or_quoted_scalar_is_found() {
        assert_eq!(inside("value: a + b\n", at(1, 8), "a + b", at(1, 5)), at(1, 12));
        assert_eq!(inside("value: \"a + b\"\n", at(1, 8), "a + b", at(1, 5)), at(1, 13));
        assert_eq!(inside("value: 'it''s + b'\n", at(1, 8), "it's + b", at(1, 8)), at(1, 8));
    }
}
