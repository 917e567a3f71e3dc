//! What a statement in the binlog asks of the reader. Pure; when in doubt it asks for more, never for less.

use binlog::{Query, Statement, created_table, first_words, mentions};

use crate::tables::Watched;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Begins a group, sets a savepoint, concerns nobody.
    Nothing,
    /// The group ends here.
    End,
    /// A statement of an XA transaction.
    Xa,
    /// These tables (by index) were emptied.
    Emptied(Vec<usize>),
    /// The shape of the source may have changed: compare. If it has not, the contents of these tables may have (a
    /// rename, an ALTER that drops and adds a column), and nothing but a full pass can know.
    Compare(Vec<usize>),
    /// Rows of planned tables were changed without being in the binlog.
    Stop { what: String },
    /// The same, if a trigger stands in the schema.
    StopIfTriggers,
}

pub(crate) fn judge(query: &Query, schema: &str, watched: &[Watched]) -> Verdict {
    let sql = &*query.sql;
    let concerned = query.schema == schema || mentions(sql, schema);
    let mentioned = || -> Vec<usize> {
        if !concerned {
            return Vec::new();
        }
        watched.iter().enumerate().filter(|(_, w)| mentions(sql, &w.name.table)).map(|(i, _)| i).collect()
    };
    let named = |wanted: &(Option<String>, String)| -> Vec<usize> {
        let (in_schema, table) = wanted;
        let there = in_schema.as_deref().unwrap_or(&query.schema);
        let same =
            |w: &Watched| w.name.table.eq_ignore_ascii_case(table) && schema.eq_ignore_ascii_case(there);
        watched.iter().enumerate().filter(|(_, w)| same(w)).map(|(i, _)| i).collect()
    };
    match Statement::of(sql) {
        Statement::Begin | Statement::Savepoint => Verdict::Nothing,
        Statement::End => Verdict::End,
        Statement::Xa => Verdict::Xa,
        Statement::Truncate(Some(name)) => match named(&name) {
            tables if tables.is_empty() => Verdict::Nothing,
            tables => Verdict::Emptied(tables),
        },
        Statement::Truncate(None) => match mentioned() {
            tables if tables.is_empty() => Verdict::Nothing,
            tables => Verdict::Emptied(tables),
        },
        Statement::Dml => match mentioned().first() {
            Some(i) => Verdict::Stop { what: watched[*i].name.to_string() },
            None if concerned => Verdict::StopIfTriggers,
            None => Verdict::Nothing,
        },
        Statement::Opaque if concerned => Verdict::Stop { what: format!("tables of {schema}") },
        Statement::Opaque => Verdict::Nothing,
        Statement::Ddl => {
            let tables = match created_table(sql) {
                Some(name) => named(&name),
                None => mentioned(),
            };
            let words = first_words(sql, 2);
            let whole_schema = concerned && words.get(1).is_some_and(|w| w == "DATABASE" || w == "SCHEMA");
            if tables.is_empty() && !whole_schema {
                Verdict::Nothing
            } else if keeps_contents(&words) || only_adds(sql) {
                Verdict::Compare(Vec::new())
            } else {
                Verdict::Compare(tables)
            }
        }
    }
}

/// Statements that change no row of a table that they mention.
fn keeps_contents(words: &[String]) -> bool {
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    match word(0) {
        "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "GRANT" | "REVOKE" | "FLUSH" | "SET" | "COMMENT" => {
            true
        }
        "CREATE" | "DROP" => matches!(
            word(1),
            "INDEX"
                | "UNIQUE"
                | "FULLTEXT"
                | "SPATIAL"
                | "TRIGGER"
                | "VIEW"
                | "USER"
                | "ROLE"
                | "PROCEDURE"
                | "FUNCTION"
                | "EVENT"
                | "TEMPORARY"
                | "DEFINER"
        ),
        _ => false,
    }
}

/// An ALTER that adds columns and indexes and does nothing else. A word in a comment or a default may deceive it, to the
/// careful side only.
fn only_adds(sql: &str) -> bool {
    const OTHER: [&str; 21] = [
        "DROP",
        "MODIFY",
        "CHANGE",
        "CONVERT",
        "RENAME",
        "TRUNCATE",
        "EXCHANGE",
        "IMPORT",
        "DISCARD",
        "SET",
        "ENGINE",
        "PARTITION",
        "PARTITIONS",
        "REORGANIZE",
        "COALESCE",
        "ORDER",
        "FORCE",
        "ALTER",
        "REMOVE",
        "PERIOD",
        "SYSTEM",
    ];
    let words = first_words(sql, usize::MAX);
    let mut actions = words.iter().skip_while(|w| *w != "TABLE").skip(1);
    words.first().is_some_and(|w| w == "ALTER")
        && words.iter().any(|w| w == "ADD")
        && actions.all(|w| !OTHER.contains(&w.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use change::TableName;

    fn watched() -> Vec<Watched> {
        ["users", "roles"]
            .map(|t| Watched {
                name: TableName::new("app", t),
                topic: String::new(),
                published: vec![],
                columns: vec![],
                read: vec![],
                fill: vec![],
                generated: vec![],
                uuids: vec![],
                image: None,
                folds: vec![],
            })
            .to_vec()
    }

    fn verdict(schema: &str, sql: &str) -> Verdict {
        judge(&Query { schema: schema.into(), sql: sql.into() }, "app", &watched())
    }

    #[test]
    fn only_what_may_touch_planned_tables_is_acted_on() {
        let table = [
            ("app", "BEGIN", Verdict::Nothing),
            ("app", "COMMIT", Verdict::End),
            ("app", "TRUNCATE TABLE users", Verdict::Emptied(vec![0])),
            ("other", "TRUNCATE TABLE users", Verdict::Nothing),
            ("other", "TRUNCATE `app`.`Roles`", Verdict::Emptied(vec![1])),
            ("app", "TRUNCATE users_archive", Verdict::Nothing),
            ("app", "ALTER TABLE users ADD x INT, ADD KEY k (x)", Verdict::Compare(vec![])),
            ("app", "ALTER TABLE users ADD x INT, DROP COLUMN y", Verdict::Compare(vec![0])),
            ("app", "ALTER TABLE users ENGINE=InnoDB", Verdict::Compare(vec![0])),
            ("other", "ALTER TABLE users ADD x INT", Verdict::Nothing),
            (
                "other",
                "RENAME TABLE app.users TO app.u2, app.roles TO app.users",
                Verdict::Compare(vec![0, 1]),
            ),
            ("app", "CREATE INDEX i ON users (a)", Verdict::Compare(vec![])),
            ("app", "CREATE TABLE copy SELECT * FROM users", Verdict::Nothing),
            ("app", "CREATE OR REPLACE TABLE users (id INT)", Verdict::Compare(vec![0])),
            ("x", "DROP DATABASE app", Verdict::Compare(vec![])),
            ("app", "DROP TABLE orders", Verdict::Nothing),
            ("app", "UPDATE orders SET a = 1", Verdict::StopIfTriggers),
            ("other", "UPDATE orders SET a = 1", Verdict::Nothing),
            ("app", "UPDATE users SET a = 1", Verdict::Stop { what: "app.users".into() }),
            ("app", "SELECT f()", Verdict::Stop { what: "tables of app".into() }),
        ];
        for (schema, sql, wanted) in table {
            assert_eq!(verdict(schema, sql), wanted, "{sql}");
        }
    }
}
