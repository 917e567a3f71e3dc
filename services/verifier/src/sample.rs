//! Random scopes of a target: the strategy's spot checks, and what is applied again to see that it changes nothing.

use change::Key;
use mysql::control::sweep;
use mysql::{Database, DbError, Session, scan};
use plan::sql::TargetSql;
use rand::seq::IndexedRandom;

use crate::sweep::SIZE;

/// Places in a target from which scopes are picked: the beginnings of the parts that were compared.
pub struct Places(Vec<Option<Key>>);

impl Places {
    pub async fn of(session: &mut Session, db: &Database, target: &str) -> Result<Self, DbError> {
        let mut lows = sweep::lows(session, db, target).await?;
        lows.push(None);
        Ok(Self(lows))
    }

    pub fn any(&self) -> Option<&Key> {
        self.0.choose(&mut rand::rng()).and_then(Option::as_ref)
    }

    /// Up to `count` scopes at random, each once: each costs a look at no more than a range of the index.
    pub async fn pick(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
        count: usize,
    ) -> Result<Vec<Key>, DbError> {
        let (table, schema) = (sql.scope_table(), &sql.plan.schema);
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            let low = self.any();
            let far = rand::random_range(1..=SIZE);
            // Behind the end: the rest is smaller.
            for size in [far, rand::random_range(1..=far.div_ceil(16)), 1] {
                if let Some(key) = scan::boundary(session, schema, &table, low, size).await? {
                    keys.push(key);
                    break;
                }
            }
        }
        change::distinct(&mut keys);
        Ok(keys)
    }
}
