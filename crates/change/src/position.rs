//! A place in the source's history, opaque outside this file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A GTID position. MariaDB's is one last sequence number per replication domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    domains: BTreeMap<u32, Last>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Last {
    server: u32,
    sequence: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MariaDB GTID position (expected domain-server-sequence, comma separated)")]
pub struct PositionError(String);

impl Position {
    /// Moves this position past a transaction.
    pub fn advance(&mut self, domain: u32, server: u32, sequence: u64) {
        self.domains.insert(domain, Last { server, sequence });
    }

    /// Everything that `other` covers is covered here too.
    pub fn reaches(&self, other: &Position) -> bool {
        other.domains.iter().all(|(domain, theirs)| {
            self.domains.get(domain).is_some_and(|mine| mine.sequence >= theirs.sequence)
        })
    }

    /// Takes the further one in every domain.
    pub fn merge(&mut self, other: &Position) {
        for (domain, theirs) in &other.domains {
            let mine = self.domains.entry(*domain).or_insert(*theirs);
            if theirs.sequence > mine.sequence {
                *mine = *theirs;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (domain, last)) in self.domains.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{domain}-{}-{}", last.server, last.sequence)?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut position = Position::default();
        for gtid in text.split(',').map(str::trim).filter(|g| !g.is_empty()) {
            let bad = || PositionError(text.into());
            let mut parts = gtid.split('-');
            let mut next = || parts.next().ok_or_else(bad);
            let (domain, server, sequence) = (next()?, next()?, next()?);
            if parts.next().is_some() {
                return Err(bad());
            }
            let number = |s: &str| s.parse::<u64>().map_err(|_| bad());
            position.advance(
                u32::try_from(number(domain)?).map_err(|_| bad())?,
                u32::try_from(number(server)?).map_err(|_| bad())?,
                number(sequence)?,
            );
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(s: &str) -> Position {
        s.parse().unwrap()
    }

    #[test]
    fn text_comes_back_as_it_went() {
        for s in ["", "0-1-5", "0-1-5,3-2-18446744073709551615"] {
            assert_eq!(p(s).to_string(), s);
        }
        for s in ["x", "0-1", "0-1-2-3", "4294967296-1-1"] {
            assert!(s.parse::<Position>().is_err(), "{s}");
        }
    }

    #[test]
    fn a_position_reaches_another_only_in_every_domain() {
        assert!(p("0-1-5").reaches(&p("0-2-5")));
        assert!(!p("0-1-5").reaches(&p("0-1-6")));
        assert!(!p("0-1-9").reaches(&p("0-1-5,1-1-1")));
        assert!(p("0-1-9,1-1-1").reaches(&p("0-1-5")));
        assert!(p("0-1-1").reaches(&p("")));
    }
}
