//! What dual write came to: rows that were equal, missing or different when the writer compared them, by target and hour.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::quote;

use crate::{Database, DbError, Session};

/// Rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    pub equal: u64,
    /// The application had not written them, or not all of their columns; the writer did.
    pub filled: u64,
    /// They were left as the application wrote them.
    pub different: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.equal += other.equal;
        self.filled += other.filled;
        self.different += other.different;
    }

    pub fn all(&self) -> u64 {
        self.equal + self.filled + self.different
    }
}

/// One hour of a target.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Hour {
    /// Its beginning, UTC.
    pub hour: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Adds to the current hour, in the transaction that compared: so each batch counts once.
pub async fn add(
    session: &mut Session,
    db: &Database,
    target: &str,
    lane: u32,
    counts: &Counts,
) -> Result<(), DbError> {
    if counts.all() == 0 {
        return Ok(());
    }
    let Counts { equal, filled, different } = counts;
    let sql = format!(
        "INSERT INTO {} (target, hour, lane, equal, filled, different) VALUES ({}, DATE_FORMAT(NOW(), '%Y-%m-%d %H:00:00'), {lane}, {equal}, {filled}, {different}) ON DUPLICATE KEY UPDATE equal = equal + {equal}, filled = filled + {filled}, different = different + {different}",
        db.control_table("dual_write"),
        quote::text(target),
    );
    session.execute(&sql).await.map(drop)
}

/// Begins to count anew.
pub async fn forget(session: &mut Session, db: &Database, target: &str) -> Result<(), DbError> {
    let sql =
        format!("DELETE FROM {} WHERE target = {}", db.control_table("dual_write"), quote::text(target));
    session.execute(&sql).await.map(drop)
}

/// The sums of all targets over the last hours, and in how many of these hours anything was compared.
pub async fn sums(
    session: &mut Session,
    db: &Database,
    period: Duration,
) -> Result<BTreeMap<String, (Counts, u64)>, DbError> {
    let sql = format!(
        "SELECT target, SUM(equal), SUM(filled), SUM(different), COUNT(DISTINCT hour) FROM {} WHERE hour >= NOW() - INTERVAL {} SECOND GROUP BY target",
        db.control_table("dual_write"),
        period.as_secs(),
    );
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| {
            let number = |i: usize| Ok::<u64, DbError>(r.u64(i)?.unwrap_or_default());
            let counts = Counts { equal: number(1)?, filled: number(2)?, different: number(3)? };
            Ok((r.text(0)?.unwrap_or_default().to_string(), (counts, number(4)?)))
        })
        .collect()
}

/// The latest hours of one target, newest first.
pub async fn hours(
    session: &mut Session,
    db: &Database,
    target: &str,
    most: u32,
) -> Result<Vec<Hour>, DbError> {
    let sql = format!(
        "SELECT {}, SUM(equal), SUM(filled), SUM(different) FROM {} WHERE target = {} GROUP BY hour ORDER BY hour DESC LIMIT {most}",
        super::utc("hour"),
        db.control_table("dual_write"),
        quote::text(target),
    );
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| {
            let number = |i: usize| Ok::<u64, DbError>(r.u64(i)?.unwrap_or_default());
            let counts = Counts { equal: number(1)?, filled: number(2)?, different: number(3)? };
            Ok(Hour { hour: r.text(0)?.unwrap_or_default().into(), counts })
        })
        .collect()
}
