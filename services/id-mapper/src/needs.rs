//! Which ids do these scopes need that no map has? One query per target and batch (C3); usually the answer is none.

use std::collections::BTreeMap;

use change::Cell;
use mysql::{DbError, Session};
use plan::checked::Entity;
use plan::sql::{IdentitySql, Scopes, TargetSql};

/// Legacy ids by entity, perhaps more than once. Only ids whose row exists: a parent that is gone gets no entry because of
/// a reference.
pub type Needs = BTreeMap<String, Vec<Cell>>;

/// What the plan's references of these scopes lack.
pub async fn of_target(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Needs, DbError> {
    let mut needs = Needs::new();
    let Some(unmapped) = sql.unmapped(scopes) else { return Ok(needs) };
    for row in session.rows(&unmapped.sql).await? {
        let mask = row.u64(0)?.unwrap_or_default();
        for (i, (bit, entity)) in unmapped.references.iter().enumerate() {
            if mask & bit == 0 {
                continue;
            }
            let Some(text) = row.text(i + 1)? else { continue };
            let Some(key) = sql.plan.entity(entity).map(|e| &e.key) else { continue };
            let id = parse(text, key.is_integer());
            needs.entry(entity.clone()).or_default().push(id);
        }
    }
    Ok(needs)
}

fn parse(text: &str, integer: bool) -> Cell {
    match (integer, text.parse::<u64>(), text.parse::<i64>()) {
        (true, Ok(n), _) => Cell::UInt(n),
        (true, _, Ok(n)) => Cell::Int(n),
        _ => Cell::Text(text.into()),
    }
}

/// Of these rows of an entity, those without an entry.
pub async fn of_entity(
    session: &mut Session,
    sql: &IdentitySql<'_>,
    scopes: Scopes<'_>,
) -> Result<Vec<Cell>, DbError> {
    let entity: &Entity = sql.entity;
    session.rows(&sql.unmapped(scopes)).await?.iter().map(|r| r.cell(0, &entity.key)).collect()
}
