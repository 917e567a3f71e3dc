//! Samples of watched tables: a few rows of each, in a table of the control schema with the same columns.
//!
//! Whoever may not read legacy data can read these, and their row events go through the binlog like all others. So the
//! reader can compare what it decodes with what a session reads.

use change::Cell;
use plan::catalog::Column;
use plan::checked::{Checked, Watched};
use plan::quote::{cell, ident, text};
use uuid::Uuid;

use crate::{Class, Database, DbError, Session};

/// Rows from either end of a table, in key order.
const ENDS: u32 = 10;
/// Random places, and rows from each.
const PLACES: usize = 10;
const AT_A_PLACE: u32 = 3;
/// Where a key cannot be guessed a random place is at most this far from the table's beginning.
const FAR: u32 = 1000;
/// A row with longer values is left out, in bytes.
const LARGEST: u32 = 64 << 10;

/// The control table that holds samples of a legacy table.
pub fn table(legacy: &str) -> String {
    const LONGEST: usize = 64;
    let name = format!("fidelity_{legacy}");
    if name.chars().count() <= LONGEST {
        return name;
    }
    let digest = digest(legacy).simple().to_string();
    let start: String = name.chars().take(LONGEST - digest.len()).collect();
    start + &digest
}

/// What is decoded of a watched table: keys and route columns, and with `publish: rows` all that a whole image has.
pub fn columns(watched: &Watched) -> Vec<&Column> {
    let sent = |c: &Column| watched.published.iter().any(|p| p.name == c.name);
    let image = watched.image.iter().flat_map(|i| &i.columns).filter(|c| !sent(c));
    watched.published.iter().chain(image).collect()
}

/// The names of a sample's own two columns, which come first: the number of the sample, and of the row.
pub fn own_columns(columns: &[&Column]) -> [String; 2] {
    ["sample", "row"].map(|name| {
        let mut name = name.to_owned();
        while columns.iter().any(|c| c.name.eq_ignore_ascii_case(&name)) {
            name.push('_');
        }
        name
    })
}

fn digest(text: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

fn shape(columns: &[&Column]) -> String {
    let each = columns
        .iter()
        .map(|c| format!("{} {} {:?} {:?} {}\n", c.name, c.column_type, c.charset, c.collation, c.nullable));
    digest(&each.collect::<String>()).to_string()
}

fn list(columns: &[&Column]) -> String {
    columns.iter().map(|c| ident(&c.name)).collect::<Vec<_>>().join(", ")
}

/// Makes the tables that are missing or have other columns than the plan's now; drops those of tables that it does not
/// read any more. What was compared in another shape says nothing about this one.
pub async fn ensure(session: &mut Session, db: &Database, plan: &Checked) -> Result<(), DbError> {
    let state = db.control_table("sample");
    for row in session.rows(&format!("SELECT table_name FROM {state} WHERE shape <> ''")).await? {
        let legacy = row.text(0)?.unwrap_or_default();
        if !plan.watched.contains_key(legacy) {
            forget(session, db, legacy).await?;
            session.execute(&format!("DROP TABLE IF EXISTS {}", db.control_table(&table(legacy)))).await?;
        }
    }
    for (legacy, watched) in &plan.watched {
        let columns = columns(watched);
        let (shape, name) = (text(&shape(&columns)), table(legacy));
        let stands = format!(
            "SELECT 1 FROM {state} WHERE table_name = {} AND shape = {shape} AND EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = {})",
            text(legacy),
            text(db.control()),
            text(&name)
        );
        if session.row(&stands).await?.is_some() {
            continue;
        }
        forget(session, db, legacy).await?;
        let [sample, row] = own_columns(&columns).map(|c| ident(&c));
        // The server copies types, character sets, labels and precisions, and leaves defaults of keys and rules behind.
        let create = format!(
            "CREATE OR REPLACE TABLE {} ({sample} BIGINT UNSIGNED NOT NULL DEFAULT 0, {row} BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE = InnoDB AS SELECT {} FROM {}.{} WHERE FALSE",
            db.control_table(&name),
            list(&columns),
            ident(&plan.schema),
            ident(legacy),
        );
        session.execute(&create).await.map_err(|e| e.doing(format!("create the table `{name}`")))?;
        let enter = format!(
            "INSERT INTO {state} (table_name, shape) VALUES ({}, {shape}) ON DUPLICATE KEY UPDATE shape = {shape}",
            text(legacy)
        );
        session.execute(&enter).await?;
    }
    Ok(())
}

/// From now on what was compared says nothing, and the table has no shape until it is made.
async fn forget(session: &mut Session, db: &Database, legacy: &str) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET shape = '', since = sample, row_count = NULL WHERE table_name = {}",
        db.control_table("sample"),
        text(legacy)
    );
    session.execute(&sql).await.map(drop)
}

