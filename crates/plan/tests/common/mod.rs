//! The server that the tests run against: `CROSSFADE_TEST_DATABASE`, an account with all privileges, such as
//! `mysql://cf:cf@127.0.0.1:33100`; a MySQL needs `?ssl-mode=required` behind it.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;

use mysql::{Database, Session};
use plan::catalog::Catalog;
use plan::{Parameters, Problems, RawPlan};

pub const LEGACY: &str = include_str!("../../../testkit/sql/legacy.sql");

/// An empty schema of this name, made anew, and a session in it.
pub async fn schema(name: &str) -> Session {
    let server =
        std::env::var("CROSSFADE_TEST_DATABASE").unwrap_or_else(|_| "mysql://cf:cf@127.0.0.1:33100".into());
    let (server, options) = server.split_once('?').unwrap_or((&server, ""));
    let url = |schema: &str| format!("{server}/{schema}?{options}").parse().unwrap();
    let admin = Database::new(url("information_schema"), "none");
    let mut session = admin.session().await.expect("the tests need a server; see CROSSFADE_TEST_DATABASE");
    session.execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    session.execute(&create).await.unwrap();
    Database::new(url(name), "none").session().await.unwrap()
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
