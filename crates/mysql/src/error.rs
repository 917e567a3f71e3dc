//! What can go wrong with a database, sorted by what can be done about it.

use std::borrow::Cow;
use std::fmt;

/// What an error asks of whoever meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The transaction was rolled back to break a cycle; run it again.
    Deadlock,
    /// A lock was not to be had in time; the statement was rolled back.
    LockWait,
    /// A unique key holds this value already.
    Duplicate,
    /// A value does not fit its column: it belongs to the row, not to the world.
    Data,
    /// The account may not do this.
    Privilege,
    /// There is no such schema, table or column.
    Missing,
    /// The connection is gone, or was never made.
    Connection,
    /// The server takes no writes.
    ReadOnly,
    Other,
}

/// An error of the database or of the way to it.
///
/// `Display` and `Debug` never show a cell's value: what a server puts between quotes is masked, unless the class is
/// known to quote only names.
#[derive(Clone)]
pub struct DbError {
    pub doing: Cow<'static, str>,
    /// The server's error number.
    pub code: Option<u16>,
    pub class: Class,
    message: String,
}

impl DbError {
    pub fn new(doing: impl Into<Cow<'static, str>>, class: Class, message: impl Into<String>) -> Self {
        Self { doing: doing.into(), code: None, class, message: message.into() }
    }

    pub(crate) fn server(doing: impl Into<Cow<'static, str>>, code: u16, message: &str) -> Self {
        Self { doing: doing.into(), code: Some(code), class: class_of(code), message: message.into() }
    }

    pub(crate) fn sqlx(doing: &'static str, error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(e) => match e.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                Some(e) => Self::server(doing, e.number(), e.message()),
                None => Self::new(doing, Class::Other, "the server sent an error that cannot be read"),
            },
            sqlx::Error::Io(e) => Self::new(doing, Class::Connection, e.to_string()),
            sqlx::Error::Tls(e) => Self::new(doing, Class::Connection, format!("TLS: {e}")),
            // A protocol error leaves the connection at an unknown place.
            sqlx::Error::Protocol(e) => Self::new(doing, Class::Connection, format!("protocol: {e}")),
            // MySQL's caching_sha2_password sends the password itself, which is for encrypted connections only.
            sqlx::Error::Configuration(e) if e.to_string().contains("RSA") => Self::new(
                doing,
                Class::Connection,
                "this account's way to log in (caching_sha2_password) needs TLS: add ssl-mode=required, or better \
                 ssl-mode=verify-identity&ssl-ca=…, to the URL",
            ),
            sqlx::Error::Configuration(e) => {
                Self::new(doing, Class::Connection, format!("configuration: {e}"))
            }
            other => Self::new(doing, Class::Other, other.to_string()),
        }
    }

    pub(crate) fn mysql_async(doing: &'static str, error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(e) => Self::server(doing, e.code, &e.message),
            mysql_async::Error::Io(e) => Self::new(doing, Class::Connection, e.to_string()),
            mysql_async::Error::Driver(e) => Self::new(doing, Class::Connection, e.to_string()),
            other => Self::new(doing, Class::Other, other.to_string()),
        }
    }

    /// Says what was being done, for the reader of the message.
    pub fn doing(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.doing = what.into();
        self
    }

    /// Worth another try without a change of data, plan or rights.
    pub fn is_transient(&self) -> bool {
        matches!(self.class, Class::Deadlock | Class::LockWait | Class::Connection | Class::ReadOnly)
    }

    /// The session that met this error can't be used any more.
    pub fn is_fatal_to_session(&self) -> bool {
        self.class == Class::Connection
    }

    /// What the server said, word for word. It may quote a cell's value: never log it.
    pub fn server_message(&self) -> &str {
        &self.message
    }

    /// The column that a `Data` error names, or the key that a `Duplicate` error names.
    pub fn names(&self) -> Option<&str> {
        let tail = named_tail(&self.message)?;
        let name = tail.split(" at row ").next().unwrap_or(tail);
        let name = name.rsplit_once(' ').map_or(name, |(_, n)| n);
        let name = name.rsplit('.').next().unwrap_or(name);
        Some(name.trim_matches(|c| c == '\'' || c == '`'))
    }
}

