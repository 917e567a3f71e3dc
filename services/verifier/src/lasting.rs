//! What is merely on its way comes and goes: a row counts only if it is still wrong behind two proofs that everything before is
//! applied (C8). So holes are counted while the application writes, at the pass's pace, with bounded memory.

use std::time::Instant;

use change::Key;
use mysql::{DbError, Session, scan};
use plan::sql::{Range, ScopeTable, Scopes};

use crate::confirm::{self, PATIENCE};
use crate::error::VerifierError;
use crate::pass::Pass;

/// Rows in one look.
const SIZE: u64 = 20_000;
/// Keys that are held until they are proved.
const BLOCK: usize = 10_000;
/// Keys in one statement.
const SOME: usize = 500;
const PROOFS: u32 = 2;

impl Pass<'_> {
    /// How many keys of a table a query names now and behind the proofs. `walked`: its rows can be walked in key order.
    pub(crate) async fn lasting(
        &self,
        session: &mut Session,
        table: &ScopeTable,
        walked: bool,
        query: impl Fn(Scopes<'_>) -> String,
    ) -> Result<u64, VerifierError> {
        let failed = |source| VerifierError::Compare { target: table.table.clone(), source };
        let (mut low, mut open, mut lasting) = (None, Vec::new(), 0);
        loop {
            let began = Instant::now();
            let high = match walked {
                true => scan::boundary(session, &self.plan.schema, table, low.as_ref(), SIZE)
                    .await
                    .map_err(failed)?,
                false => None,
            };
            let range = Range { low, high: high.clone() };
            open.extend(keys(session, table, &query(Scopes::Range(&range))).await.map_err(failed)?);
            if high.is_none() || open.len() > BLOCK {
                lasting += self.still(session, table, std::mem::take(&mut open), &query).await?;
            }
            if high.is_none() {
                return Ok(lasting);
            }
            low = high;
            if self.rest > 0.0 {
                tokio::time::sleep(began.elapsed().mul_f64(self.rest)).await;
            }
        }
    }

    async fn still(
        &self,
        session: &mut Session,
        table: &ScopeTable,
        mut open: Vec<Key>,
        query: &impl Fn(Scopes<'_>) -> String,
    ) -> Result<u64, VerifierError> {
        let failed = |source| VerifierError::Compare { target: table.table.clone(), source };
        for _ in 0..PROOFS {
            if open.is_empty() {
                break;
            }
            confirm::settle(session, self.db, self.source, PATIENCE).await?;
            let mut now = Vec::new();
            for some in open.chunks(SOME) {
                now.extend(keys(session, table, &query(Scopes::Keys(some))).await.map_err(failed)?);
            }
            open = now;
        }
        Ok(open.len() as u64)
    }
}

async fn keys(session: &mut Session, table: &ScopeTable, query: &str) -> Result<Vec<Key>, DbError> {
    let rows = session.rows(query).await?;
    let key = |row: &mysql::Row| {
        let cells = table.columns.iter().enumerate().map(|(i, c)| row.cell(i, c));
        Ok(Key(cells.collect::<Result<_, _>>()?))
    };
    rows.iter().map(key).collect()
}
