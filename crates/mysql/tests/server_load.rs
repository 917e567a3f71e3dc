//! The figures that throttle the backfill, on a real server.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::database;
use mysql::{Limits, ServerLoad};

#[tokio::test]
async fn what_is_configured_is_measured_and_what_cannot_be_measured_counts() {
    let database = database("load").await;
    let quiet = ServerLoad::new(database.clone(), Limits::default()).look().await;
    assert_eq!(quiet, mysql::Load::default());

    let limits = Limits {
        threads_running: Some(0),
        history_length: Some(u64::MAX),
        replica_lag: Some(Duration::from_secs(10)),
        // Not a replica.
        replicas: vec![database.url().clone()],
    };
    let mut server = ServerLoad::new(database.clone(), limits);
    for _ in 0..2 {
        let load = server.look().await;
        assert!(load.threads_running.is_some_and(|n| n >= 1) && load.history_length.is_some(), "{load:?}");
        assert_eq!(load.too_high.len(), 2, "{load:?}");
        assert!(load.too_high[0].starts_with("threads running: "), "{load:?}");
        assert!(load.too_high[1].contains("can't be measured"), "{load:?}");
    }
}
