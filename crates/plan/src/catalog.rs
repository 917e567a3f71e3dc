//! What the live database looks like, as far as a plan has to know. Filled by the `mysql` crate.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Flavour {
    MariaDb,
    MySql,
}

/// One schema of the source.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Catalog {
    pub schema: String,
    pub flavour: Flavour,
    pub tables: BTreeMap<String, Table>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Table {
    pub name: String,
    pub engine: String,
    /// In ordinal order, invisible and generated ones included.
    pub columns: Vec<Column>,
    /// Empty: the table has no primary key.
    pub primary_key: Vec<String>,
    /// All indexes, the primary key among them (named `PRIMARY`).
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    pub triggers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    pub name: String,
    /// `information_schema.columns.data_type`, lower case: `bigint`, `varchar`, `longtext`.
    pub data_type: String,
    /// The full type: `bigint(20) unsigned`, `varchar(36)`, `enum('a','b')`.
    pub column_type: String,
    pub charset: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    /// DEFAULT/ON UPDATE CURRENT_TIMESTAMP moves it when a row changes.
    pub on_update: bool,
    pub generated: bool,
    /// MySQL's JSON type, or MariaDB's LONGTEXT with a json_valid check.
    pub json: bool,
    pub auto_increment: bool,
    /// Characters for CHAR and VARCHAR, bytes for BINARY, TEXT and BLOB.
    pub max_length: Option<u64>,
    pub numeric_precision: Option<u32>,
    pub numeric_scale: Option<u32>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Index {
    pub name: String,
    pub unique: bool,
    pub columns: Vec<String>,
}

/// A foreign key that stands on this table.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub references: String,
    /// `CASCADE`, `SET NULL`, `RESTRICT`, `NO ACTION`.
    pub on_delete: String,
    pub on_update: String,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// Is there an index whose first columns are these, in any order?
    pub fn is_indexed_by(&self, columns: &[&str]) -> bool {
        self.indexes.iter().any(|index| {
            index.columns.len() >= columns.len()
                && index.columns[..columns.len()]
                    .iter()
                    .all(|c| columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(c)))
        })
    }
}

impl Column {
    pub fn is_integer(&self) -> bool {
        matches!(self.data_type.as_str(), "tinyint" | "smallint" | "mediumint" | "int" | "bigint")
    }

    /// Digits behind the second that a time of this column has; 0 for others.
    pub fn second_digits(&self) -> u32 {
        let temporal = matches!(self.data_type.as_str(), "datetime" | "timestamp" | "time");
        let digits = self.column_type.split(['(', ')']).nth(1).filter(|_| temporal);
        digits.and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    pub fn is_unsigned(&self) -> bool {
        self.column_type.contains("unsigned")
    }

    pub fn is_text(&self) -> bool {
        self.charset.is_some() && !matches!(self.data_type.as_str(), "enum" | "set")
    }
}
