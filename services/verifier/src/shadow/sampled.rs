//! Some scopes of a target, from all over its keys.

use change::Key;
use mysql::{DbError, Session, scan};
use plan::quote;
use plan::sql::{ScopeTable, TargetSql};
use rand::Rng;

/// Walks the keys with steps of random length, about two for each key that is wanted, and keeps some that it treads on.
/// That is one reading of the index at most, in as many statements as there are steps.
pub struct Sample<'a> {
    pub sql: &'a TargetSql<'a>,
    pub most: usize,
}

impl Sample<'_> {
    pub async fn take(&self, session: &mut Session) -> Result<Vec<Key>, DbError> {
        let table = self.sql.scope_table();
        let mut step = (self.about(session, &table).await? / (2 * self.most as u64)).max(1);
        let (mut kept, mut trodden, mut low) = (Vec::with_capacity(self.most), 0, None);
        loop {
            let size = if step == 1 { 1 } else { rand::rng().random_range(1..2 * step) };
            let next = scan::boundary(session, &self.sql.plan.schema, &table, low.as_ref(), size).await?;
            let Some(key) = next else { return Ok(kept) };
            trodden += 1;
            if kept.len() < self.most {
                kept.push(key.clone());
            } else if let Some(place) = kept.get_mut(rand::rng().random_range(0..trodden)) {
                *place = key.clone();
            }
            // There are more than was thought: longer steps.
            if trodden % (4 * self.most) == 0 {
                step *= 2;
            }
            low = Some(key);
        }
    }

    /// How many scopes there are, about.
    async fn about(&self, session: &mut Session, table: &ScopeTable) -> Result<u64, DbError> {
        let plan = self.sql.plan;
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let is_key = plan
            .watched
            .get(&table.table)
            .is_some_and(|w| w.key.iter().map(|c| c.name.as_str()).eq(names.iter().copied()));
        if is_key {
            return scan::about(session, &plan.schema, &table.table).await;
        }
        let names: Vec<String> = names.iter().map(|n| quote::ident(n)).collect();
        let sql = format!(
            "SELECT COUNT(DISTINCT {}) FROM {}.{}",
            names.join(", "),
            quote::ident(&plan.schema),
            quote::ident(&table.table)
        );
        session.count(&sql).await
    }
}
