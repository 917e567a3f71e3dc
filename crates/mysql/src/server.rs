//! Which server this is.

use plan::catalog::Flavour;

use crate::error::{Class, DbError};
use crate::session::Session;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub flavour: Flavour,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// What `VERSION()` says.
    pub text: String,
}

impl Server {
    pub async fn identify(session: &mut Session) -> Result<Server, DbError> {
        let row = session.row("SELECT VERSION()").await.map_err(|e| e.doing("ask the server's version"))?;
        let text = row.and_then(|r| r.text(0).ok().flatten().map(str::to_owned)).unwrap_or_default();
        Server::parse(&text).ok_or_else(|| {
            DbError::new(
                "ask the server's version",
                Class::Other,
                format!("`{text}` is not a version we can read"),
            )
        })
    }

    fn parse(text: &str) -> Option<Server> {
        let flavour = if text.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
        // Old replication protocols made MariaDB call itself 5.5.5-10.…
        let plain = text.strip_prefix("5.5.5-").unwrap_or(text);
        let mut numbers = plain.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u16>);
        let mut next = || numbers.next()?.ok();
        Some(Server { flavour, version: (next()?, next()?, next()?), text: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let v = |t: &str| Server::parse(t).map(|s| (s.flavour, s.version));
        assert_eq!(v("10.11.19-MariaDB-0+deb12u1-log"), Some((Flavour::MariaDb, (10, 11, 19))));
        assert_eq!(v("5.5.5-10.6.1-MariaDB"), Some((Flavour::MariaDb, (10, 6, 1))));
        assert_eq!(v("8.0.15"), Some((Flavour::MySql, (8, 0, 15))));
        assert_eq!(v("odd"), None);
    }
}
