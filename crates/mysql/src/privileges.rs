//! What an account may do, as `SHOW GRANTS` tells it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::DbError;
use crate::grants::{Grant, Object};
use crate::session::Session;

/// The rights that an account has, its active roles included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// A schema's name is a pattern here.
    grants: Vec<Grant>,
}

impl Held {
    pub async fn by(session: &mut Session) -> Result<Held, DbError> {
        let rows = session.rows("SHOW GRANTS").await.map_err(|e| e.doing("read the account's own rights"))?;
        let mut lines = Vec::new();
        for row in &rows {
            lines.extend(row.text(0)?.map(str::to_owned));
        }
        Ok(Held::parse(lines.iter().map(String::as_str)))
    }

    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Held {
        Held { grants: lines.filter_map(parse_line).collect() }
    }

    /// The part of a needed grant that is not held; `None`: everything is.
    pub fn missing(&self, needed: &Grant) -> Option<Grant> {
        let mut rights = BTreeMap::new();
        for (right, columns) in &needed.rights {
            if self.has(&needed.on, right, None) {
                continue;
            }
            let lacking: BTreeSet<String> =
                columns.iter().filter(|c| !self.has(&needed.on, right, Some(c))).cloned().collect();
            if columns.is_empty() || !lacking.is_empty() {
                rights.insert(right.clone(), lacking);
            }
        }
        (!rights.is_empty()).then(|| Grant { on: needed.on.clone(), rights })
    }

    fn has(&self, on: &Object, right: &str, column: Option<&str>) -> bool {
        self.grants.iter().any(|held| {
            covers(&held.on, on)
                && held.rights.iter().any(|(name, columns)| {
                    let named = name == right || name == "ALL PRIVILEGES";
                    let here = columns.is_empty()
                        || column.is_some_and(|c| columns.iter().any(|h| h.eq_ignore_ascii_case(c)));
                    named && here
                })
        })
    }

    /// Rights on the whole server that let an account do anything: a service needs none of them.
    pub fn excessive(&self) -> Vec<String> {
        let server = self.grants.iter().filter(|g| g.on == Object::Server);
        let far = ["ALL PRIVILEGES", "SUPER", "FILE", "CREATE USER", "SET USER", "SYSTEM_USER"];
        server.flat_map(|g| g.rights.keys()).filter(|r| far.contains(&r.as_str())).cloned().collect()
    }
}

fn covers(held: &Object, needed: &Object) -> bool {
    match (held, needed) {
        (Object::Server, _) => true,
        (Object::Schema(pattern), Object::Schema(name) | Object::Table(name, _)) => like(pattern, name),
        (Object::Table(s, t), Object::Table(schema, table)) => s == schema && t == table,
        _ => false,
    }
}

/// `%` and `_` in a granted schema's name are wildcards unless a backslash stands before them.
fn like(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('%') => (0..=name.len()).any(|i| name.is_char_boundary(i) && like(pattern.as_str(), &name[i..])),
        Some('_') => {
            let mut name = name.chars();
            name.next().is_some() && like(pattern.as_str(), name.as_str())
        }
        Some(c) => {
            let wanted = if c == '\\' { pattern.next().unwrap_or('\\') } else { c };
            name.strip_prefix(wanted).is_some_and(|rest| like(pattern.as_str(), rest))
        }
    }
}

/// `GRANT SELECT, UPDATE (`a`, `b`) ON `schema`.`table` TO …`. Lines that give a role or a routine are none of ours.
fn parse_line(line: &str) -> Option<Grant> {
    let mut rest = line.strip_prefix("GRANT ")?;
    let mut rights = BTreeMap::new();
    loop {
        let end = rest.find([',', '(']).unwrap_or(rest.len()).min(rest.find(" ON ").unwrap_or(rest.len()));
        let name = rest[..end].trim().to_ascii_uppercase();
        rest = rest[end..].trim_start();
        let mut columns = BTreeSet::new();
        if let Some(mut list) = rest.strip_prefix('(') {
            while let Some((column, after)) = quoted(list.trim_start_matches([',', ' '])) {
                columns.insert(column);
                list = after;
            }
            rest = list.trim_start().strip_prefix(')')?.trim_start();
        }
        rights.insert(name, columns);
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    let object = rest.strip_prefix("ON ")?;
    let on = if object.starts_with("*.*") {
        Object::Server
    } else {
        let (schema, after) = quoted(object)?;
        match after.strip_prefix('.')? {
            star if star.starts_with('*') => Object::Schema(schema),
            table => Object::Table(schema, quoted(table)?.0),
        }
    };
    Some(Grant { on, rights })
}

/// A name between back-ticks (or bare, as some servers write columns), and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let Some(inner) = text.strip_prefix('`') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$')?;
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c != '`' {
            name.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '`') {
            chars.next();
            name.push('`');
        } else {
            return Some((name, &inner[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(on: Object, right: &str, columns: &[&str]) -> Grant {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Grant { on, rights: BTreeMap::from([(right.into(), columns)]) }
    }

    #[test]
    fn what_is_granted_is_understood() {
        let held = Held::parse(
            [
                "GRANT USAGE ON *.* TO `w`@`%` IDENTIFIED BY PASSWORD '*00'",
                "GRANT `some_role` TO `w`@`%`",
                "GRANT SELECT, INSERT ON `my\\_app`.* TO `w`@`%`",
                "GRANT SELECT (`od``d, x`, `a`), UPDATE (`b`), DELETE ON `app`.`t``1` TO `w`@`%` WITH GRANT OPTION",
                "GRANT EXECUTE ON PROCEDURE `app`.`p` TO `w`@`%`",
            ]
            .into_iter(),
        );
        let table = || Object::Table("app".into(), "t`1".into());
        assert_eq!(held.missing(&needed(table(), "SELECT", &["A", "od`d, x"])), None);
        assert_eq!(
            held.missing(&needed(table(), "SELECT", &["a", "z"])),
            Some(needed(table(), "SELECT", &["z"]))
        );
        assert!(held.missing(&needed(table(), "SELECT", &[])).is_some(), "columns are not the table");
        assert_eq!(held.missing(&needed(table(), "DELETE", &["a"])), None);
        assert_eq!(held.missing(&needed(Object::Table("my_app".into(), "x".into()), "SELECT", &["c"])), None);
        assert!(held.missing(&needed(Object::Schema("myXapp".into()), "SELECT", &[])).is_some());
        assert!(held.missing(&needed(Object::Server, "REPLICATION SLAVE", &[])).is_some());
        assert!(held.excessive().is_empty());
    }

    #[test]
    fn all_privileges_are_all_and_too_many() {
        let held = Held::parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"].into_iter());
        assert_eq!(held.missing(&needed(Object::Server, "REPLICATION SLAVE", &[])), None);
        assert_eq!(held.excessive(), ["ALL PRIVILEGES"]);
        let schema = Held::parse(["GRANT ALL PRIVILEGES ON `te%`.* TO `a`@`b`"].into_iter());
        assert_eq!(schema.missing(&needed(Object::Table("test".into(), "t".into()), "UPDATE", &["c"])), None);
        assert!(schema.missing(&needed(Object::Server, "REPLICATION SLAVE", &[])).is_some());
    }
}
