//! Computes the temporary tables with which everything is compared.

use anyhow::Result;
use mysql::Session;

use crate::connect;

const FACTS: &str = include_str!("../../sql/oracle/facts.sql");

pub async fn gather(db: &mut Session, system_admin: u64) -> Result<()> {
    connect::script(db, &FACTS.replace(":admin", &system_admin.to_string())).await
}
