//! A small application whose rows carry versions, and a ledger of what was acknowledged: what a fault must neither lose, nor
//! apply twice, nor take back.
//!
//! Each session owns a part of the ids, so that it knows its rows without looking. A version is used once, also for an id that
//! was deleted and comes back: on the new side no id may ever show a lower one than it has shown.

mod judge;
mod load;
mod watch;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::connect;

pub use judge::{Maps, differences};
pub use load::{Load, LoadOptions, Loaded};
pub use watch::Watch;

/// `items` get a parallel column, and UUIDs in a shadow table; they refer to `owners`, who go and come back.
const SCHEMA: &str = "
CREATE TABLE owners (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE items (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, version BIGINT NOT NULL, owner_id BIGINT UNSIGNED NULL,
  note VARCHAR(80) NULL, doubled BIGINT NULL, KEY ix_owner (owner_id));
CREATE TABLE items_new (
  id BINARY(16) NOT NULL PRIMARY KEY, version BIGINT NOT NULL, owner BINARY(16) NULL,
  owner_name VARCHAR(40) NULL, note VARCHAR(80) NULL);
CREATE TABLE committed (session BIGINT UNSIGNED NOT NULL PRIMARY KEY, transaction BIGINT UNSIGNED NOT NULL);
";

/// The files of the plan.
pub const PLAN: [(&str, &str); 3] = [
    ("plan.yaml", "version: 1\nentities:\n  items: {}\n  owners: {}\n"),
    ("items.yaml", "table: items\ncolumns:\n  doubled: items.version * 2\n"),
    (
        "items_new.yaml",
        "shadow: items_new\nfrom: items\nscope: { id: { value: items.id, id_of: items } }\ncolumns:\n  owner: { value: items.owner_id, id_of: owners }\n  owner_name: (SELECT o.name FROM owners o WHERE o.id = items.owner_id)\n  \"*\": copy\nrefresh:\n  owners: { lookup: \"SELECT i.id FROM items i WHERE i.owner_id = changed.id\" }\n",
    ),
];

/// Owners that there may be; the first half is there at the start.
pub const OWNERS: u64 = 40;

/// A row as the application last knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub version: i64,
    pub owner: Option<u64>,
    pub note: Option<String>,
}

/// What was acknowledged: all rows that there must be, and no other.
pub type Ledger = BTreeMap<u64, Item>;

/// Makes the tables, and rows with version 0, in the schema named in the URL.
pub async fn create(url: &str, rows: u64) -> Result<Ledger> {
    let mut db = connect::to(url).await?;
    connect::script(&mut db, SCHEMA).await?;
    let fill = format!(
        "INSERT INTO owners SELECT seq, CONCAT('owner ', seq) FROM seq_1_to_{};\n\
         INSERT INTO items (id, version, owner_id) SELECT seq, 0, 1 + seq % {OWNERS} FROM seq_1_to_{rows};\n",
        OWNERS / 2
    );
    connect::script(&mut db, &fill).await?;
    db.close().await;
    let item = |id: u64| (id, Item { version: 0, owner: Some(1 + id % OWNERS), note: None });
    Ok((1..=rows).map(item).collect())
}
