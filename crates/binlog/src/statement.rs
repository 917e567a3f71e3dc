//! What a statement in the binlog means for a reader of rows. Not a parser: it sorts by the first words and is careful.

/// A statement, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    Begin,
    /// COMMIT of a group without XID, or ROLLBACK of one that held changes that cannot be rolled back.
    End,
    /// Savepoints: rolled-back rows are not in the binlog.
    Savepoint,
    /// START, END, PREPARE, COMMIT or ROLLBACK of an XA transaction.
    Xa,
    /// `(schema, table)` if it could be read.
    Truncate(Option<(Option<String>, String)>),
    /// Changes rows, in statement format.
    Dml,
    /// May change rows by what it calls: SELECT, CALL, DO.
    Opaque,
    /// Anything else: the shape of something may have changed.
    Ddl,
}

impl Statement {
    pub fn of(sql: &str) -> Statement {
        let mut words = Words { rest: sql };
        let Some(first) = words.next() else { return Statement::Ddl };
        let first = first.to_ascii_uppercase();
        match first.as_str() {
            "BEGIN" | "START" if first == "BEGIN" || words.is("TRANSACTION") => Statement::Begin,
            "COMMIT" if words.end() || words.is("WORK") => Statement::End,
            "ROLLBACK" if words.end() || words.is("WORK") => Statement::End,
            "ROLLBACK" if words.is("TO") => Statement::Savepoint,
            "SAVEPOINT" | "RELEASE" => Statement::Savepoint,
            "XA" => Statement::Xa,
            "TRUNCATE" => {
                let second = words.next();
                let name = if second.is_some_and(|w| w.eq_ignore_ascii_case("TABLE")) {
                    words.next()
                } else {
                    second
                };
                Statement::Truncate(name.and_then(|n| words.qualified(n)))
            }
            "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" | "WITH" => Statement::Dml,
            "SELECT" | "CALL" | "DO" | "EXECUTE" | "HANDLER" => Statement::Opaque,
            // SET STATEMENT variable = value FOR statement
            "SET" if words.is("STATEMENT") => {
                while let Some(word) = words.next() {
                    if word.eq_ignore_ascii_case("FOR") {
                        return Statement::of(words.rest);
                    }
                }
                Statement::Opaque
            }
            _ => Statement::Ddl,
        }
    }
}

/// Does the text name this identifier, in any case, quoted or not? May say yes where the name is only part of another.
pub fn mentions(sql: &str, name: &str) -> bool {
    let fold = |s: &str| s.to_lowercase().replace("``", "`").replace("\"\"", "\"");
    // A text in another character set than UTF-8 does not show the name as we know it.
    (!name.is_ascii() && !sql.is_ascii()) || fold(sql).contains(&fold(name))
}

/// The first words in upper case, comments left out; quoted names come with their quotes.
pub fn first_words(sql: &str, n: usize) -> Vec<String> {
    let mut words = Words { rest: sql };
    std::iter::from_fn(|| words.next()).take(n).map(str::to_uppercase).collect()
}

/// The table that a CREATE TABLE makes: schema (if given) and name. `None` for any other statement.
pub fn created_table(sql: &str) -> Option<(Option<String>, String)> {
    let mut words = Words { rest: sql };
    words.take("CREATE")?;
    if words.take("OR").is_some() {
        words.take("REPLACE")?;
    }
    words.take("TABLE")?;
    if words.take("IF").is_some() {
        words.take("NOT")?;
        words.take("EXISTS")?;
    }
    let first = words.next()?;
    words.name(first)
}

