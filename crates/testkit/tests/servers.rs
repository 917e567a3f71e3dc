//! The servers do what their handles say.

use std::time::Duration;

use testkit::servers::{Kafka, Mariadb, TINY_BINLOGS};
use testkit::wait;

#[tokio::test]
async fn mariadb_keeps_what_it_has_committed_through_a_crash() {
    let server = Mariadb::start(&[TINY_BINLOGS]).await.unwrap();
    let schemas = server.schemas("crash").await.unwrap();
    let table = format!("`{}`.t", schemas.legacy);
    server
        .sql(&format!("CREATE TABLE {table} (a INT PRIMARY KEY); INSERT INTO {table} VALUES (7)"))
        .await
        .unwrap();
    server.crash().await.unwrap();
    assert!(server.sql("SELECT 1").await.is_err());
    server.restart().await.unwrap();
    assert_eq!(server.sql(&format!("SELECT a FROM {table}")).await.unwrap(), "7");
    assert_eq!(server.sql("SELECT @@max_binlog_size, @@sync_binlog").await.unwrap(), "4096\t1");
}

#[tokio::test]
async fn the_shared_server_gives_each_test_schemas_of_its_own() {
    let server = Mariadb::shared().await.unwrap();
    let (a, b) = (server.schemas("x").await.unwrap(), server.schemas("x").await.unwrap());
    assert_ne!(a.legacy, b.legacy);
    assert_ne!(a.legacy, a.control);
}

#[tokio::test]
async fn kafka_comes_back_on_its_port() {
    let Some(kafka) = Kafka::start(&[]).await.unwrap() else { return };
    let connect = || async { tokio::net::TcpStream::connect(kafka.brokers()).await };
    wait::until("a connection", Duration::from_secs(5), connect).await.unwrap();
    kafka.crash().await.unwrap();
    assert!(connect().await.is_err());
    kafka.restart().await.unwrap();
    wait::until("a connection", Duration::from_secs(5), connect).await.unwrap();
}
