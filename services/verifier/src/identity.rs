//! Id maps: every row has an entry, and no two ids share one.

use mysql::{DbError, Session};
use plan::checked::Checked;
use plan::sql::IdentitySql;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct MapEvidence {
    pub entity: String,
    pub entries: u64,
    /// Entries, legacy ids and UUIDs are equally many.
    pub bijection: bool,
    /// Rows of the entity without an entry.
    pub uncovered: u64,
}

pub async fn judge(session: &mut Session, plan: &Checked) -> Result<Vec<MapEvidence>, DbError> {
    let mut all = Vec::new();
    for entity in &plan.entities {
        let sql = IdentitySql::new(plan, entity);
        let mut numbers = [0; 3];
        if let Some(row) = session.row(&sql.bijection()).await? {
            for (i, n) in numbers.iter_mut().enumerate() {
                *n = row.u64(i)?.unwrap_or_default();
            }
        }
        let uncovered = session.row(&sql.uncovered()).await?;
        all.push(MapEvidence {
            entity: entity.table.clone(),
            entries: numbers[0],
            bijection: numbers[0] == numbers[1] && numbers[0] == numbers[2],
            uncovered: uncovered.map(|r| r.u64(0)).transpose()?.flatten().unwrap_or_default(),
        });
    }
    Ok(all)
}
