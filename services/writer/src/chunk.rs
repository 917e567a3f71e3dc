//! One chunk of a walk (C6): all lanes of the target, a key range, and the pass's place, in one transaction.

use std::time::Duration;

use mysql::control::pass;
use mysql::{DbError, Session};
use plan::checked::TargetKind;
use plan::sql::{Scopes, TargetSql};
use service::Context;

use crate::apply::Outcome;
use crate::batch::{Applied, Claim, process};
use crate::sessions::Worker;
use crate::walk::Walk;

/// How many scopes the next chunk takes: follows the time that the last one took.
#[derive(Clone, Copy, Debug)]
pub struct ChunkSize {
    size: u64,
    budget: Duration,
}

const START: u64 = 1000;
/// Below this the statements themselves cost more than the rows.
const LEAST: u64 = 200;
const MOST: u64 = 20_000;

impl ChunkSize {
    pub fn new(context: &Context, kind: TargetKind) -> Self {
        Self { size: START, budget: context.budget(kind) }
    }

    pub fn scopes(self) -> u64 {
        self.size
    }

    /// Moves towards the budget, at most by half or double at a time, and stays a little below it.
    pub fn learn(&mut self, took: Duration) {
        let ratio = 0.8 * self.budget.as_secs_f64() / took.as_secs_f64().max(0.000_1);
        let next = self.size as f64 * ratio.clamp(0.5, 2.0);
        self.size = (next as u64).clamp(LEAST, MOST);
    }
}

/// What a chunk came to.
pub enum Chunk {
    Done(Outcome),
    /// There is no further range.
    Over,
    /// Another process walks over the target.
    Taken,
}

/// Runs the next chunk of a walk.
pub async fn run(
    context: &Context,
    worker: &mut Worker,
    sql: &TargetSql<'_>,
    walk: &Walk,
) -> Result<Chunk, DbError> {
    let Some((range, number)) = walk.next(&context.plan.schema, &sql.scope_table()).await? else {
        return Ok(Chunk::Over);
    };
    let claim = Claim::Chunk { walk, number };
    match process(context, worker, sql, Scopes::Range(&range), &claim).await? {
        Applied::Done(outcome) => Ok(Chunk::Done(outcome)),
        Applied::Fenced => {
            walk.end();
            Ok(Chunk::Taken)
        }
    }
}

/// Passes of this kind that are not done, in the order in which they are to run.
pub async fn open_passes(
    session: &mut Session,
    context: &Context,
    kind: pass::Kind,
) -> Result<Vec<pass::Pass>, DbError> {
    pass::all(session, &context.database, &format!("state <> 'done' AND kind = '{}'", kind.name())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_grows_towards_its_budget_and_shrinks_below_it() {
        let mut size = ChunkSize { size: 1000, budget: Duration::from_millis(100) };
        size.learn(Duration::from_millis(10));
        assert_eq!(size.scopes(), 2000, "at most double");
        size.learn(Duration::from_millis(80));
        assert_eq!(size.scopes(), 2000, "on target");
        size.learn(Duration::from_secs(9));
        assert_eq!(size.scopes(), 1000, "at most half");
        for _ in 0..30 {
            size.learn(Duration::from_secs(9));
        }
        assert_eq!(size.scopes(), LEAST);
    }
}
