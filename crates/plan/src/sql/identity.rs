//! Id maps: which legacy ids have no entry yet, and proofs that a map is what it should be.

use super::{Scopes, qualified};
use crate::catalog::Flavour;
use crate::checked::{Checked, Entity};
use crate::quote;

/// Texts about one entity's map.
#[derive(Clone, Copy, Debug)]
pub struct IdentitySql<'a> {
    pub plan: &'a Checked,
    pub entity: &'a Entity,
}

impl<'a> IdentitySql<'a> {
    pub fn new(plan: &'a Checked, entity: &'a Entity) -> Self {
        Self { plan, entity }
    }

    pub fn map(&self) -> String {
        qualified(self.plan, &self.entity.map)
    }

    fn from(&self) -> String {
        format!(
            "{} AS e LEFT JOIN {} AS m ON m.legacy_id = e.{}",
            qualified(self.plan, &self.entity.table),
            self.map(),
            self.key()
        )
    }

    fn key(&self) -> String {
        quote::ident(&self.entity.key.name)
    }

    /// Existing rows among these keys that have no entry.
    pub fn unmapped(&self, scopes: Scopes<'_>) -> String {
        let key = format!("e.{}", self.key());
        let hole = scopes.condition(std::slice::from_ref(&key));
        format!("SELECT {key} FROM {} WHERE m.legacy_id IS NULL AND {hole} ORDER BY {key}", self.from())
    }

    /// Of these legacy ids, those with an entry.
    pub fn mapped(&self, scopes: Scopes<'_>) -> String {
        let hole = scopes.condition(&["m.legacy_id".to_string()]);
        format!("SELECT m.legacy_id, m.uuid_binary FROM {} AS m WHERE {hole}", self.map())
    }

    /// Inserts entries; one that stands already wins, whichever of its two unique keys it meets.
    pub fn insert(&self, rows: &[(change::Cell, [u8; 16])]) -> String {
        let values: Vec<String> =
            rows.iter().map(|(id, uuid)| format!("({}, {})", quote::cell(id), quote::bytes(uuid))).collect();
        format!(
            "INSERT INTO {} (legacy_id, uuid_binary) VALUES {} ON DUPLICATE KEY UPDATE legacy_id = legacy_id",
            self.map(),
            values.join(", ")
        )
    }

    /// The same for a whole range, derived in the server by `derive`, an SQL expression over `e.<key>`.
    pub fn insert_range(&self, scopes: Scopes<'_>, derive: &str) -> String {
        let key = format!("e.{}", self.key());
        let hole = scopes.condition(std::slice::from_ref(&key));
        format!(
            "INSERT INTO {map} (legacy_id, uuid_binary) SELECT {key}, {derive} FROM {} WHERE m.legacy_id IS NULL AND {hole} ON DUPLICATE KEY UPDATE legacy_id = {map}.legacy_id",
            self.from(),
            map = self.map(),
        )
    }

    /// The column that a derivation reads in `insert_range`.
    pub fn key_expression(&self) -> String {
        format!("e.{}", self.key())
    }

    /// Rows of the entity without an entry: coverage.
    pub fn uncovered(&self) -> String {
        format!("SELECT COUNT(*) FROM {} WHERE m.legacy_id IS NULL", self.from())
    }

    /// Entries that were made up to a time (an SQL expression): their number, and two sums over digests that bind both
    /// values of each.
    pub fn seen(&self, until: &str) -> String {
        let digest = match self.plan.flavour {
            Flavour::MariaDb => "MD5(CONCAT(HEX(legacy_id), '#', HEX(uuid_binary)))",
            Flavour::MySql => "LEFT(SHA2(CONCAT(HEX(legacy_id), '#', HEX(uuid_binary)), 256), 32)",
        };
        let half = |from: u8| {
            format!("COALESCE(SUM(CAST(CONV(SUBSTRING(d.h, {from}, 16), 16, 10) AS UNSIGNED)), 0)")
        };
        format!(
            "SELECT COUNT(*), CONCAT({}, ' ', {}) FROM (SELECT {digest} AS h FROM {} WHERE created_at <= {until}) AS d",
            half(1),
            half(17),
            self.map()
        )
    }

    /// Entries, and distinct values of both sides: a bijection has three equal numbers.
    pub fn bijection(&self) -> String {
        format!("SELECT COUNT(*), COUNT(DISTINCT legacy_id), COUNT(DISTINCT uuid_binary) FROM {}", self.map())
    }
}
