//! Health, metrics and the heartbeat as they are seen from outside.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use service::{Health, Reading, Status, heartbeat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into())
}

#[tokio::test]
async fn health_tells_alive_started_and_ready_apart() {
    let health = Health::default();
    let stop = CancellationToken::new();
    let address = health.serve("127.0.0.1:0".parse().unwrap(), stop.clone()).await.unwrap();
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(get(address, "/startupz").await.0, 503);
    assert_eq!(get(address, "/readyz").await.0, 503);
    health.started();
    health.ready("database");
    assert_eq!(get(address, "/startupz").await.0, 200);
    assert_eq!(get(address, "/readyz").await.0, 200);
    health.not_ready("bus", "no broker");
    let (code, body) = get(address, "/readyz").await;
    assert!(code == 503 && body.contains("no broker") && body.contains(r#""database":"ok""#), "{body}");
    assert_eq!(get(address, "/livez").await.0, 200, "a broker that is away is no reason for a restart");
    assert_eq!(get(address, "/debug").await.0, 404);

    health.show(Arc::new(|| {
        vec![
            Reading::counter("crossfade_batches", "Batches", 7),
            Reading::gauge("crossfade_lag_seconds", "Lag", 0.25).label("target", "users"),
            Reading::gauge("crossfade_lag_seconds", "Lag", 2.0).label("target", "ro\"les"),
        ]
    }));
    let (code, body) = get(address, "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "crossfade_batches_total 7.0",
        r#"crossfade_lag_seconds{target="users"} 0.25"#,
        r#"crossfade_lag_seconds{target="ro\"les"} 2.0"#,
        "# EOF",
    ] {
        assert!(body.contains(line), "{line} is missing in {body}");
    }
    assert_eq!(body.matches("# TYPE crossfade_lag_seconds gauge").count(), 1, "{body}");
    let taken = health.serve(address, stop.clone()).await.unwrap_err().to_string();
    assert!(taken.contains("another port"), "{taken}");
    stop.cancel();
}

#[tokio::test]
async fn a_heartbeat_stands_in_the_control_schema_and_ends_as_stopped() {
    let server = testkit::servers::Mariadb::shared().await.unwrap();
    let url = server.url("information_schema").parse().unwrap();
    let database = mysql::Database::new(url, "cfservice_beat");
    let mut session = database.session().await.unwrap();
    session.execute("DROP DATABASE IF EXISTS cfservice_beat").await.unwrap();
    let deployment = mysql::Deployment { plan_digest: "d".into(), namespace: ids::default_namespace() };
    mysql::migrate(&database, &deployment, false).await.unwrap();
    let (health, stop) = (Health::default(), CancellationToken::new());
    health.started();
    let status = || Status { state: "running", detail: serde_json::json!({ "quote": "it's \\ fine" }) };
    let beating = tokio::spawn(heartbeat(
        database,
        health.clone(),
        "writer",
        "me".into(),
        Arc::new(status),
        stop.clone(),
    ));
    let mut seen = async || {
        let sql =
            "SELECT state, JSON_VALUE(detail, '$.quote') FROM cfservice_beat.service WHERE instance = 'me'";
        let row = session.row(sql).await.unwrap()?;
        Some((row.text(0).unwrap()?.to_owned(), row.text(1).unwrap()?.to_owned()))
    };
    let wait = async {
        loop {
            if let Some(found) = seen().await {
                break found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let first = tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.unwrap();
    assert_eq!(first, ("running".into(), "it's \\ fine".into()));
    assert!(health.is_ready());
    stop.cancel();
    beating.await.unwrap();
    assert_eq!(seen().await.unwrap().0, "stopped");
    session.execute("DROP DATABASE cfservice_beat").await.unwrap();
}
