//! A small application with a plan of two targets: quick to start, and every kind of exception is one row away.

#![allow(dead_code)] // each test binary uses its part

use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testkit::servers::Mariadb;
use tokio::process::Child;

use crate::support::Deployment;

/// `users` has parallel columns, `people` is a shadow table in which an email stands once.
const SCHEMA: &str = "
CREATE TABLE users (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, email VARCHAR(60) NOT NULL, minutes INT NULL,
  boss_id BIGINT UNSIGNED NULL, other INT NULL,
  seconds INT NULL, boss_uuid BINARY(16) NULL, KEY ix_boss (boss_id));
CREATE TABLE people (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, email VARCHAR(60) NOT NULL, UNIQUE KEY uq_email (email));
INSERT INTO users (id, email, minutes, boss_id) VALUES (1, 'ann', 1, NULL), (2, 'bob', 2, 1), (3, 'cid', 3, 1);
";

const PLAN: [(&str, &str); 3] = [
    (
        "plan.yaml",
        "version: 1\nparameters:\n  admin: { references: users, default: 1 }\nentities:\n  users: {}\n",
    ),
    (
        "users.yaml",
        "table: users\ncolumns:\n  seconds: users.minutes * 60\n  boss_uuid: { value: users.boss_id, id_of: users, fallback: \":admin\" }\nrefresh:\n  users: { lookup: \"SELECT u.id FROM users u WHERE u.boss_id = changed.id\" }\n",
    ),
    (
        "people.yaml",
        "shadow: people\nfrom: users\nscope: { id: users.id }\ncolumns: { email: users.email }\n",
    ),
];

pub struct Small<'a> {
    pub server: &'a Mariadb,
    pub deployment: Deployment,
    folder: TempDir,
}

impl<'a> Small<'a> {
    /// Fresh schemas with the application's three users, and the plan in a folder of its own.
    pub async fn new(server: &'a Mariadb, name: &str) -> Result<Self> {
        let mut small = Self::of(server, name, SCHEMA, PathBuf::new()).await?;
        small.deployment.plan = small.folder.path().join("plan");
        for (file, text) in PLAN {
            small.plan(file, text)?;
        }
        Ok(small)
    }

    /// Another small application, with its own plan.
    pub async fn of(server: &'a Mariadb, name: &str, schema: &str, plan: PathBuf) -> Result<Self> {
        let schemas = server.schemas(name).await?;
        let folder = tempfile::tempdir().context("make a folder")?;
        // A control schema is made by Crossfade itself.
        server.sql(&format!("DROP DATABASE `{}`", schemas.control)).await?;
        let small = Self { server, deployment: Deployment::new(schemas, plan), folder };
        small.sql(schema).await?;
        Ok(small)
    }

    /// Statements in the legacy schema, as root.
    pub async fn sql(&self, statements: &str) -> Result<String> {
        self.server.sql(&format!("USE `{}`; {statements}", self.deployment.schemas.legacy)).await
    }

    /// Statements in the control schema.
    pub async fn control(&self, statements: &str) -> Result<String> {
        self.server.sql(&format!("USE `{}`; {statements}", self.deployment.schemas.control)).await
    }

    /// Writes a file of the plan.
    pub fn plan(&self, file: &str, text: &str) -> Result<()> {
        std::fs::create_dir_all(&self.deployment.plan)?;
        Ok(std::fs::write(self.deployment.plan.join(file), text)?)
    }

    /// Writes a file beside the plan; gives its path.
    pub fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// `up`, and the backfill done.
    pub async fn up(&self) -> Result<Child> {
        let mut up = self.deployment.start(&["up"])?;
        self.applied(&mut up).await?;
        Ok(up)
    }

    /// Waits until everything is applied; `up` must live.
    pub async fn applied(&self, up: &mut Child) -> Result<()> {
        testkit::wait::until("crossfade up", std::time::Duration::from_secs(60), || async {
            let made = self.control("SELECT COUNT(*) FROM lane").await.map_err(|e| e.to_string())?;
            if made == "0" { Err("no lanes yet".to_string()) } else { Ok(()) }
        })
        .await?;
        anyhow::ensure!(up.try_wait()?.is_none(), "crossfade up has ended");
        self.deployment.yes(&["wait", "--timeout", "60s"]).await.map(drop)
    }
}
