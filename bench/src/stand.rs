//! The private server with the legacy tables of each comparison.

use anyhow::{Context, Result, bail};
use mysql::Session;
use testkit::connect;
use testkit::servers::Mariadb;

use crate::settings::Settings;

/// Schema of the copy, of the parallel columns, and of what is written by hand.
pub const COPY: &str = "bench_copy";
pub const COLUMNS: &str = "bench_columns";
pub const HAND: &str = "bench_hand";

/// Columns of `requests`, in their order.
pub const NAMES: [&str; 16] = [
    "id",
    "request_no",
    "title",
    "description",
    "status",
    "priority",
    "process_id",
    "created_by_user_id",
    "assigned_to_user_id",
    "amount",
    "currency",
    "notes",
    "created_at",
    "updated_at",
    "due_at",
    "closed_at",
];

const TABLES: &str = include_str!("../sql/tables.sql");
const CHURN: &str = include_str!("../sql/churn.sql");
const BACKLOG: &str = include_str!("../sql/backlog.sql");

pub struct Stand {
    pub server: Mariadb,
    pub settings: Settings,
}

impl Stand {
    /// A durable server, and `requests` with its rows in both legacy schemas.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let pool = format!("--innodb-buffer-pool-size={}", settings.buffer_pool);
        // The server's script sets durable commits and the binlog; this is only room.
        let server = Mariadb::start(&[&pool, "--innodb-log-file-size=1G", "--max-binlog-size=1G"]).await?;
        let stand = Self { server, settings: settings.clone() };
        for schema in [COPY, COLUMNS, HAND] {
            connect::creating(&stand.server.url(schema)).await?.close().await;
        }
        stand.durable(false).await?;
        stand.load(COPY).await.context("load the copy's legacy table")?;
        stand.load(COLUMNS).await.context("load the legacy table of the parallel columns")?;
        let mut copy = stand.session(COPY).await?;
        run(&mut copy, "CREATE TABLE requests_new LIKE requests").await?;
        run(&mut copy, CHURN).await?;
        run(&mut copy, BACKLOG).await?;
        let mut columns = stand.session(COLUMNS).await?;
        run(
            &mut columns,
            "ALTER TABLE requests ADD created_by_id BIGINT NULL, ADD assigned_to_id BIGINT NULL, \
             ADD started_at DATETIME(6) NULL, ALGORITHM=COPY",
        )
        .await?;
        stand.durable(true).await?;
        Ok(stand)
    }

    pub async fn session(&self, schema: &str) -> Result<Session> {
        connect::to(&self.server.url(schema)).await
    }

    /// Preparations need no durable commits; everything that is timed has them.
    pub async fn durable(&self, on: bool) -> Result<()> {
        let on = u8::from(on);
        let sql = format!("SET GLOBAL innodb_flush_log_at_trx_commit = {on}, GLOBAL sync_binlog = {on}");
        self.server.sql(&sql).await.map(drop)
    }

    /// One number, asked of the server.
    pub async fn number(&self, sql: &str) -> Result<u64> {
        let text = self.server.sql(sql).await?;
        text.trim().parse().with_context(|| format!("`{text}` is not a number: {sql}"))
    }

    /// Fails unless `requests_new` holds exactly the rows of `requests`, byte by byte: a wrong result has no speed.
    pub async fn same_copy(&self, table: &str) -> Result<()> {
        let equal: Vec<String> = NAMES.iter().map(|c| format!("BINARY o.{c} <=> BINARY n.{c}")).collect();
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM {COPY}.requests o LEFT JOIN {table} n ON n.id = o.id WHERE NOT ({})) \
             + (SELECT COUNT(*) FROM {table} n LEFT JOIN {COPY}.requests o ON o.id = n.id WHERE o.id IS NULL)",
            equal.join(" AND ")
        );
        match self.number(&sql).await? {
            0 => Ok(()),
            n => bail!("{table} differs from {COPY}.requests in {n} rows"),
        }
    }

    async fn load(&self, schema: &str) -> Result<()> {
        let mut db = self.session(schema).await?;
        connect::script(&mut db, TABLES).await?;
        let (piece, rows) = (100_000, self.settings.rows);
        let mut first = 0;
        while first < rows {
            run(&mut db, &fill(first, piece.min(rows - first))).await?;
            first += piece;
        }
        run(&mut db, "ANALYZE TABLE requests, users").await
    }
}

/// `n` rows from id `first + 1` on; the same ones in every run.
fn fill(first: u64, n: u64) -> String {
    format!(
        "INSERT INTO requests SELECT i, CONCAT('REQ-2026-', LPAD(i, 10, '0')), \
         CONCAT('Request for item ', i * 7919 % 100000, ' of unit ', i % 977), \
         CONCAT(MD5(i), ' please deliver before the end of the month ', MD5(i * 31)), \
         i % 7, i % 5, i * 31 % 500, i * 17 % 20000, IF(i % 3, i * 13 % 20000, NULL), i * 97 % 1000000 / 100, \
         ELT(1 + i % 3, 'EUR', 'USD', 'CHF'), IF(i % 2, CONCAT('note ', i, ' by desk'), NULL), \
         TIMESTAMP'2024-01-01 00:00:00' + INTERVAL i * 11 SECOND, \
         TIMESTAMP'2024-01-02 00:00:00.123456' + INTERVAL i * 11 SECOND, \
         IF(i % 4, TIMESTAMP'2024-03-01 00:00:00' + INTERVAL i % 1000 HOUR, NULL), \
         IF(i % 5 = 0, TIMESTAMP'2024-04-01 00:00:00' + INTERVAL i % 1000 HOUR, NULL) \
         FROM (SELECT {first} + seq AS i FROM seq_1_to_100000 WHERE seq <= {n}) numbers"
    )
}

/// Runs a statement; an error says what the server said.
pub async fn run(db: &mut Session, sql: &str) -> Result<()> {
    db.execute(sql).await.map(drop).map_err(connect::said)
}
