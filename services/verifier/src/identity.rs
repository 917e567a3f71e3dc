//! Id maps: every row has an entry, no two ids share one, and an entry that was seen once stays what it is.

use mysql::{Database, DbError, Row, Session};
use plan::checked::Entity;
use plan::quote;
use plan::sql::{IdentitySql, ScopeTable};
use serde::Serialize;

use crate::compare;
use crate::error::VerifierError;
use crate::lasting::Rows;
use crate::pass::Pass;

#[derive(Clone, Debug, Serialize)]
pub struct MapEvidence {
    pub entity: String,
    pub entries: u64,
    /// Entries, legacy ids and UUIDs are equally many.
    pub bijection: bool,
    /// Rows of the entity without an entry.
    pub uncovered: u64,
    /// Entries that an earlier look had seen, and that were looked at again.
    pub seen: u64,
    /// They are what they were.
    pub stable: bool,
}

impl MapEvidence {
    pub fn is_good(&self) -> bool {
        self.bijection && self.uncovered == 0 && self.stable
    }
}

impl Pass<'_> {
    /// `applied`: proofs can be had; without them rows that are merely on their way count as uncovered.
    pub(crate) async fn maps(
        &self,
        session: &mut Session,
        applied: bool,
    ) -> Result<Vec<MapEvidence>, VerifierError> {
        let control = VerifierError::Control;
        let mut all = Vec::new();
        for entity in &self.plan.entities {
            let sql = IdentitySql::new(self.plan, entity);
            let mut numbers = [0; 3];
            if let Some(row) = session.row(&sql.bijection()).await.map_err(control)? {
                for (i, n) in numbers.iter_mut().enumerate() {
                    *n = row.u64(i).map_err(control)?.unwrap_or_default();
                }
            }
            let table = ScopeTable { table: entity.table.clone(), columns: vec![entity.key.clone()] };
            let rows = Rows { name: &entity.table, key: &table.columns, walk: Some(&table) };
            let uncovered = match applied {
                true => self.lasting(session, &rows, |keys| sql.unmapped(keys)).await?,
                false => session.count(&sql.uncovered()).await.map_err(control)?,
            };
            let (seen, stable) = stability(session, self.db, entity, &sql).await.map_err(control)?;
            all.push(MapEvidence {
                entity: entity.table.clone(),
                entries: numbers[0],
                bijection: numbers[0] == numbers[1] && numbers[0] == numbers[2],
                uncovered,
                seen,
                stable,
            });
        }
        Ok(all)
    }
}

/// Entries are dated by the statement that made them; none of these is under way for so long.
const SETTLED: &str = "NOW(6) - INTERVAL 10 MINUTE";

/// Are the entries that were seen last still the same? Then what is settled by now is remembered. If they are not, the old
/// picture stays, and so does the answer. Both looks are of one snapshot, so that nothing changes between them.
async fn stability(
    session: &mut Session,
    db: &Database,
    entity: &Entity,
    sql: &IdentitySql<'_>,
) -> Result<(u64, bool), DbError> {
    let (table, name) = (db.control_table("map_seen"), quote::text(&entity.table));
    let before = session
        .row(&format!("SELECT CAST(until AS CHAR), entries, sums FROM {table} WHERE entity = {name}"))
        .await?;
    let until = session.row(&format!("SELECT CAST({SETTLED} AS CHAR)")).await?;
    let until = text(until.as_ref(), 0)?;
    compare::snapshot(session).await?;
    let looks = async {
        let was = match &before {
            Some(before) => Some(look(session, sql, before.text(0)?.unwrap_or_default()).await?),
            None => None,
        };
        Ok((was, look(session, sql, &until).await?))
    }
    .await;
    session.rollback().await?;
    let (was, now) = looks?;
    let mut seen = 0;
    if let (Some(before), Some(was)) = (&before, was) {
        seen = before.u64(1)?.unwrap_or_default();
        if was != (seen, text(Some(before), 2)?) {
            return Ok((seen, false));
        }
    }
    session
        .execute(&format!(
            "REPLACE INTO {table} (entity, until, entries, sums, seen_at) VALUES ({name}, {}, {}, {}, NOW(6))",
            quote::text(&until),
            now.0,
            quote::text(&now.1)
        ))
        .await?;
    Ok((seen, true))
}

/// The number and the sums of the entries up to this time.
async fn look(session: &mut Session, sql: &IdentitySql<'_>, until: &str) -> Result<(u64, String), DbError> {
    let row = session.row(&sql.seen(&quote::text(until))).await?;
    let entries = row.as_ref().map(|r| r.u64(0)).transpose()?.flatten().unwrap_or_default();
    Ok((entries, text(row.as_ref(), 1)?))
}

fn text(row: Option<&Row>, i: usize) -> Result<String, DbError> {
    Ok(row.map(|r| r.text(i)).transpose()?.flatten().unwrap_or_default().to_owned())
}
