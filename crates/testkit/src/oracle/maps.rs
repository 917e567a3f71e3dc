//! Section 2: every row of every entity has an entry, one UUID each, with the bytes that the rules give.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use mysql::Session;
use uuid::Uuid;

use super::{Bench, Difference};
use crate::connect::{self, said};

pub const ENTITIES: [&str; 10] = [
    "users",
    "roles",
    "process_steps",
    "requests",
    "assignments",
    "delays",
    "delay_justifications",
    "slas",
    "delegations",
    "escalation_histories",
];

/// A deployment namespace from its name.
pub fn namespace(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes())
}

/// The UUID of a legacy id where nothing collides.
pub fn wanted(namespace: &Uuid, entity: &str, id: &str) -> Uuid {
    // Only requests have text keys; the digits of a number never are a UUID.
    let canonical = if entity == "requests" { canonical(id) } else { None };
    canonical.unwrap_or_else(|| derived(namespace, entity, id))
}

/// The UUIDv5 of an id's text.
pub fn derived(namespace: &Uuid, entity: &str, id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::new_v5(namespace, entity.as_bytes()), id.as_bytes())
}

/// The bytes of a text that is a UUID: 32 hex digits, or 36 characters with hyphens at 8-4-4-4-12.
fn canonical(text: &str) -> Option<Uuid> {
    let bytes = text.as_bytes();
    let hyphens = [8, 13, 18, 23];
    let digits: Vec<u8> = match bytes.len() {
        32 => bytes.to_vec(),
        36 if hyphens.iter().all(|&at| bytes[at] == b'-') => {
            bytes.iter().enumerate().filter(|(at, _)| !hyphens.contains(at)).map(|(_, b)| *b).collect()
        }
        _ => return None,
    };
    let mut value: u128 = 0;
    for digit in digits {
        value = value << 4 | u128::from((digit as char).to_digit(16)?);
    }
    Some(Uuid::from_u128(value))
}

pub(super) async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let collisions = collisions(bench).await.context("read the collisions")?;
    let given: BTreeSet<(&str, &str)> =
        bench.options.given_ids.iter().map(|(entity, id)| (entity.as_str(), id.as_str())).collect();
    let mut found = Vec::new();
    for entity in ENTITIES {
        found.extend(shape(bench, entity).await?);
        let uncovered = format!(
            "SELECT CAST(t.id AS CHAR), 'an entry', NULL FROM {entity} t LEFT JOIN {entity}_id_map m ON m.legacy_id = t.id \
             WHERE m.legacy_id IS NULL"
        );
        found.extend(bench.differences("map", entity, None, &uncovered).await?);

        let entries = entries(&mut bench.db, entity).await?;
        let holders: HashMap<&[u8], &str> =
            entries.iter().map(|(id, uuid)| (uuid.as_slice(), id.as_str())).collect();
        for (id, uuid) in &entries {
            if given.contains(&(entity, id.as_str())) {
                continue;
            }
            let wanted = wanted(&bench.options.namespace, entity, id);
            if uuid.as_slice() == wanted.as_bytes() {
                continue;
            }
            // Not the bytes it wanted: then another row has them, and the collision is recorded with what was given.
            let recorded = collisions.get(&(entity.to_string(), fold(entity, id)));
            let taken = holders.contains_key(wanted.as_bytes().as_slice());
            let derived = derived(&bench.options.namespace, entity, id);
            let fair =
                uuid.as_slice() == derived.as_bytes() || holders.contains_key(derived.as_bytes().as_slice());
            let told = recorded.is_some_and(|(w, g)| w.as_slice() == wanted.as_bytes() && g == uuid);
            if !(taken && fair && told) {
                let why = format!(
                    "{} (wanted by another row: {taken}; derived from its text: {fair}; recorded: {told})",
                    hex(uuid)
                );
                found.push(difference(entity, id, hex(wanted.as_bytes()), Some(why)));
            }
        }
    }
    Ok(found)
}

