//! What the binlog says of a row is not what a SELECT says: nothing is published from there on, and the column is named.

use anyhow::{Context, Result, ensure};
use mysql::Database;
use testkit::servers::Mariadb;

use crate::answer::{ask, json};
use crate::small::Small;
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_decoded_wrongly_stops_the_reader_and_the_verdict() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_fidelity").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    let criteria = verdict["criteria"].as_array().context("criteria")?;
    let fidelity = criteria.iter().find(|c| c["name"] == "fidelity").context("fidelity")?;
    ensure!(fidelity["answer"] == "ready", "{verdict}");
    ensure!(
        fidelity["evidence"].as_str().is_some_and(|e| e.contains("sampled rows of 1 tables")),
        "{verdict}"
    );
    ensure!(small.control("SELECT COUNT(*) FROM fidelity_users").await? == "0", "values stay in the sample");
    support::kill(&mut up).await?;

    // While the test has this row nobody takes another sample.
    let database = Database::new(d.schemas.url.parse()?, &d.schemas.control);
    let mut session = database.session().await?;
    session.execute(&format!("USE {}", d.schemas.control)).await?;
    session.execute("SET SESSION idle_write_transaction_timeout = 0").await?;
    session
        .execute("INSERT INTO fidelity_users (sample, id) SELECT sample + 1, 4711 FROM sample WHERE table_name = 'users'")
        .await?;
    session.execute("SET sql_log_bin = 0; UPDATE fidelity_users SET id = 4712; SET sql_log_bin = 1").await?;
    session.begin().await?;
    session.row("SELECT sample FROM sample FOR UPDATE").await?;
    for _ in 0..2 {
        let answer = ask(d, &["up"]).await?;
        let said = answer.err.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(
            answer.code == 2 && said.contains("FIDELITY") && said.contains("users, column `id`"),
            "{said}"
        );
        ensure!(!said.contains("4711") && !said.contains("4712"), "a value: {said}");
        let verdict = json(d, &["verdict"], 1, "verdict").await?;
        let reasons = verdict["reasons"].as_array().context("reasons")?;
        let reason = reasons.iter().find(|r| r["criterion"] == "fidelity").context("fidelity")?;
        ensure!(reason["detail"].as_str().is_some_and(|d| d.contains("users.id")), "{verdict}");
        json(d, &["verdict", "--only", "people"], 1, "verdict_target").await?;
    }
    session.rollback().await?;

    // The sample itself was the culprit: without it the reader goes on.
    small.control("SET sql_log_bin = 0; DELETE FROM fidelity_users").await?;
    let mut up = small.up().await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    json(d, &["verdict"], 0, "verdict").await?;
    ensure!(support::terminate(&mut up).await? == Some(0), "up ends in good order");
    Ok(())
}
