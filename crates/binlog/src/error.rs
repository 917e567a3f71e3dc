//! What can be wrong with the bytes. All of it is definite: reading the same bytes again gives the same error.

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinlogError {
    #[error("the event ends inside {0}")]
    Truncated(&'static str),
    #[error("the event is malformed: {0}")]
    Malformed(&'static str),
    #[error("event type {0} is not known and not marked as ignorable")]
    UnknownEvent(u8),
    #[error("event type {0} belongs to MySQL; only MariaDB's binlog is read")]
    MySql(u8),
    #[error("{table}: column {ordinal} has binlog type {code}, which is not supported{}", mend(*code))]
    UnknownType { table: String, ordinal: usize, code: u8 },
    #[error("{table}: the binlog does not name the columns; set binlog_row_metadata=FULL")]
    NoNames { table: String },
    #[error("{table}: there is no column `{column}` in the binlog's description of the table")]
    NoColumn { table: String, column: String },
    #[error(
        "{table}: a row image leaves column `{column}` out; set binlog_row_image=FULL (MariaDB 11.4 and later leave \
         generated columns out of it even then: they cannot be keys or routes)"
    )]
    PartialImage { table: String, column: String },
    #[error("{table}: a rows event has {found} columns, its table map {mapped}")]
    ColumnCount { table: String, found: usize, mapped: usize },
    #[error(
        "column `{column}`: character set of collation {collation} cannot be decoded; leave the column out"
    )]
    Charset { column: String, collation: u16 },
    #[error("column `{column}`: the binlog does not tell its character set; set binlog_row_metadata=FULL")]
    NoCharset { column: String },
    #[error("column `{column}`: the bytes are not valid {charset:?} text")]
    Text { column: String, charset: crate::Charset },
    #[error("column `{column}`: {reason}")]
    Value { column: String, reason: &'static str },
}

fn mend(code: u8) -> &'static str {
    match code {
        7 | 11 | 12 => {
            ": it is a TIME, TIMESTAMP or DATETIME in the format of MySQL 5.5, which does not tell its own length; \
             set mysql56_temporal_format=ON and rebuild the table with ALTER TABLE ... FORCE"
        }
        _ => "",
    }
}

pub(crate) type Result<T> = std::result::Result<T, BinlogError>;
