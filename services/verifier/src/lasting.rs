//! What is merely on its way comes and goes: a row counts only if it is still wrong behind two proofs that everything before is
//! applied (C8). So holes are counted while the application writes, at the pass's pace, with bounded memory.

use std::time::Instant;

use change::Key;
use mysql::{DbError, Session, scan};
use plan::catalog::Column;
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

/// The rows of a table.
pub(crate) struct Rows<'a> {
    pub name: &'a str,
    /// What a query names them by.
    pub key: &'a [Column],
    /// By which they are walked, in ranges; `None`: they are read in one go.
    pub walk: Option<&'a ScopeTable>,
}

impl Pass<'_> {
    /// How many rows a query names now and behind the proofs.
    pub(crate) async fn lasting(
        &self,
        session: &mut Session,
        rows: &Rows<'_>,
        query: impl Fn(Scopes<'_>) -> String,
    ) -> Result<u64, VerifierError> {
        let failed = |source| VerifierError::Compare { target: rows.name.into(), source };
        let (mut low, mut open, mut lasting) = (None, Vec::new(), 0);
        loop {
            let began = Instant::now();
            let high = match rows.walk {
                Some(table) => scan::boundary(session, &self.plan.schema, table, low.as_ref(), SIZE)
                    .await
                    .map_err(failed)?,
                None => None,
            };
            let range = Range { low, high: high.clone() };
            open.extend(keys(session, rows.key, &query(Scopes::Range(&range))).await.map_err(failed)?);
            if high.is_none() || open.len() > BLOCK {
                lasting += self.still(session, rows, std::mem::take(&mut open), &query).await?;
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
        rows: &Rows<'_>,
        mut open: Vec<Key>,
        query: &impl Fn(Scopes<'_>) -> String,
    ) -> Result<u64, VerifierError> {
        let failed = |source| VerifierError::Compare { target: rows.name.into(), source };
        for _ in 0..PROOFS {
            if open.is_empty() {
                break;
            }
            confirm::settle(session, self.db, self.source, PATIENCE).await?;
            let mut now = Vec::new();
            for some in open.chunks(SOME) {
                now.extend(keys(session, rows.key, &query(Scopes::Keys(some))).await.map_err(failed)?);
            }
            open = now;
        }
        Ok(open.len() as u64)
    }
}

async fn keys(session: &mut Session, columns: &[Column], query: &str) -> Result<Vec<Key>, DbError> {
    let rows = session.rows(query).await?;
    let key = |row: &mysql::Row| {
        let cells = columns.iter().enumerate().map(|(i, c)| row.cell(i, c));
        Ok(Key(cells.collect::<Result<_, _>>()?))
    };
    rows.iter().map(key).collect()
}
