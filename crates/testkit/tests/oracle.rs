//! The judge is judged: by a naive pipeline that it must find right, and by mistakes that it must find.

mod oracle {
    pub mod mistakes;
    pub mod naive;
}

use oracle::{mistakes, naive};
use testkit::churn::{Churn, ChurnOptions};
use testkit::oracle::{Difference, MapSnapshot, OnUpdateTimes, Options, expect_none, judge};
use testkit::{sample, servers::Mariadb};

fn options() -> Options {
    Options { include_deferred: true, ..Options::default() }
}

#[tokio::test]
async fn the_naive_pipeline_is_right_and_every_mistake_is_found() -> anyhow::Result<()> {
    let at = Mariadb::shared().await?.schemas("judged").await?;
    sample::load(&at.url, 0.03, 1).await?;
    let before = OnUpdateTimes::take(&at.url).await?;
    naive::run(&at).await?;
    expect_none(&at.url, &at.control, &options()).await?;
    assert_eq!(OnUpdateTimes::take(&at.url).await?.moved_since(&before), Vec::<String>::new());

    let found = mistakes::make_and_judge(&at, &options()).await?;
    let missed: Vec<_> = mistakes::ALL.iter().filter(|m| !found.iter().any(|d| m.is(d))).collect();
    assert!(missed.is_empty(), "not found: {missed:#?}");
    let wrong: Vec<&Difference> = found.iter().filter(|d| !mistakes::ALL.iter().any(|m| m.is(d))).collect();
    assert!(wrong.is_empty(), "found beside the mistakes: {wrong:#?}");
    let rows: std::collections::BTreeSet<&str> = mistakes::ALL.iter().map(|m| m.row).collect();
    let all = (1..=29).map(|n| n.to_string()).chain(["5b", "15b", "20b", "map"].map(String::from));
    for row in all {
        assert!(rows.contains(row.as_str()), "no mistake in row {row}");
    }
    assert_ne!(
        OnUpdateTimes::take(&at.url).await?,
        before,
        "one of the mistakes touches an ON UPDATE column"
    );
    Ok(())
}

#[tokio::test]
async fn after_a_churn_the_naive_pipeline_is_still_right() -> anyhow::Result<()> {
    let at = Mariadb::shared().await?.schemas("churned").await?;
    sample::load(&at.url, 0.02, 2).await?;
    naive::run(&at).await?;
    let maps = MapSnapshot::take(&at.url).await?;
    let options =
        ChurnOptions { sessions: 4, rate: 0.0, transactions: Some(700), seed: 3, ..ChurnOptions::default() };
    let report = Churn::start(&at.url, options).await?.ended().await?;
    assert!(report.unexpected.is_empty(), "{:#?}", report.unexpected);
    assert!(report.tally.committed > 2_000, "{:?}", report.tally);

    let judged = Options { ledger: Some(report.ledger), ..self::options() };
    let found = judge(&at.url, &at.control, &judged).await?;
    assert!(!found.is_empty(), "nothing differs after a churn that no pipeline followed");
    naive::again(&at).await?;
    expect_none(&at.url, &at.control, &judged).await?;
    let later = MapSnapshot::take(&at.url).await?;
    assert_eq!(maps.broken_by(&later), []);
    assert!(
        !later.broken_by(&MapSnapshot::take(&at.url).await?).iter().any(|_| true) && later.len() > maps.len()
    );
    Ok(())
}

#[tokio::test]
async fn the_same_seed_loads_the_same_rows() -> anyhow::Result<()> {
    let server = Mariadb::shared().await?;
    let mut sums = Vec::new();
    for seed in [5, 5, 6] {
        let at = server.schemas("seeded").await?;
        sample::load(&at.url, 0.01, seed).await?;
        let tables =
            "requests, assignments, audit_logs, delays, users, file_attachments, app_config, delegations";
        sums.push(
            server.sql(&format!("USE {}; CHECKSUM TABLE {tables}", at.legacy)).await?.replace(&at.legacy, ""),
        );
        assert!(sample::load(&at.url, 0.01, seed).await.is_err(), "loads into a schema that is not empty");
    }
    assert_eq!(sums[0], sums[1]);
    assert_ne!(sums[0], sums[2]);
    Ok(())
}
