//! Plans of a few lines, and schemas on a real server to check them against.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;

use mysql::{Database, Session};
use plan::catalog::Catalog;
use plan::{Parameters, Problems, RawPlan};
use testkit::servers::empty_schema;

pub const LEGACY: &str = include_str!("../../../testkit/sql/legacy.sql");

/// An empty schema of this name, made anew, and a session in it.
pub async fn schema(name: &str) -> Session {
    let url = empty_schema(name).await.expect("a MariaDB for the tests");
    Database::new(url.parse().unwrap(), "none").session().await.unwrap()
}

/// The catalog of a schema that was made with these statements.
pub async fn catalog(name: &str, statements: &str) -> (Session, Catalog) {
    let mut session = schema(name).await;
    session.execute(statements).await.unwrap();
    let catalog = mysql::catalog::load(&mut session, name).await.unwrap();
    (session, catalog)
}

pub fn files(files: &[(&str, &str)]) -> Result<RawPlan, Problems> {
    plan::parse_files(files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect())
}

/// Checks a plan of one target against a catalog.
pub fn check_one(catalog: &Catalog, target: &str) -> Result<plan::checked::Checked, Problems> {
    let raw = files(&[("plan.yaml", SETTINGS), ("target.yaml", target)])?;
    plan::check(&raw, catalog, &Parameters::new())
}

pub fn sources(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

/// The settings that the small plans of the tests share.
pub const SETTINGS: &str = "
version: 1
parameters:
  system_admin: { references: users, default: 1 }
entities:
  users: {}
  roles: {}
  requests: {}
  assignments: {}
fragments:
  assignment_at:
    arguments: [request, time]
    sql: >
      (SELECT a.id FROM assignments a WHERE a.request_id = request AND a.created_at <= time
       ORDER BY a.created_at DESC, a.id DESC LIMIT 1)
";
