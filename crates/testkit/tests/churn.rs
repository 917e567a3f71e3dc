//! The churn bears what an application bears: a server that is killed under it, and its own deadlocks.

use std::time::Duration;

use testkit::churn::{Churn, ChurnHandle, ChurnOptions};
use testkit::oracle::{Difference, Options, judge};
use testkit::{connect, sample, servers::Mariadb, wait};

const CONTROL: &str = include_str!("../../mysql/migrations/0001_control.sql");

async fn committed(churn: &ChurnHandle, least: u64) -> anyhow::Result<()> {
    wait::until("committed transactions", Duration::from_secs(60), || {
        let tally = churn.counters.tally();
        async move { if tally.committed >= least { Ok(()) } else { Err(format!("{tally:?}")) } }
    })
    .await
}

#[tokio::test]
async fn it_goes_on_after_a_crash_and_still_knows_what_the_fill_columns_may_hold() -> anyhow::Result<()> {
    let server = Mariadb::start(&[]).await?;
    let at = server.schemas("crashed").await?;
    sample::load(&at.url, 0.01, 1).await?;
    let options = ChurnOptions { sessions: 6, rate: 600.0, ..ChurnOptions::default() };
    let churn = Churn::start(&at.url, options).await?;
    committed(&churn, 300).await?;
    server.crash().await?;
    server.restart().await?;
    let before = churn.counters.tally();
    committed(&churn, before.committed + 300).await?;
    let report = churn.stop().await?;
    assert!(report.unexpected.is_empty(), "{:#?}", report.unexpected);
    assert!(report.tally.lost + report.tally.in_doubt > 0, "{:?}", report.tally);

    // What a pipeline would do to the fill columns; the other targets are left as they are.
    let mut control = connect::to(&at.url.replace(&at.legacy, &at.control)).await?;
    connect::script(&mut control, CONTROL).await?;
    let mut db = connect::to(&at.url).await?;
    connect::script(&mut db, MAPS).await?;
    connect::script(&mut db, "UPDATE users SET active = 1 WHERE active IS NULL;\n").await?;
    connect::script(&mut db, "UPDATE assignments SET notes = COALESCE(remarks, '') WHERE notes IS NULL;\n")
        .await?;
    let options = Options { ledger: Some(report.ledger), at_most: 5, ..Options::default() };
    let fills = |found: &Difference| matches!(found.column.as_deref(), Some("active" | "notes"));
    let found = judge(&at.url, &at.control, &options).await?;
    assert_eq!(found.into_iter().filter(fills).collect::<Vec<_>>(), []);

    // The ledger does not forgive: a switch that was turned over, a note that nobody ever wrote.
    connect::script(&mut db, "UPDATE users SET active = 1 - active;\n").await?;
    connect::script(&mut db, "UPDATE assignments SET notes = CONCAT(notes, '?');\n").await?;
    let found = judge(&at.url, &at.control, &options).await?;
    for (row, least) in [("1", 20), ("10", 100)] {
        assert!(found.iter().filter(|d| d.row == row).count() >= least, "row {row}: too little is found");
    }
    Ok(())
}

/// Empty maps, so that the judge can look at the rest.
const MAPS: &str = "CREATE TABLE users_id_map (legacy_id BIGINT UNSIGNED PRIMARY KEY, uuid_binary BINARY(16) NOT NULL UNIQUE);
CREATE TABLE roles_id_map LIKE users_id_map;
CREATE TABLE process_steps_id_map LIKE users_id_map;
CREATE TABLE assignments_id_map LIKE users_id_map;
CREATE TABLE delays_id_map LIKE users_id_map;
CREATE TABLE delay_justifications_id_map LIKE users_id_map;
CREATE TABLE slas_id_map LIKE users_id_map;
CREATE TABLE delegations_id_map LIKE users_id_map;
CREATE TABLE escalation_histories_id_map LIKE users_id_map;
CREATE TABLE requests_id_map (legacy_id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY, uuid_binary BINARY(16) NOT NULL UNIQUE);
";
