//! Ruling 11: columns with ON UPDATE CURRENT_TIMESTAMP do not move because something was written beside them.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::connect::{self, ident, said};

/// A checksum of every ON UPDATE column of the schema, with its keys. Take one before and one after a run in which the
/// application is quiet; they are equal if nothing moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnUpdateTimes(BTreeMap<String, (u64, u64)>);

impl OnUpdateTimes {
    pub async fn take(url: &str) -> Result<OnUpdateTimes> {
        let mut db = connect::to(url).await?;
        let columns = "SELECT table_name, column_name FROM information_schema.columns \
                       WHERE table_schema = DATABASE() AND extra LIKE '%on update%' ORDER BY 1, 2";
        let mut times = BTreeMap::new();
        for row in db.rows(columns).await.map_err(said)? {
            let (table, column) = (row.text(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default());
            // The key and the time are bound together in each row's hash, so that exchanged times are seen.
            let sql = format!(
                "SELECT COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT(id, '/', {}), 256), 11), 16, 10) AS UNSIGNED)), 0) FROM {}",
                ident(column),
                ident(table)
            );
            let sums = db.row(&sql).await.map_err(said)?;
            let number =
                |i: usize| sums.as_ref().map(|r| r.u64(i)).transpose().map(|n| n.flatten().unwrap_or(0));
            times.insert(format!("{table}.{column}"), (number(0)?, number(1)?));
        }
        db.close().await;
        Ok(OnUpdateTimes(times))
    }

    /// The columns that are not what they were.
    pub fn moved_since(&self, before: &OnUpdateTimes) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, sums)| before.0.get(*name) != Some(sums))
            .map(|(name, _)| name.clone())
            .collect()
    }
}
