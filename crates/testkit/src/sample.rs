//! A realistic sample of the legacy application, made by the database itself from a seed.
//!
//! The rows come from a few set-based statements (`sql/sample/*.sql`), so that two hundred thousand of them take
//! seconds. The last file adds one of each trouble that real data holds, at known keys.

mod template;

use anyhow::{Context, Result, ensure};
use mysql::Session;

use crate::connect;

/// The contract: the legacy schema with its empty phase-2 columns and tables.
pub const LEGACY_SCHEMA: &str = include_str!("../sql/legacy.sql");

/// `users.id` of the system administrator, who exists in every sample.
pub const SYSTEM_ADMIN: u64 = 1;

/// The troubles stand at ids above this one; what the sample generates stays below.
pub const TROUBLE_IDS: u64 = 1_000_000_000;

/// Some troubles stand above 2^63: this plus 1.
pub const BIG_IDS: u64 = 9_300_000_000_000_000_000;

const FILES: [(&str, &str); 5] = [
    ("10_people.sql", include_str!("../sql/sample/10_people.sql")),
    ("20_requests.sql", include_str!("../sql/sample/20_requests.sql")),
    ("30_audit.sql", include_str!("../sql/sample/30_audit.sql")),
    ("40_flags.sql", include_str!("../sql/sample/40_flags.sql")),
    ("90_troubles.sql", include_str!("../sql/sample/90_troubles.sql")),
];

/// How many rows of each kind; 1.0 is 2,000 users, 20,000 requests, 60,000 assignments, 150,000 audit entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub users: u64,
    pub roles: u64,
    pub permissions: u64,
    pub steps: u64,
    pub requests: u64,
    pub assignments: u64,
    pub attachments: u64,
    pub delays: u64,
    pub justifications: u64,
    pub rules: u64,
    pub histories: u64,
    pub delegations: u64,
    pub logs: u64,
    pub holds: u64,
    pub flags: u64,
}

impl Counts {
    pub fn at(scale: f64) -> Counts {
        let of = |at_one: f64, least: u64| ((at_one * scale).round() as u64).max(least);
        Counts {
            users: of(2_000.0, 20),
            roles: of(20.0, 6),
            permissions: of(80.0, 10),
            steps: of(120.0, 40),
            requests: of(20_000.0, 30),
            assignments: of(60_000.0, 80),
            attachments: of(12_000.0, 40),
            delays: of(15_000.0, 60),
            justifications: of(6_000.0, 30),
            rules: of(3_000.0, 30),
            histories: of(6_000.0, 30),
            delegations: of(3_000.0, 30),
            logs: of(20_000.0, 50),
            holds: of(3_000.0, 20),
            flags: of(120.0, 24),
        }
    }

    /// Audit entries come in blocks of ids, one block per kind of entity, in this order.
    fn audit_blocks(&self) -> [(&'static str, u64); 5] {
        [
            ("A_USERS", self.users * 15),
            ("A_ASSIGNMENTS", self.assignments + self.assignments / 10),
            ("A_DELAYS", self.delays * 3 / 2),
            ("JUSTIFICATIONS", self.justifications),
            ("A_REQUESTS", self.requests),
        ]
    }

    fn names(&self) -> Vec<(&'static str, u64)> {
        let blocks = self.audit_blocks();
        let mut names = vec![
            ("USERS", self.users),
            ("ROLES", self.roles),
            ("PERMISSIONS", self.permissions),
            ("STEPS", self.steps),
            ("REQUESTS", self.requests),
            ("ASSIGNMENTS", self.assignments),
            ("ATTACHMENTS", self.attachments),
            ("DELAYS", self.delays),
            ("RULES", self.rules),
            ("HISTORIES", self.histories),
            ("DELEGATIONS", self.delegations),
            ("LOGS", self.logs),
            ("HOLDS", self.holds),
            ("FLAGS", self.flags),
            ("A_FLAGS", blocks.iter().map(|(_, n)| n).sum()),
            ("BIG", BIG_IDS),
            ("BIG1", BIG_IDS + 1),
            ("MAX", TROUBLE_IDS),
            ("MAX1", TROUBLE_IDS + 1),
            ("MAX2", TROUBLE_IDS + 2),
        ];
        names.extend(blocks);
        names
    }

    /// How far the table of numbers has to reach: at least as far as the longest statement counts.
    fn most(&self) -> u64 {
        let audit = self.audit_blocks().iter().map(|(_, n)| *n).max().unwrap_or(0);
        [audit, self.requests + self.requests / 50 + 5, self.roles * 12, self.flags * 6, self.logs]
            .into_iter()
            .max()
            .unwrap_or(0)
    }
}

/// Makes the schema named in the URL if it is missing, with the legacy tables in it, and no rows.
pub async fn schema(url: &str) -> Result<()> {
    let mut db = connect::creating(url).await?;
    let present = connect::number(&mut db, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'requests'").await?;
    if present == 0 {
        connect::script(&mut db, LEGACY_SCHEMA).await.context("legacy schema")?;
    }
    Ok(())
}

/// Fills the schema named in the URL (`mysql://user:password@host:port/schema`), which it makes if it is missing.
/// The same scale and seed give the same rows. Refuses a schema that already holds requests.
pub async fn load(url: &str, scale: f64, seed: u64) -> Result<Counts> {
    schema(url).await?;
    let mut db = connect::to(url).await?;
    let present = connect::number(&mut db, "SELECT COUNT(*) FROM requests").await?;
    ensure!(
        present == 0,
        "the schema already holds {present} requests: load the sample into an empty schema"
    );

    let counts = Counts::at(scale);
    connect::script(
        &mut db,
        "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO', timestamp = 1738555445;\n\
         CREATE TEMPORARY TABLE testkit_r (n BIGINT NOT NULL PRIMARY KEY, \
           id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL, at DATETIME(6) NOT NULL);\n",
    )
    .await?;
    numbers(&mut db, counts.most()).await.context("table of numbers")?;
    let names = counts.names();
    for (file, text) in FILES {
        let sql = template::expand(text, seed, &names).with_context(|| format!("sql/sample/{file}"))?;
        connect::script(&mut db, &sql).await.with_context(|| format!("sql/sample/{file}"))?;
    }
    connect::script(&mut db, "DROP TEMPORARY TABLE testkit_n;\nDROP TEMPORARY TABLE testkit_r;\n").await?;
    Ok(counts)
}

/// A temporary table with the numbers from 1 to `most`.
async fn numbers(db: &mut Session, most: u64) -> Result<()> {
    let digits = "SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9";
    let places = most.to_string().len();
    let tables: Vec<String> = (0..places).map(|p| format!("({digits}) d{p}")).collect();
    let value: Vec<String> = (0..places).map(|p| format!("d{p}.d * {}", 10_u64.pow(p as u32))).collect();
    let sql = format!(
        "CREATE TEMPORARY TABLE testkit_n (n BIGINT NOT NULL PRIMARY KEY);\n\
         INSERT INTO testkit_n SELECT x.n + 1 FROM (SELECT {} AS n FROM {}) x WHERE x.n < {most} ORDER BY x.n;\n",
        value.join(" + "),
        tables.join(" CROSS JOIN "),
    );
    connect::script(db, &sql).await
}