/// From now on what was compared says nothing: a reader that begins at the present is not held by it.
pub async fn forget_all(session: &mut Session, db: &Database) -> Result<(), DbError> {
    let sql = format!("UPDATE {} SET since = sample, row_count = NULL", db.control_table("sample"));
    session.execute(&sql).await.map(drop)
}

/// Replaces the sample of one table, in one transaction. One that disagrees stays as it is, for the reader to compare it
/// again. `false`: nothing was taken.
pub async fn take(
    session: &mut Session,
    db: &Database,
    plan: &Checked,
    legacy: &str,
) -> Result<bool, DbError> {
    let Some(watched) = plan.watched.get(legacy) else { return Ok(false) };
    let picks = picks(session, plan, legacy, watched).await?;
    session.begin().await?;
    let taken = replace(session, db, legacy, watched, &picks).await;
    match taken {
        Ok(true) => session.commit().await?,
        _ if session.is_open() => session.rollback().await?,
        _ => {}
    }
    taken
}

async fn replace(
    session: &mut Session,
    db: &Database,
    legacy: &str,
    watched: &Watched,
    picks: &[String],
) -> Result<bool, DbError> {
    let columns = columns(watched);
    let (state, samples, name) = (db.control_table("sample"), db.control_table(&table(legacy)), text(legacy));
    let [sample, _] = own_columns(&columns).map(|c| ident(&c));
    let lock = format!(
        "SELECT sample + 1, since FROM {state} WHERE table_name = {name} AND shape = {} FOR UPDATE",
        text(&shape(&columns))
    );
    let Some(row) = session.row(&lock).await? else { return Ok(false) };
    let (number, since) = (row.u64(0)?.unwrap_or_default(), row.u64(1)?.unwrap_or_default());
    let disagrees = format!(
        "SELECT 1 FROM {} WHERE table_name = {name} AND differ > 0 AND sample > {since} AND EXISTS (SELECT 1 FROM {samples}) LIMIT 1",
        db.control_table("fidelity")
    );
    if session.row(&disagrees).await?.is_some() {
        return Ok(false);
    }
    session.execute(&format!("DELETE FROM {samples}")).await?;
    let names = list(&columns);
    for pick in picks {
        let select = match small(&columns) {
            Some(small) => {
                format!("SELECT {number}, {names} FROM (SELECT {names} {pick}) AS picked WHERE {small}")
            }
            None => format!("SELECT {number}, {names} {pick}"),
        };
        session.execute(&format!("INSERT INTO {samples} ({sample}, {names}) {select}")).await?;
    }
    let count = format!(
        "UPDATE {state} SET sample = {number}, row_count = (SELECT COUNT(*) FROM {samples}), taken_at = NOW(6) WHERE table_name = {name}"
    );
    session.execute(&count).await?;
    Ok(true)
}

/// Where to take rows from, each time a few: the first, the last, and some at random. None reads more rows of the table
/// than an index leads to, or than its first thousand.
async fn picks(
    session: &mut Session,
    plan: &Checked,
    legacy: &str,
    watched: &Watched,
) -> Result<Vec<String>, DbError> {
    let Some(first) = watched.key.first() else { return Ok(Vec::new()) };
    let from = format!("FROM {}.{}", ident(&plan.schema), ident(legacy));
    let order = |way: &str| {
        watched.key.iter().map(|k| format!("{}{way}", ident(&k.name))).collect::<Vec<_>>().join(", ")
    };
    let rows = |condition: &str, way: &str, limit: &str| {
        format!("{from} WHERE {condition} ORDER BY {} LIMIT {limit}", order(way))
    };
    let key = ident(&first.name);
    let ends = session.row(&format!("SELECT MIN({key}), MAX({key}) {from}")).await?;
    let ends = ends.map(|r| Ok::<_, DbError>((r.cell(0, first)?, r.cell(1, first)?))).transpose()?;
    let mut picks = ["", " DESC"].map(|way| rows("TRUE", way, &ENDS.to_string())).to_vec();
    for n in 0..PLACES {
        picks.push(match ends.as_ref().and_then(|(low, high)| between(first, low, high)) {
            Some(place) => {
                let condition = format!("{key} >= {}", cell(&place));
                rows(&condition, "", &AT_A_PLACE.to_string())
            }
            None => {
                // Nearer and nearer, so that tables of any size are met.
                let place = rand::random_range(0..=FAR >> n);
                rows("TRUE", "", &format!("{place}, {AT_A_PLACE}"))
            }
        });
    }
    Ok(picks)
}

/// That a row is not too large, if it could be.
fn small(columns: &[&Column]) -> Option<String> {
    let large = |c: &&&Column| {
        matches!(
            c.data_type.as_str(),
            "text" | "mediumtext" | "longtext" | "blob" | "mediumblob" | "longblob"
        )
    };
    let lengths: Vec<String> = columns
        .iter()
        .filter(large)
        .map(|c| format!("COALESCE(OCTET_LENGTH({}), 0)", ident(&c.name)))
        .collect();
    (!lengths.is_empty()).then(|| format!("{} <= {LARGEST}", lengths.join(" + ")))
}