/// The map's columns are as section 2 says, so that the database itself keeps it a bijection.
async fn shape(bench: &mut Bench<'_>, entity: &str) -> Result<Vec<Difference>> {
    let map = format!("{entity}_id_map");
    let column = |table: &str, column: &str| {
        format!(
            "SELECT CONCAT_WS(' ', column_type, character_set_name, collation_name, is_nullable) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = '{column}'"
        )
    };
    let key = |column: &str| {
        format!(
            "SELECT COUNT(*) FROM (SELECT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() \
             AND table_name = '{map}' AND non_unique = 0 GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) = '{column}') i"
        )
    };
    let facts = [
        (column(entity, "id"), column(&map, "legacy_id"), "legacy_id"),
        ("SELECT 'binary(16) NO'".to_string(), column(&map, "uuid_binary"), "uuid_binary"),
        ("SELECT 1".to_string(), key("legacy_id"), "legacy_id is a key of its own"),
        ("SELECT 1".to_string(), key("uuid_binary"), "uuid_binary is a key of its own"),
    ];
    let mut found = Vec::new();
    for (expected, actual, what) in facts {
        let (expected, actual) = (text(&mut bench.db, &expected).await?, text(&mut bench.db, &actual).await?);
        if expected != actual {
            found.push(difference(entity, what, expected.unwrap_or_default(), actual));
        }
    }
    Ok(found)
}

type Collisions = HashMap<(String, String), (Vec<u8>, Vec<u8>)>;

async fn collisions(bench: &mut Bench<'_>) -> Result<Collisions> {
    let sql = format!("SELECT entity, legacy_id, wanted, given FROM {}.id_collision", bench.control);
    let mut collisions = HashMap::new();
    for row in bench.db.rows(&sql).await.map_err(said)? {
        let entity = row.text(0)?.unwrap_or_default().to_string();
        let id = fold(&entity, row.text(1)?.unwrap_or_default());
        let bytes = |i| row.bytes(i).unwrap_or_default().to_vec();
        collisions.insert((entity, id), (bytes(2), bytes(3)));
    }
    Ok(collisions)
}

async fn entries(db: &mut Session, entity: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let sql = format!("SELECT CAST(legacy_id AS CHAR), uuid_binary FROM {entity}_id_map");
    let mut entries = Vec::new();
    for row in db.rows(&sql).await.map_err(said)? {
        let id = row.text(0)?.unwrap_or_default().to_string();
        entries.push((id, row.bytes(1).unwrap_or_default().to_vec()));
    }
    Ok(entries)
}

async fn text(db: &mut Session, sql: &str) -> Result<Option<String>> {
    let row = db.row(sql).await.map_err(said)?;
    Ok(row.and_then(|row| row.bytes(0).map(|b| String::from_utf8_lossy(b).into_owned())))
}

/// Two keys are one where this is equal: the collation of request ids ignores case and blanks at the end.
pub fn fold(entity: &str, id: &str) -> String {
    if entity == "requests" { id.trim_end_matches(' ').to_ascii_lowercase() } else { id.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn difference(entity: &str, key: &str, expected: String, actual: Option<String>) -> Difference {
    let (table, column) = (format!("{entity}_id_map"), Some("uuid_binary".to_string()));
    Difference { row: "map", table, key: key.into(), column, expected: Some(expected), actual }
}

/// All entries of all maps at one time; later all of them must still be there, with the same bytes.
#[derive(Clone, Debug)]
pub struct MapSnapshot(BTreeMap<(&'static str, String), Vec<u8>>);

impl MapSnapshot {
    pub async fn take(url: &str) -> Result<MapSnapshot> {
        let mut db = connect::to(url).await?;
        let mut all = BTreeMap::new();
        for entity in ENTITIES {
            for (id, uuid) in entries(&mut db, entity).await? {
                all.insert((entity, id), uuid);
            }
        }
        db.close().await;
        Ok(MapSnapshot(all))
    }

    /// What `later` has changed or lost.
    pub fn broken_by(&self, later: &MapSnapshot) -> Vec<Difference> {
        self.0
            .iter()
            .filter(|(key, uuid)| later.0.get(key) != Some(uuid))
            .map(|((entity, id), uuid)| {
                let now = later.0.get(&(*entity, id.clone())).map(|uuid| hex(uuid));
                difference(entity, id, hex(uuid), now)
            })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_32_digits_or_36_characters() {
        let bytes = Uuid::from_u128(0x6f9619ff_8b86_d011_b42d_00cf4fc964ff);
        assert_eq!(canonical("6F9619FF-8B86-D011-B42D-00CF4FC964FF"), Some(bytes));
        assert_eq!(canonical("6f9619ff8b86d011b42d00cf4fc964ff"), Some(bytes));
        for text in [
            "{6f9619ff8b86d011b42d00cf4fc964ff}",
            "6f9619ff8b86d011b42d00cf4fc964f",
            "6f9619ff8b86-d011-b42d-00cf-4fc964de",
            "6f9619ff-8b86-d011-b42d-00cf4fc964fg",
            "+f9619ff8b86d011b42d00cf4fc964ff",
            "",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
