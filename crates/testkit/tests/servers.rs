//! The servers do what their handles say.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use testkit::proxy::Link;
use testkit::servers::{Kafka, Mariadb, TINY_BINLOGS};
use testkit::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
    let connect = || async { TcpStream::connect(kafka.brokers()).await };
    wait::until("a connection", Duration::from_secs(5), connect).await.unwrap();
    kafka.crash().await.unwrap();
    assert!(connect().await.is_err());
    kafka.restart().await.unwrap();
    wait::until("a connection", Duration::from_secs(5), connect).await.unwrap();
}

#[tokio::test]
async fn kafka_sends_clients_to_the_listener_that_they_came_to() {
    let Some((kafka, proxy)) = Kafka::start_behind_proxy(&[]).await.unwrap() else { return };
    assert_eq!(advertised(&kafka.brokers()).await, kafka.brokers());
    assert_eq!(proxy.accepted(), 0);
    assert_eq!(advertised(&proxy.address()).await, proxy.address());
    proxy.set(Link::BlackHole);
    let silent = tokio::time::timeout(Duration::from_millis(300), advertised(&proxy.address())).await;
    assert!(silent.is_err(), "{silent:?}");
    assert_eq!(advertised(&kafka.brokers()).await, kafka.brokers());
    proxy.set(Link::Open);
    kafka.crash().await.unwrap();
    kafka.restart().await.unwrap();
    assert_eq!(advertised(&proxy.address()).await, proxy.address());
}

/// Where a broker sends its clients: what its answer to a request for metadata (key 3, version 1) says.
async fn advertised(broker: &str) -> String {
    let mut stream = TcpStream::connect(broker).await.unwrap();
    // Length, key, version, correlation, no client, no topics.
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 9, 255, 255, 0, 0, 0, 0]).await.unwrap();
    let length = stream.read_u32().await.unwrap();
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await.unwrap();
    // Correlation, one broker, its id; its host after a length, its port.
    assert_eq!(answer[..12], [0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1]);
    let (host, rest) = answer[14..].split_at(usize::from(answer[13]));
    let port = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
    format!("{}:{port}", String::from_utf8_lossy(host))
}
