//! The stream of events: a replica's connection that starts at a GTID position.

use std::time::Duration;

use binlog::Header;
use change::Position;
use futures::StreamExt;
use mysql::Database;
use mysql_async::binlog::events::Event;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest};

use crate::error::ReaderError;

/// Why there are no more events on this connection.
pub(crate) enum Gone {
    /// Open another.
    Passing {
        said: String,
        kicked: bool,
    },
    Definite(ReaderError),
}

pub(crate) struct Source {
    stream: BinlogStream,
    /// The server's id, to tell its own events from those that it replicates.
    pub server_id: u32,
    silence: Duration,
    position: Position,
}

impl Source {
    /// Asks for everything behind `position`.
    pub async fn open(
        database: &Database,
        position: &Position,
        server_id: Option<u32>,
        heartbeat: Duration,
        silence: Duration,
    ) -> Result<Source, Gone> {
        let mut conn = database.binlog_connection().await.map_err(|e| match e.is_transient() {
            true => Gone::Passing { said: e.to_string(), kicked: false },
            false => Gone::Definite(e.into()),
        })?;
        let gone = |e| gone(e, position);
        let own: Option<u32> = conn.query_first("SELECT @@GLOBAL.server_id").await.map_err(gone)?;
        conn.query_drop(format!(
            "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, \
             @master_heartbeat_period = {}, @slave_connect_state = '{position}', SESSION net_write_timeout = 600",
            heartbeat.as_nanos()
        ))
        .await
        .map_err(gone)?;
        let id = server_id.unwrap_or_else(|| rand::random_range(1 << 30..u32::MAX));
        let stream = conn.get_binlog_stream(BinlogStreamRequest::new(id)).await.map_err(gone)?;
        Ok(Source { stream, server_id: own.unwrap_or_default(), silence, position: position.clone() })
    }

    /// The next event. Cancel-safe: what has come in stays in the stream.
    pub async fn next(&mut self) -> Result<(Header, Event), Gone> {
        let passing = |said: String| Gone::Passing { said, kicked: false };
        let next = tokio::time::timeout(self.silence, self.stream.next()).await;
        let event = match next {
            Err(_) => return Err(passing(format!("no event and no heartbeat within {:?}", self.silence))),
            Ok(None) => return Err(passing("the server ended the stream".into())),
            Ok(Some(Err(e))) => return Err(gone(e, &self.position)),
            Ok(Some(Ok(event))) => event,
        };
        let h = event.header();
        let header = Header {
            timestamp: h.timestamp(),
            code: h.event_type_raw(),
            server_id: h.server_id(),
            flags: h.flags_raw(),
        };
        if !intact(&event, &header) {
            return Err(passing(format!("an event of type {} has a wrong checksum", header.code)));
        }
        Ok((header, event))
    }
}

/// The checksum holds, if there is one. Events that the server makes up for the stream carry none that counts.
fn intact(event: &Event, header: &Header) -> bool {
    const ARTIFICIAL: u16 = 0x20;
    const CRC32: u8 = 1;
    if header.timestamp == 0 || header.flags & ARTIFICIAL != 0 || matches!(header.code, 4 | 15 | 27) {
        return true;
    }
    match (event.footer().get_checksum_alg(), event.checksum()) {
        (Ok(Some(alg)), Some(sum)) if alg as u8 == CRC32 => event.calc_checksum(alg).to_le_bytes() == sum,
        _ => true,
    }
}

/// What the server's error means for the reader.
fn gone(error: mysql_async::Error, position: &Position) -> Gone {
    /// ER_MASTER_FATAL_ERROR_READING_BINLOG: many causes, told apart by the text only.
    const FATAL: u16 = 1236;
    let mysql_async::Error::Server(error) = error else {
        return Gone::Passing { said: error.to_string(), kicked: false };
    };
    let said = error.message;
    let has = |texts: &[&str]| texts.iter().any(|t| said.to_lowercase().contains(t));
    let position = position.clone();
    match error.code {
        FATAL if has(&["same server_uuid", "same server_id"]) => Gone::Passing { said, kicked: true },
        FATAL if has(&["not in the master's binlog", "impossible position"]) => {
            Gone::Definite(ReaderError::PositionAhead { position, said })
        }
        FATAL if has(&["purged", "could not find", "could not open"]) => {
            Gone::Definite(ReaderError::PositionLost { position, said })
        }
        FATAL => Gone::Definite(ReaderError::Refused { said }),
        // The account, or the server's settings.
        1044 | 1045 | 1142 | 1143 | 1227 | 1381 | 1193 | 1231 => {
            Gone::Definite(ReaderError::Refused { said })
        }
        code => Gone::Passing { said: format!("error {code}: {said}"), kicked: false },
    }
}
