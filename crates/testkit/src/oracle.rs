//! An independent judge of PHASE2: computes every target from the legacy rows in its own way and lists what differs.
//!
//! It knows nothing of the plan, the pipeline or their SQL; it reads whole tables into temporary ones
//! (`sql/oracle/facts.sql`) and compares. It takes one answer after the other, so it judges only what is at rest: stop
//! the writers and wait for the fence first.

mod columns;
mod facts;
mod fills;
mod maps;
mod on_update;
mod reports;
mod roles;
mod shadows;
mod spec;

use std::fmt;

use anyhow::{Context, Result};
use mysql::Session;
use uuid::Uuid;

use crate::churn::ledger::Ledger;
use crate::connect;
pub use maps::{ENTITIES, MapSnapshot, derived, namespace};
pub use on_update::OnUpdateTimes;

/// One thing that is not as PHASE2 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The row of PHASE2 section 3 (`7`, `5b`), or `map` for section 2.
    pub row: &'static str,
    pub table: String,
    /// The legacy key as text.
    pub key: String,
    /// `None`: the row or the report as a whole.
    pub column: Option<String>,
    pub expected: Option<String>,
    pub actual: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<String>| value.as_ref().map_or("NULL".into(), |v| format!("{v:?}"));
        write!(
            f,
            "row {}: {}[{}].{}: expected {}, found {}",
            self.row,
            self.table,
            self.key,
            self.column.as_deref().unwrap_or("*"),
            show(&self.expected),
            show(&self.actual)
        )
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Judge rows 27 and 28 and their exceptions too; else their tables are not looked at.
    pub include_deferred: bool,
    /// The plan parameter of row 9, a `users.id`.
    pub system_admin: u64,
    /// The deployment namespace of section 2.
    pub namespace: Uuid,
    /// What the churn wrote to the fill columns; without it they only have to be not NULL.
    pub ledger: Option<Ledger>,
    /// Map entries that stood there before the first run and win over what would be derived: (entity, legacy id).
    pub given_ids: Vec<(String, String)>,
    /// At most so many differences for each column.
    pub at_most: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            include_deferred: false,
            system_admin: crate::sample::SYSTEM_ADMIN,
            namespace: namespace("crossfade"),
            ledger: None,
            given_ids: Vec::new(),
            at_most: 100,
        }
    }
}

/// All differences between the schema named in the URL, with the reports in `control_schema`, and PHASE2.
pub async fn judge(url: &str, control_schema: &str, options: &Options) -> Result<Vec<Difference>> {
    let mut bench = Bench::open(url, control_schema, options).await?;
    facts::gather(&mut bench.db, options.system_admin).await.context("compute the facts")?;
    let mut found = maps::judge(&mut bench).await.context("judge the id maps")?;
    found.extend(columns::judge(&mut bench).await.context("judge the parallel columns")?);
    found.extend(roles::judge(&mut bench).await.context("judge the required roles")?);
    found.extend(fills::judge(&mut bench).await.context("judge the fill columns")?);
    found.extend(shadows::judge(&mut bench).await.context("judge the shadow tables")?);
    found.extend(reports::judge(&mut bench).await.context("judge the reports")?);
    bench.db.close().await;
    Ok(found)
}

/// As `judge`, and an error that shows the first differences if there are any.
pub async fn expect_none(url: &str, control_schema: &str, options: &Options) -> Result<()> {
    let found = judge(url, control_schema, options).await?;
    let shown: Vec<String> = found.iter().take(40).map(ToString::to_string).collect();
    anyhow::ensure!(found.is_empty(), "{} differences:\n{}", found.len(), shown.join("\n"));
    Ok(())
}

/// What all parts of the judge need.
struct Bench<'a> {
    db: Session,
    control: String,
    options: &'a Options,
    /// MariaDB and MySQL compare JSON by different functions.
    mariadb: bool,
}

impl<'a> Bench<'a> {
    async fn open(url: &str, control_schema: &str, options: &'a Options) -> Result<Bench<'a>> {
        let mut db = connect::to(url).await?;
        // Facts may be wider than the columns they are compared with: nothing is refused on the way into them. And no
        // row of the application's is locked by reading it into a temporary table.
        connect::script(
            &mut db,
            "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', group_concat_max_len = 1000000;\n\
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;\n",
        )
        .await?;
        let version = db.row("SELECT VERSION()").await.map_err(connect::said)?.context("no version")?;
        let mariadb = version.text(0)?.unwrap_or_default().contains("MariaDB");
        Ok(Bench { db, control: connect::ident(control_schema), options, mariadb })
    }

    /// Runs a query of key, expected and actual value, and makes a difference of each row.
    async fn differences(
        &mut self,
        row: &'static str,
        table: &str,
        column: Option<&str>,
        sql: &str,
    ) -> Result<Vec<Difference>> {
        let sql = format!("{sql} LIMIT {}", self.options.at_most);
        let rows = self
            .db
            .rows(&sql)
            .await
            .map_err(connect::said)
            .with_context(|| format!("row {row}, {table}.{}: {sql}", column.unwrap_or("*")))?;
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
        Ok(rows
            .iter()
            .map(|found| Difference {
                row,
                table: table.to_string(),
                key: text(found.bytes(0)).unwrap_or_else(|| "NULL".into()),
                column: column.map(str::to_string),
                expected: text(found.bytes(1)),
                actual: text(found.bytes(2)),
            })
            .collect())
    }
}