/// Words, quoted names and single signs, comments left out.
#[derive(Clone)]
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// The next word; a quoted name comes with its quotes.
    fn next(&mut self) -> Option<&'a str> {
        self.skip();
        let first = self.rest.chars().next()?;
        let length = match first {
            '`' | '"' => quoted(self.rest, first)?,
            c if is_word(c) => self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()),
            c => c.len_utf8(),
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(word)
    }

    fn is(&self, word: &str) -> bool {
        self.clone().next().is_some_and(|w| w.eq_ignore_ascii_case(word))
    }

    fn end(&self) -> bool {
        self.clone().next().is_none_or(|w| w == ";")
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.is(word).then(|| self.next())?.map(|_| ())
    }

    /// The name that starts with `first`, with its schema if it has one.
    fn name(&mut self, first: &str) -> Option<(Option<String>, String)> {
        let first = unquote(first)?;
        if self.take(".").is_some() {
            return Some((Some(first), unquote(self.next()?)?));
        }
        Some((None, first))
    }

    /// The same, unless something unexpected follows.
    fn qualified(&mut self, first: &str) -> Option<(Option<String>, String)> {
        let name = self.name(first)?;
        (self.end() || self.is("WAIT") || self.is("NOWAIT")).then_some(name)
    }

    fn skip(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            let after = if let Some(comment) = trimmed.strip_prefix("/*") {
                // What stands in an executable comment is seen as words.
                match comment.strip_prefix('!').or_else(|| comment.strip_prefix("M!")) {
                    Some(inner) => inner.trim_start_matches(|c: char| c.is_ascii_digit()),
                    None => comment.split_once("*/").map_or("", |(_, after)| after),
                }
            } else if let Some(end) = trimmed.strip_prefix("*/") {
                end
            } else if trimmed.starts_with("-- ") || trimmed.starts_with('#') {
                trimmed.split_once('\n').map_or("", |(_, after)| after)
            } else {
                self.rest = trimmed;
                return;
            };
            self.rest = after;
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@') || !c.is_ascii()
}

/// Length of the quoted name at the start of `text`, quotes included.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn unquote(word: &str) -> Option<String> {
    for quote in ['`', '"'] {
        if let Some(inner) = word.strip_prefix(quote) {
            let twice = [quote, quote].iter().collect::<String>();
            return Some(inner.strip_suffix(quote)?.replace(&twice, &quote.to_string()));
        }
    }
    word.chars().all(is_word).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_by_the_first_words() {
        for (sql, sort) in [
            ("BEGIN", Statement::Begin),
            ("commit", Statement::End),
            ("ROLLBACK", Statement::End),
            ("ROLLBACK TO `s`", Statement::Savepoint),
            ("SAVEPOINT `s`", Statement::Savepoint),
            ("XA COMMIT X'31',X'',1", Statement::Xa),
            ("/* app */ -- why\n delete from t", Statement::Dml),
            ("/*!40000 ALTER TABLE t DISABLE KEYS */", Statement::Ddl),
            ("SELECT f()", Statement::Opaque),
            ("SET STATEMENT max_statement_time = 1 FOR UPDATE t SET a = 1", Statement::Dml),
            ("SET PASSWORD FOR u = 'x'", Statement::Ddl),
            ("", Statement::Ddl),
            ("COMMIT ALTER 1 t", Statement::Ddl),
        ] {
            assert_eq!(Statement::of(sql), sort, "{sql}");
        }
    }

    #[test]
    fn the_table_of_a_truncate() {
        let t = |s: Option<&str>, n: &str| Statement::Truncate(Some((s.map(String::from), n.into())));
        assert_eq!(Statement::of("TRUNCATE TABLE t"), t(None, "t"));
        assert_eq!(Statement::of("truncate `a``b`.`c.d` /* generated */"), t(Some("a`b"), "c.d"));
        assert_eq!(Statement::of("TRUNCATE \"app\" . users WAIT 3"), t(Some("app"), "users"));
        assert_eq!(Statement::of("TRUNCATE `broken"), Statement::Truncate(None));
        assert_eq!(Statement::of("TRUNCATE a b"), Statement::Truncate(None));
    }

    #[test]
    fn the_table_that_is_created() {
        let named = |sql| created_table(sql).map(|(_, n)| n);
        assert_eq!(named("create or replace table if not exists app.`x` (a int)").as_deref(), Some("x"));
        assert_eq!(named("CREATE TABLE y SELECT * FROM users").as_deref(), Some("y"));
        assert_eq!(named("CREATE VIEW v AS SELECT 1"), None);
        assert_eq!(first_words("/* a */ drop  index `i` ON t", 3), ["DROP", "INDEX", "`I`"]);
    }

    #[test]
    fn a_name_is_found_in_any_dress() {
        assert!(mentions("ALTER TABLE `USERS` ADD x INT", "users"));
        assert!(mentions("RENAME TABLE `we``ird` TO x", "we`ird"));
        assert!(!mentions("ALTER TABLE orders ADD x INT", "users"));
        assert!(mentions("ALTER TABLE ?\u{fffd}", "żółć"), "cannot tell");
    }
}