/// A random value between two keys, as far as one can be made up.
fn between(column: &Column, low: &Cell, high: &Cell) -> Option<Cell> {
    let one_of = |a: u8, b: u8| rand::random_range(a.min(b)..=a.max(b));
    match (column.data_type.as_str(), low, high) {
        (_, Cell::Int(low), Cell::Int(high)) => Some(Cell::Int(rand::random_range(*low..=*high.max(low)))),
        (_, Cell::UInt(low), Cell::UInt(high)) => Some(Cell::UInt(rand::random_range(*low..=*high.max(low)))),
        ("binary" | "varbinary", Cell::Bytes(low), Cell::Bytes(high)) => {
            let same = low.iter().zip(high).take_while(|(a, b)| a == b).count();
            let end = |key: &[u8]| key.get(same).copied().unwrap_or(0);
            let mut key = low[..same].to_vec();
            key.extend([one_of(end(low), end(high)), rand::random()]);
            Some(Cell::Bytes(key))
        }
        ("char" | "varchar", Cell::Text(low), Cell::Text(high)) => {
            let same: String =
                low.chars().zip(high.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
            let end =
                |key: &str| key[same.len()..].bytes().next().filter(u8::is_ascii_graphic).unwrap_or(b'0');
            let next = [one_of(end(low), end(high)), one_of(b'0', b'z')].map(char::from);
            Some(Cell::Text(same.chars().chain(next).collect()))
        }
        _ => None,
    }
}

/// Takes the rows away that were compared and agree: values stand here no longer than they must.
pub async fn clear(
    session: &mut Session,
    db: &Database,
    plan: &Checked,
    legacy: &str,
) -> Result<(), DbError> {
    let Some(watched) = plan.watched.get(legacy) else { return Ok(()) };
    let columns = columns(watched);
    let names: Vec<String> = columns.iter().map(|c| text(&c.name)).collect();
    let compared = format!(
        "SELECT f.sample FROM {} AS f JOIN {} AS s ON s.table_name = f.table_name AND s.sample = f.sample WHERE f.table_name = {} AND f.column_name IN ({}) AND f.differ = 0",
        db.control_table("fidelity"),
        db.control_table("sample"),
        text(legacy),
        names.join(", ")
    );
    let rows = session.rows(&compared).await?;
    match rows.first() {
        Some(row) if rows.len() == columns.len() => {
            let [sample, _] = own_columns(&columns).map(|c| ident(&c));
            let sql = format!(
                "DELETE FROM {} WHERE {sample} <= {}",
                db.control_table(&table(legacy)),
                row.u64(0)?.unwrap_or_default()
            );
            match session.execute(&sql).await {
                Err(e) if e.class == Class::Missing => Ok(()),
                other => other.map(drop),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str) -> Column {
        serde_json::from_value(serde_json::json!({
            "name": name, "data_type": data_type, "column_type": data_type, "charset": null, "collation": null,
            "nullable": false, "on_update": false, "generated": false, "json": false, "auto_increment": false,
            "max_length": null, "numeric_precision": null, "numeric_scale": null,
        }))
        .unwrap()
    }

    #[test]
    fn names_are_of_one_table_and_no_longer_than_a_name_may_be() {
        assert_eq!(table("users"), "fidelity_users");
        let long = |end: &str| table(&format!("{}{end}", "ü".repeat(60)));
        assert_eq!(long("a").chars().count(), 64);
        assert_ne!(long("a"), long("b"));
        let (a, b) = (column("Sample", "int"), column("sample_", "int"));
        assert_eq!(own_columns(&[&a, &b]), ["sample__", "row"]);
    }

    #[test]
    fn a_place_is_a_key_that_may_be() {
        let text = |t: &str| Cell::Text(t.into());
        for _ in 0..200 {
            let n = between(&column("k", "bigint"), &Cell::UInt(5), &Cell::UInt(u64::MAX));
            assert!(matches!(n, Some(Cell::UInt(n)) if n >= 5), "{n:?}");
            let n = between(&column("k", "int"), &Cell::Int(-5), &Cell::Int(-5));
            assert_eq!(n, Some(Cell::Int(-5)));
            let place = between(&column("k", "varchar"), &text("żab"), &text("żyć"));
            assert!(matches!(&place, Some(Cell::Text(t)) if t.starts_with('ż')), "{place:?}");
            let place = between(&column("k", "binary"), &Cell::Bytes(vec![1, 2]), &Cell::Bytes(vec![1]));
            assert!(matches!(&place, Some(Cell::Bytes(b)) if b[0] == 1), "{place:?}");
        }
        assert_eq!(between(&column("k", "char"), &Cell::Null, &Cell::Null), None);
        assert_eq!(between(&column("k", "date"), &text("2024-01-01"), &text("2024-02-01")), None);
    }
}
