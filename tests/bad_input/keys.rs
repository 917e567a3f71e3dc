//! Keys of every kind that may be a scope, in chunks: what is reported of a scope is found again in its range.

use anyhow::Result;
use testkit::servers::Mariadb;

use crate::small::Small;
use crate::support;

/// The column's type, and how a number becomes one of its values; in no order of the numbers.
const KINDS: [(&str, &str, &str); 8] = [
    ("bytes", "BINARY(4)", "UNHEX(LPAD(HEX((seq * 2654435761) & 0xffffffff), 8, '0'))"),
    ("some_bytes", "VARBINARY(40)", "UNHEX(SHA1(seq))"),
    ("price", "DECIMAL(12,3)", "CAST(seq AS DECIMAL(12,3)) * 7.013 - 9000"),
    ("moment", "DATETIME(6)", "TIMESTAMP'2026-01-01 00:00:00' + INTERVAL seq * 977 SECOND"),
    ("stamp", "TIMESTAMP", "TIMESTAMP'2026-01-01 00:00:00' + INTERVAL seq * 977 SECOND"),
    ("span", "TIME", "SEC_TO_TIME(CAST(seq AS SIGNED) * 101 - 150000)"),
    (
        "uuid",
        "UUID",
        "CONCAT(LEFT(SHA1(seq), 8), '-', MID(SHA1(seq), 9, 4), '-4', MID(SHA1(seq), 13, 3), '-8', MID(SHA1(seq), 16, 3), '-', LEFT(SHA1(CONCAT('-', seq)), 12))",
    ),
    ("word", "VARCHAR(20)", "CONCAT(IF(seq % 2, 'a', 'B'), seq)"),
];

#[tokio::test(flavor = "multi_thread")]
async fn reports_stay_with_their_scopes_whatever_the_key_is() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "bad_keys").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_LOCK_BUDGET_MS", "1");
    for (name, kind, value) in KINDS {
        let table = format!("by_{name}");
        small
            .sql(&format!(
                "CREATE TABLE {table} (k {kind} NOT NULL PRIMARY KEY, owner BIGINT UNSIGNED NULL, owner_uuid BINARY(16) NULL); \
                 INSERT INTO {table} (k, owner) SELECT {value}, IF(seq % 10 = 0, 999, 1 + seq % 3) FROM seq_1_to_3000"
            ))
            .await?;
        small.plan(
            &format!("{table}.yaml"),
            &format!("table: {table}\ncolumns:\n  owner_uuid: {{ value: {table}.owner, id_of: users }}\nrefresh: {{ users: by_verifier }}\n"),
        )?;
    }
    let mut up = small.up().await?;
    let d = &small.deployment;
    let said = async |when: &str| -> Result<()> {
        for (name, _, _) in KINDS {
            let sql = format!(
                "SELECT CONCAT(COUNT(*), ' of ', COUNT(DISTINCT scope_key), ', closed ', COUNT(closed_at)) FROM exceptions WHERE target_table = 'by_{name}'"
            );
            assert_eq!(small.control(&sql).await?, "300 of 300, closed 0", "{name}, {when}");
            let sql = format!("SELECT COUNT(*), COUNT(owner_uuid) FROM by_{name}");
            assert_eq!(small.sql(&sql).await?, "3000\t2700", "{name}, {when}");
        }
        Ok(())
    };
    said("after the backfill").await?;
    d.yes(&["backfill", "--again"]).await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    said("after another").await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
