//! Minting: legacy ids get their entries in a map.
//!
//! # Why this is right
//!
//! Two minters may derive different bytes for one id (another salt, another namespace by mistake): only the table decides.
//! The insert meets one of the map's two unique keys and then changes nothing (`legacy_id = legacy_id`), so what stands
//! wins, and an entry is never changed (P8). A *new* statement then reads which ids are still missing: their bytes belong
//! to another id. These get a salted derivation, and the collision is recorded *before*: an id that has bytes other than its
//! own is never without its record, wherever a crash comes. Nothing here is IGNOREd: a value that does not fit the map is an
//! error.

use change::{Cell, Key};
use ids::Namespace;
use mysql::{Class, Database, DbError, Session};
use plan::checked::{Checked, Entity};
use plan::quote;
use plan::sql::{IdentitySql, Scopes};

use crate::error::IdMapperError;

/// Rows in one INSERT.
const ROWS: usize = 1000;
/// Salts that are tried before somebody has to look.
const SALTS: usize = 16;

/// What minting came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minted {
    pub ids: u64,
    pub collisions: u64,
}

/// Gives every one of these ids an entry.
pub async fn mint(
    session: &mut Session,
    db: &Database,
    plan: &Checked,
    entity: &Entity,
    namespace: &Namespace,
    ids: &[Cell],
) -> Result<Minted, IdMapperError> {
    let failed = |source| IdMapperError::Mint { entity: entity.table.clone(), source };
    let sql = IdentitySql::new(plan, entity);
    let mut missing: Vec<Cell> = ids.to_vec();
    // Sorted: two minters take their locks in the same order.
    change::distinct(&mut missing);
    let mut minted = Minted { ids: missing.len() as u64, collisions: 0 };
    for salt in 0..SALTS {
        if salt > 0 {
            record(session, db, &entity.table, namespace, &missing, salt).await.map_err(failed)?;
        }
        for some in missing.chunks(ROWS) {
            let rows: Vec<(Cell, [u8; 16])> = some
                .iter()
                .filter_map(|id| Some((id.clone(), *candidate(namespace, id, salt)?.as_bytes())))
                .collect();
            insert(session, &sql.insert(&rows)).await.map_err(failed)?;
        }
        let mut left = Vec::new();
        for some in missing.chunks(ROWS) {
            left.extend(without_entry(session, &sql, entity, some).await.map_err(failed)?);
        }
        if salt > 0 {
            minted.collisions += missing.len().saturating_sub(left.len()) as u64;
        }
        if left.is_empty() {
            return Ok(minted);
        }
        missing = left;
    }
    Err(IdMapperError::Exhausted {
        entity: entity.table.clone(),
        map: entity.map.clone(),
        count: missing.len(),
        attempts: SALTS,
    })
}

/// The `salt`-th UUID to be tried for an id. `None`: no possible key.
fn candidate(namespace: &Namespace, id: &Cell, salt: usize) -> Option<uuid::Uuid> {
    ids::candidates(*namespace, id).nth(salt)
}

/// An autocommitted insert; a deadlock between minters is tried again.
pub async fn insert(session: &mut Session, sql: &str) -> Result<u64, DbError> {
    let mut attempts = 0;
    loop {
        match session.execute(sql).await {
            Err(e) if matches!(e.class, Class::Deadlock | Class::LockWait) && attempts < 20 => {
                attempts += 1;
                let pause = rand::random_range(1..=5 * attempts);
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            }
            other => return other,
        }
    }
}

async fn entries(
    session: &mut Session,
    sql: &IdentitySql<'_>,
    ids: &[Cell],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, DbError> {
    let keys: Vec<Key> = ids.iter().map(|id| Key(vec![id.clone()])).collect();
    let rows = session.rows(&sql.mapped(Scopes::Keys(&keys))).await?;
    Ok(rows.iter().filter_map(|r| Some((r.bytes(0)?.to_vec(), r.bytes(1)?.to_vec()))).collect())
}

/// Of these ids, those without an entry, by the database's own equality.
async fn without_entry(
    session: &mut Session,
    sql: &IdentitySql<'_>,
    entity: &Entity,
    ids: &[Cell],
) -> Result<Vec<Cell>, DbError> {
    if entries(session, sql, ids).await?.len() == ids.len() {
        return Ok(Vec::new()); // the usual case: as many entries as distinct ids
    }
    let columns = std::slice::from_ref(&entity.key);
    let images: Vec<Vec<Cell>> = ids.iter().map(|id| vec![id.clone()]).collect();
    let relation = plan::sql::changed_relation(columns, &images);
    let key = quote::ident(&entity.key.name);
    let rows = session
        .rows(&format!(
            "SELECT c.{key} FROM ({relation}) AS c LEFT JOIN {} AS m ON m.legacy_id = c.{key} WHERE m.legacy_id IS NULL",
            sql.map()
        ))
        .await?;
    rows.iter().map(|r| r.cell(0, &entity.key)).collect()
}

/// Writes down which ids cannot have their own bytes, and what they are about to get.
async fn record(
    session: &mut Session,
    db: &Database,
    entity: &str,
    namespace: &Namespace,
    ids: &[Cell],
    salt: usize,
) -> Result<(), DbError> {
    for id in ids {
        let (Some(wanted), Some(given)) = (candidate(namespace, id, 0), candidate(namespace, id, salt))
        else {
            continue;
        };
        session
            .execute(&format!(
                "INSERT INTO {} (entity, legacy_id, wanted, given, seen_at) VALUES ({}, {}, {}, {}, NOW(6)) ON DUPLICATE KEY UPDATE given = VALUES(given)",
                db.control_table("id_collision"),
                quote::text(entity),
                quote::text(&id.to_string()),
                quote::bytes(wanted.as_bytes()),
                quote::bytes(given.as_bytes()),
            ))
            .await?;
    }
    Ok(())
}
