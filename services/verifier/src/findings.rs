//! Confirmed differences, as they are written down: keys and digests, never values.

use change::Key;
use mysql::control::finding;
use mysql::control::lane::Mode;
use mysql::{Database, DbError, Session};
use plan::checked::RouteBy;
use plan::quote;
use plan::sql::TargetSql;

use crate::compare::Difference;

/// What explains a difference that everything in the binlog has not taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody else wrote into the target; the binlog has it.
    DirectWrite,
    /// The application writes it, and wrote something else than the plan says.
    DualWrite,
    /// The plan has a route that only verification finds; or nothing in the binlog, as below.
    ByVerifier,
    /// Nothing in the binlog: a write with `sql_log_bin=0`, a cascade, a fault of the server or of ours.
    Unlogged,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::DirectWrite => "direct_write",
            Cause::DualWrite => "dual_write",
            Cause::ByVerifier => "by_verifier",
            Cause::Unlogged => "unlogged",
        }
    }

    /// Of differences of a target that were confirmed now.
    pub async fn of(
        session: &mut Session,
        db: &Database,
        sql: &TargetSql<'_>,
        mode: Option<Mode>,
    ) -> Result<Self, DbError> {
        let direct = finding::direct_writes(session, db, &sql.target.table, 0).await? > 0;
        let by_verifier = sql.target.routes.iter().any(|r| matches!(r.by, RouteBy::ByVerifier));
        Ok(match mode {
            _ if direct => Cause::DirectWrite,
            Some(Mode::Compare | Mode::Off) => Cause::DualWrite,
            _ if by_verifier => Cause::ByVerifier,
            _ => Cause::Unlogged,
        })
    }
}

fn key(scope: &Key) -> String {
    quote::text(&finding::kept(&scope.text()))
}

/// Writes findings down. One that is open already stays as it was first seen.
pub async fn record(
    session: &mut Session,
    db: &Database,
    target: &str,
    cause: Cause,
    differences: &[Difference],
) -> Result<(), DbError> {
    for some in differences.chunks(200) {
        let row = |d: &Difference| {
            let digest = |side: &[String]| {
                side.first().map_or("NULL".into(), |h| format!("UNHEX({})", quote::text(h)))
            };
            let kind = match (d.pair.wanted.is_empty(), d.pair.present.is_empty()) {
                (false, true) => "missing",
                (true, false) => "extra",
                _ => "different",
            };
            format!(
                "SELECT {} AS target, {} AS scope_key, '{kind}' AS kind, '{}' AS cause, 'confirmed' AS state, {} AS wanted, {} AS present, NOW(6) AS seen_at",
                quote::text(target),
                key(&d.scope),
                cause.name(),
                digest(&d.pair.wanted),
                digest(&d.pair.present)
            )
        };
        let rows: Vec<String> = some.iter().map(row).collect();
        session
            .execute(&format!(
                "INSERT INTO {table} (target, scope_key, kind, cause, state, wanted, present, seen_at) SELECT n.* FROM ({}) AS n WHERE NOT EXISTS (SELECT 1 FROM {table} AS o WHERE o.target = n.target AND o.scope_key = n.scope_key AND o.kind IN {} AND o.closed_at IS NULL)",
                rows.join(" UNION ALL "),
                finding::DIFFERENCES,
                table = db.control_table("finding"),
            ))
            .await?;
    }
    Ok(())
}

/// Closes the open differences of a target whose scopes are equal again: all but those that are `left`, and those of which
/// nothing is known now, because they are parked.
pub async fn close(
    session: &mut Session,
    db: &Database,
    target: &str,
    left: impl Iterator<Item = &Key>,
) -> Result<(), DbError> {
    let keys: Vec<String> = left.map(key).collect();
    let except =
        if keys.is_empty() { String::new() } else { format!(" AND scope_key NOT IN ({})", keys.join(",")) };
    let target = quote::text(target);
    session
        .execute(&format!(
            "UPDATE {} SET state = 'repaired', closed_at = NOW(6) WHERE target = {target} AND closed_at IS NULL AND kind IN {}{except} AND scope_key NOT IN (SELECT e.scope_key FROM {} AS e WHERE e.target_table = {target} AND e.kind = 'parked' AND e.closed_at IS NULL)",
            db.control_table("finding"),
            finding::DIFFERENCES,
            db.control_table("exceptions"),
        ))
        .await
        .map(drop)
}
