//! Referential integrity on the new side, asked of the tables themselves and apart from the plan's values: does each
//! reference lead to a parent that exists, through the map where there is one?

use mysql::Session;
use plan::sql::{Range, Scopes, TargetSql};

use crate::error::VerifierError;
use crate::lasting::Rows;
use crate::pass::Pass;

impl Pass<'_> {
    /// The number of references that were followed, and of rows in which one leads nowhere.
    pub(crate) async fn references(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
    ) -> Result<(u64, u64), VerifierError> {
        let table = sql.row_table();
        let rows = Rows { name: &sql.target.table, key: &sql.target.primary_key, walk: table.as_ref() };
        let count = sql.dangling(Scopes::Range(&Range::default())).len();
        let mut lost = 0;
        for i in 0..count {
            let query = |rows: Scopes<'_>| sql.dangling(rows).swap_remove(i);
            lost += self.lasting(session, &rows, query).await?;
        }
        Ok((count as u64, lost))
    }
}
