//! A real server, and its binlog through another library's framing.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;

use binlog::{Event, Flavour, Header, Projection, TableMap, Wanted};
use change::RowChange;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn, Opts, Row};
use testkit::servers::Mariadb;

pub async fn connect() -> Conn {
    connect_to(Mariadb::shared().await.unwrap()).await
}

pub async fn connect_to(server: &Mariadb) -> Conn {
    let opts = Opts::from_url(server.url("").trim_end_matches('/')).unwrap();
    let mut conn = Conn::new(opts).await.unwrap();
    conn.query_drop("SET time_zone='+00:00', sql_mode='NO_BACKSLASH_ESCAPES', character_set_results=utf8mb4")
        .await
        .unwrap();
    conn
}

/// An empty schema of this name.
pub async fn schema(conn: &mut Conn, name: &str) {
    conn.query_drop(format!("CREATE OR REPLACE DATABASE {name} CHARACTER SET utf8mb4")).await.unwrap();
    conn.query_drop(format!("USE {name}")).await.unwrap();
}

/// Where the binlog ends now.
pub async fn end(conn: &mut Conn) -> (String, u64) {
    let row: Row = conn.query_first("SHOW MASTER STATUS").await.unwrap().expect("a binlog");
    (row.get(0).unwrap(), row.get(1).unwrap())
}

pub struct Raw {
    pub header: Header,
    pub body: Vec<u8>,
    pub event: mysql_async::binlog::events::Event,
}

/// All events from there to the present end.
pub async fn events(from: &(String, u64)) -> Vec<Raw> {
    events_of(Mariadb::shared().await.unwrap(), from).await
}

pub async fn events_of(server: &Mariadb, from: &(String, u64)) -> Vec<Raw> {
    let conn = {
        let mut conn = connect_to(server).await;
        conn.query_drop("SET @mariadb_slave_capability=4").await.unwrap();
        conn
    };
    let request = BinlogStreamRequest::new(rand_id())
        .with_filename(from.0.as_bytes())
        .with_pos(from.1)
        .with_non_blocking();
    let mut stream = conn.get_binlog_stream(request).await.unwrap();
    let mut out = Vec::new();
    while let Some(event) = stream.next().await {
        let event = event.unwrap();
        let h = event.header();
        let header = Header {
            timestamp: h.timestamp(),
            code: h.event_type_raw(),
            server_id: h.server_id(),
            flags: h.flags_raw(),
        };
        out.push(Raw { header, body: event.data().to_vec(), event });
    }
    out
}

fn rand_id() -> u32 {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    0x4000_0000 | nanos
}

/// Changes of one table, these columns published and read.
pub fn changes(raw: &[Raw], schema: &str, table: &str, columns: &[String]) -> Vec<RowChange> {
    let mut out = Vec::new();
    let mut projections: HashMap<u64, Projection> = HashMap::new();
    for raw in raw {
        match Event::parse(Flavour::MariaDb, &raw.header, &raw.body).unwrap() {
            Event::TableMap(body) => {
                let (id, name) = TableMap::peek(body).unwrap();
                projections.remove(&id);
                if (name.schema.as_str(), name.table.as_str()) == (schema, table) {
                    let map = TableMap::parse(body).unwrap();
                    let wanted = Wanted { published: columns, read: columns, ..Wanted::default() };
                    projections.insert(id, Projection::new(map, wanted).unwrap());
                }
            }
            Event::Rows(rows) => {
                if let Some(p) = projections.get(&rows.table_id) {
                    p.changes(&rows, &mut out).unwrap();
                }
            }
            _ => {}
        }
    }
    out
}
