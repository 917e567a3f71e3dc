//! Runs the naive pipeline of `reference.sql` and `reports.sql`.

use testkit::connect;
use testkit::servers::Schemas;

const CONTROL: &str = include_str!("../../../mysql/migrations/0001_control.sql");
const TARGETS: &str = include_str!("reference.sql");
const REPORTS: &str = include_str!("reports.sql");

pub async fn run(at: &Schemas) -> anyhow::Result<()> {
    let mut control = connect::to(&at.url.replace(&at.legacy, &at.control)).await?;
    connect::script(&mut control, CONTROL).await?;
    control.close().await;
    fill(at).await
}

/// All over again, as if nothing had been filled; the maps keep what they have.
pub async fn again(at: &Schemas) -> anyhow::Result<()> {
    let mut db = connect::to(&at.url).await?;
    let tables =
        ["role_permissions_text", "escalation_history", "slas_new", "delegations_new", "delay_debt_scores"];
    for table in tables {
        connect::script(&mut db, &format!("DELETE FROM {table};\n")).await?;
    }
    connect::script(&mut db, &format!("DELETE FROM `{}`.exceptions;\n", at.control)).await?;
    connect::script(&mut db, "DROP FUNCTION v5;\nDROP FUNCTION entity;\n").await?;
    db.close().await;
    fill(at).await
}

async fn fill(at: &Schemas) -> anyhow::Result<()> {
    let mut db = connect::to(&at.url).await?;
    for text in [TARGETS, REPORTS] {
        connect::script(&mut db, &text.replace("ctl.", &format!("`{}`.", at.control))).await?;
    }
    db.close().await;
    Ok(())
}
