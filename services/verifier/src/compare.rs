//! Comparing one range: sums first, and row digests only where the sums differ.

use std::collections::BTreeMap;

use change::Key;
use mysql::control::exceptions::identity;
use mysql::{DbError, Session};
use plan::sql::{Digest, Scopes, TargetSql};

/// Count and the two sums of a side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    pub halves: [String; 2],
}

/// The digests of a scope's rows, sorted, on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub wanted: Vec<String>,
    pub present: Vec<String>,
}

/// A scope on which the sides differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub scope: Key,
    pub pair: Pair,
}

/// What a range came to.
#[derive(Debug, Default)]
pub struct Compared {
    pub wanted: u64,
    pub present: u64,
    pub differences: Vec<Difference>,
}

async fn sum(session: &mut Session, digest: &Digest) -> Result<Sum, DbError> {
    let row = session.row(&digest.sum).await?;
    let Some(row) = row else { return Ok(Sum::default()) };
    let half = |i: usize| Ok::<_, DbError>(row.text(i)?.unwrap_or("0").to_string());
    Ok(Sum { rows: row.u64(0)?.unwrap_or_default(), halves: [half(1)?, half(2)?] })
}

/// One snapshot for both sides: READ COMMITTED would give each statement its own.
pub(crate) async fn snapshot(session: &mut Session) -> Result<(), DbError> {
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await.map(drop)
}

/// Compares a range in one snapshot.
pub async fn range(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Compared, DbError> {
    let (wanted, present) = (sql.digest_wanted(scopes), sql.digest_present(scopes));
    snapshot(session).await?;
    let result = async {
        let (a, b) = (sum(session, &wanted).await?, sum(session, &present).await?);
        let mut differences = if a == b { Vec::new() } else { rows(session, sql, &wanted, &present).await? };
        differences.retain(|d| d.pair.wanted != d.pair.present);
        Ok(Compared { wanted: a.rows, present: b.rows, differences })
    }
    .await;
    session.rollback().await?;
    result
}

/// Compares these scopes row by row.
pub async fn scopes(
    session: &mut Session,
    sql: &TargetSql<'_>,
    keys: &[Key],
) -> Result<Vec<Difference>, DbError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = pairs(session, sql, Scopes::Keys(keys)).await?;
    found.retain(|d| d.pair.wanted != d.pair.present);
    Ok(found)
}

/// The digests of these scopes' rows, also where both sides are equal. A scope without rows on either side is left out.
pub async fn pairs(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Vec<Difference>, DbError> {
    let (wanted, present) = (sql.digest_wanted(scopes), sql.digest_present(scopes));
    snapshot(session).await?;
    let result = rows(session, sql, &wanted, &present).await;
    session.rollback().await?;
    result
}

async fn rows(
    session: &mut Session,
    sql: &TargetSql<'_>,
    wanted: &Digest,
    present: &Digest,
) -> Result<Vec<Difference>, DbError> {
    let folds = sql.target.folds();
    let mut pairs: BTreeMap<Vec<u8>, (Key, Pair)> = BTreeMap::new();
    for (side, text) in [(0, &wanted.rows), (1, &present.rows)] {
        for row in session.rows(text).await? {
            let cells = sql.target.scope.iter().enumerate().map(|(i, s)| row.cell(i, &s.source_column));
            let scope = Key(cells.collect::<Result<_, _>>()?);
            let digest = row.text(sql.target.scope.len())?.unwrap_or_default().to_string();
            let (_, pair) = pairs.entry(identity(&folds, &scope)).or_insert_with(|| (scope, Pair::default()));
            if side == 0 { pair.wanted.push(digest) } else { pair.present.push(digest) }
        }
    }
    Ok(pairs
        .into_values()
        .map(|(scope, mut pair)| {
            pair.wanted.sort_unstable();
            pair.present.sort_unstable();
            Difference { scope, pair }
        })
        .collect())
}
