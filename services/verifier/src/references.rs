//! Referential integrity on the new side, asked of the tables themselves and apart from the plan's values: does each
//! reference lead to a parent that exists, through the map where there is one?

use mysql::{DbError, Session};
use plan::sql::TargetSql;

use crate::confirm;
use crate::error::VerifierError;
use crate::pass::{PATIENCE, Pass};

/// A parent may be deleted a moment before its references are: they count if they outlive so many proofs.
const PROOFS: u32 = 3;

impl Pass<'_> {
    /// The number of references that were looked at, and of rows in which one leads nowhere.
    pub(crate) async fn references(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
    ) -> Result<(u64, u64), VerifierError> {
        let failed = |source: DbError| VerifierError::Compare { target: sql.target.table.clone(), source };
        let queries = sql.dangling();
        let mut lost = 0;
        for (_, query) in &queries {
            let mut now = session.count(query).await.map_err(failed)?;
            for _ in 0..PROOFS {
                if now == 0 {
                    break;
                }
                confirm::settle(session, self.db, self.source, PATIENCE).await?;
                // Of those that come and go the fewest were there all the time.
                now = now.min(session.count(query).await.map_err(failed)?);
            }
            lost += now;
        }
        Ok((queries.len() as u64, lost))
    }
}
