//! The program by itself: nobody answers for the flags.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::servers::Mariadb;

#[tokio::test(flavor = "multi_thread")]
async fn without_flags_it_works_with_its_legacy_form_and_says_why() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("program").await?;
    server.sql(&format!("USE `{}`; {}", schemas.legacy, include_str!("../schema.sql"))).await?;
    let flags = format!("http://127.0.0.1:{}", testkit::ports::free());
    let run = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(["--database", &schemas.url, "--flags", &flags, "--seconds", "3", "--pause", "1"])
        .output()
        .context("run the shop")?;
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    ensure!(run.status.success(), "{out}\n{err}");
    let last = out.lines().rfind(|line| line.contains(" writes, ")).context("no line")?;
    for wanted in ["orders: legacy", "shipments: legacy", " 0 wrong", "[orders.write_new: "] {
        ensure!(last.contains(wanted), "`{wanted}` is not in: {last}");
    }
    let written = format!(
        "USE `{}`; SELECT COUNT(*) > 0, COUNT(total_cents), (SELECT COUNT(*) FROM shipments) FROM orders",
        schemas.legacy
    );
    assert_eq!(server.sql(&written).await?, "1\t0\t0");
    Ok(())
}
