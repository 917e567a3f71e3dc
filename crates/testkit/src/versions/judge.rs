//! The judge: SQL that is not the plan's, over what is at rest.

use std::collections::BTreeMap;

use anyhow::Result;
use mysql::Session;

use super::{Item, Ledger};
use crate::connect::{self, said};

/// What differs: the ledger from legacy, and legacy from the new side. Nothing: every acknowledged change is there, once.
pub async fn differences(url: &str, ledger: &Ledger) -> Result<Vec<String>> {
    let mut db = connect::to(url).await?;
    let mut found = Vec::new();
    let mut legacy = Ledger::new();
    for row in db.rows("SELECT id, version, owner_id, note FROM items").await.map_err(said)? {
        let item = Item {
            version: row.i64(1)?.unwrap_or_default(),
            owner: row.u64(2)?,
            note: row.text(3)?.map(str::to_owned),
        };
        legacy.insert(row.u64(0)?.unwrap_or_default(), item);
    }
    for id in ledger.keys().chain(legacy.keys()) {
        if ledger.get(id) != legacy.get(id) {
            found.push(format!(
                "item {id}: acknowledged {:?}, legacy has {:?}",
                ledger.get(id),
                legacy.get(id)
            ));
        }
    }
    let own = "SELECT i.id, i.version, CONCAT_WS(' ', n.version, i.doubled, HEX(n.owner), n.owner_name, n.note) FROM items i \
LEFT JOIN items_id_map m ON m.legacy_id = i.id LEFT JOIN items_new n ON n.id = m.uuid_binary \
LEFT JOIN owners o ON o.id = i.owner_id LEFT JOIN owners_id_map om ON om.legacy_id = o.id \
WHERE NOT (n.version <=> i.version AND n.note <=> i.note AND n.owner_name <=> o.name AND n.owner <=> om.uuid_binary \
AND i.doubled <=> i.version * 2) OR (o.id IS NOT NULL AND om.legacy_id IS NULL)";
    for row in db.rows(own).await.map_err(said)? {
        found.push(format!(
            "item {:?}, version {:?}: the new side has {:?}",
            row.u64(0)?,
            row.i64(1)?,
            row.text(2)?
        ));
    }
    let extra = "SELECT HEX(n.id), n.version FROM items_new n LEFT JOIN items_id_map m ON m.uuid_binary = n.id \
LEFT JOIN items i ON i.id = m.legacy_id WHERE i.id IS NULL";
    for row in db.rows(extra).await.map_err(said)? {
        found.push(format!("row {:?}, version {:?}, is of no item", row.text(0)?, row.i64(1)?));
    }
    db.close().await;
    Ok(found)
}

/// Both id maps at a moment.
#[derive(Debug, Default)]
pub struct Maps(BTreeMap<(&'static str, u64), String>);

impl Maps {
    pub async fn read(url: &str) -> Result<Self> {
        let mut db = connect::to(url).await?;
        let mut maps = Self::default();
        for table in ["items_id_map", "owners_id_map"] {
            maps.add(&mut db, table).await?;
        }
        db.close().await;
        Ok(maps)
    }

    async fn add(&mut self, db: &mut Session, table: &'static str) -> Result<()> {
        // Before the first start there is none.
        let exists = format!(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}'"
        );
        if connect::number(db, &exists).await? == 0 {
            return Ok(());
        }
        for row in db.rows(&format!("SELECT legacy_id, HEX(uuid_binary) FROM {table}")).await.map_err(said)? {
            let key = (table, row.u64(0)?.unwrap_or_default());
            self.0.insert(key, row.text(1)?.unwrap_or_default().to_owned());
        }
        Ok(())
    }

    /// Entries that have another UUID later, or none; and UUIDs that two ids share.
    pub fn broken_by(&self, later: &Maps) -> Vec<String> {
        let changed = self.0.iter().filter(|(key, uuid)| later.0.get(*key) != Some(*uuid));
        let mut broken: Vec<String> = changed.map(|(key, _)| format!("{key:?} has changed")).collect();
        let mut owners = BTreeMap::new();
        for (key, uuid) in &later.0 {
            if let Some(other) = owners.insert((key.0, uuid), key.1) {
                broken.push(format!("{other} and {} of {} share a UUID", key.1, key.0));
            }
        }
        broken
    }
}