/// Error numbers of MariaDB 10.11, MariaDB 11 and MySQL 8 and 9.
fn class_of(code: u16) -> Class {
    match code {
        1213 | 1614 => Class::Deadlock,
        // 1020: MariaDB's innodb_snapshot_isolation; 3572: NOWAIT; 1969 and 3024: the statement's time is over.
        1205 | 3572 | 1020 | 1969 | 3024 => Class::LockWait,
        1022 | 1062 | 1169 | 1586 | 1859 => Class::Duplicate,
        1048
        | 1216
        | 1217
        | 1264
        | 1265
        | 1292
        | 1365
        | 1366
        | 1367
        | 1406
        | 1411
        | 1416
        | 1441
        | 1451
        | 1452
        | 1690
        | 3140..=3158
        | 3819
        | 3854
        | 4025
        | 4037..=4044 => Class::Data,
        1044 | 1045 | 1095 | 1142 | 1143 | 1227 | 1370 | 1396 | 1410 | 1698 | 3118 | 3159 => Class::Privilege,
        1049 | 1051 | 1054 | 1072 | 1091 | 1109 | 1146 | 1176 | 1305 | 1932 => Class::Missing,
        1040
        | 1042
        | 1043
        | 1047
        | 1053
        | 1077
        | 1079
        | 1080
        | 1081
        | 1152..=1161
        | 1184
        | 1189
        | 1190
        | 1203
        | 1226
        | 1317
        | 1927
        | 2002..=2055
        | 3032
        | 3169
        | 4031 => Class::Connection,
        1290 | 1792 | 1836 => Class::ReadOnly,
        _ => Class::Other,
    }
}

/// `for column …` or `for key …` at the end of a message: the only quoted thing in it that is not a value.
fn named_tail(message: &str) -> Option<&str> {
    let at = [" for column ", " for key "].iter().filter_map(|w| message.rfind(w)).max()?;
    let tail = &message[at + 1..];
    let plain = |c: char| c.is_alphanumeric() || "_$.`'- ".contains(c);
    (tail.len() <= 220 && tail.chars().all(plain)).then_some(tail)
}

/// The message with everything that may be a value left out.
fn masked(class: Class, code: Option<u16>, message: &str) -> Cow<'_, str> {
    match (class, code) {
        (Class::Data | Class::Duplicate | Class::Other, Some(code)) => {
            // A SIGNAL's text is the trigger author's own, and may hold anything.
            if code == 1644 {
                return "the message of a SIGNAL is withheld, it may quote data".into();
            }
            let Some(quote) = message.find(['\'', '"']) else { return message.into() };
            match named_tail(message) {
                Some(tail) if message.len() - tail.len() <= quote => message.into(),
                tail => format!("{}'…' {}", &message[..quote], tail.unwrap_or_default())
                    .trim_end()
                    .to_owned()
                    .into(),
            }
        }
        _ => message.into(),
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.doing)?;
        if let Some(code) = self.code {
            write!(f, "error {code}: ")?;
        }
        f.write_str(&masked(self.class, self.code, &self.message))
    }
}

impl fmt::Debug for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DbError({:?}, {self})", self.class)
    }
}

impl std::error::Error for DbError {}

/// `.doing("…")` on a result.
pub trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, DbError> {
    fn doing(self, what: &'static str) -> Result<T, DbError> {
        self.map_err(|e| e.doing(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_and_names_are_kept() {
        let table = [
            (1062, "Duplicate entry 's3cret' for key 'uq_users_email'", Some("uq_users_email")),
            (1062, "Duplicate entry 's3' for key 'x' cret' for key 'users.PRIMARY'", Some("PRIMARY")),
            (
                1366,
                "Incorrect integer value: 's3cret' for column `app`.`users`.`version_num` at row 3",
                Some("version_num"),
            ),
            (1406, "Data too long for column 'description' at row 1", Some("description")),
            (1292, "Truncated incorrect DOUBLE value: 's3cret'", None),
            (1062, "Duplicate entry 's3cret for key 's3cret!?", None),
            (1064, "You have an error in your SQL syntax near 's3cret' at line 1", None),
            (1644, "user s3cret is not allowed", None),
        ];
        for (code, message, name) in table {
            let error = DbError::server("write rows", code, message);
            assert_eq!(error.names(), name, "{message}");
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("cret"), "{shown}");
                assert!(
                    shown.contains(name.unwrap_or_default()) && shown.contains(&code.to_string()),
                    "{shown}"
                );
            }
        }
        let whole = DbError::server("x", 1406, "Data too long for column 'description' at row 1").to_string();
        assert_eq!(whole, "x: error 1406: Data too long for column 'description' at row 1");
    }

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in [1213, 1205, 3572, 1020, 2013, 1927, 1040, 1290, 1836] {
            assert!(DbError::server("x", code, "").is_transient(), "{code}");
        }
        for code in [1062, 1406, 1142, 1146, 1064, 9999] {
            assert!(!DbError::server("x", code, "").is_transient(), "{code}");
        }
    }
}
