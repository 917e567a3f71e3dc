//! An event of the binlog, as far as a reader of changes must tell them apart.

use std::borrow::Cow;

use crate::error::{BinlogError, Result};
use crate::inflate::inflate;
use crate::rows::Rows;
use crate::scan::Scan;

/// Whose binlog it is: the seam at which MySQL's events will come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    MariaDb,
    MySql,
}

/// What an event's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Seconds since 1970 by the source's clock; 0 in events that the server makes up.
    pub timestamp: u32,
    pub code: u8,
    pub server_id: u32,
    pub flags: u16,
}

#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A group of events starts.
    Gtid(Gtid),
    /// The body of a table map, for `TableMap::peek` and `TableMap::parse`.
    TableMap(&'a [u8]),
    Rows(Rows<'a>),
    Query(Query<'a>),
    /// The transaction is committed.
    Xid,
    /// The XA transaction is prepared; whether it will be committed a later group says.
    XaPrepare,
    /// Nothing has happened for a heartbeat period.
    Heartbeat,
    Rotate,
    /// Another file begins. A transaction that is open here was cut off by a crash of the server and never happened.
    File,
    /// The server knows that changes are missing from the binlog.
    Incident(String),
    /// Nothing that changes a row.
    Other,
}

/// MariaDB's GTID event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gtid {
    pub domain: u32,
    pub server: u32,
    pub sequence: u64,
    /// The group is one statement without an end of its own.
    pub standalone: bool,
    pub ddl: bool,
    pub xa_prepare: bool,
    pub xa_end: bool,
}

/// A statement in the binlog.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The default schema.
    pub schema: Cow<'a, str>,
    pub sql: Cow<'a, str>,
}

/// "If you do not know this event you may pass over it."
const IGNORABLE: u16 = 0x80;

impl<'a> Event<'a> {
    /// `body`: without header and checksum.
    pub fn parse(flavour: Flavour, header: &Header, body: &'a [u8]) -> Result<Event<'a>> {
        Ok(match header.code {
            2 => Event::Query(Query::parse(body, 0, false)?),
            165 => Event::Query(Query::parse(body, 0, true)?),
            // LOAD DATA in statement format: three more numbers and a flag.
            18 => Event::Query(Query::parse(body, 13, false)?),
            4 => Event::Rotate,
            15 => Event::File,
            16 => Event::Xid,
            19 => Event::TableMap(body),
            23..=25 | 30..=32 | 166..=171 => Event::Rows(Rows::parse(header.code, body)?),
            26 => Event::Incident(incident(body)?),
            27 | 41 => Event::Heartbeat,
            38 => Event::XaPrepare,
            162 => Event::Gtid(Gtid::parse(header.server_id, body)?),
            // Stop, user variables and the like of a statement, BEGIN_LOAD and APPEND_BLOCK (their
            // EXECUTE_LOAD is judged), ignorable, rows query, annotation, checkpoint, GTID list, encryption.
            3 | 5 | 9 | 13 | 14 | 17 | 28 | 29 | 160 | 161 | 163 | 164 => Event::Other,
            33..=37 | 39 | 40 | 42 if flavour == Flavour::MySql => {
                return Err(BinlogError::MySql(header.code));
            }
            _ if header.flags & IGNORABLE != 0 => Event::Other,
            code => return Err(BinlogError::UnknownEvent(code)),
        })
    }
}

impl Gtid {
    fn parse(server: u32, body: &[u8]) -> Result<Gtid> {
        let mut scan = Scan::new(body, "a GTID event");
        let (sequence, domain, flags) = (scan.u64()?, scan.u32()?, scan.u8()?);
        Ok(Gtid {
            domain,
            server,
            sequence,
            standalone: flags & 0x01 != 0,
            ddl: flags & 0x20 != 0,
            xa_prepare: flags & 0x40 != 0,
            xa_end: flags & 0x80 != 0,
        })
    }
}

impl<'a> Query<'a> {
    /// `more`: bytes of post-header beyond those of a plain query.
    fn parse(body: &'a [u8], more: usize, compressed: bool) -> Result<Query<'a>> {
        let mut scan = Scan::new(body, "a query event");
        scan.take(8)?; // connection, seconds it ran
        let schema = usize::from(scan.u8()?);
        scan.u16()?; // error code
        let variables = usize::from(scan.u16()?);
        scan.take(more)?;
        scan.take(variables)?;
        let schema = String::from_utf8_lossy(scan.take(schema)?);
        scan.u8()?;
        // The text is in the client's character set. What we look for in it is ASCII, or is judged with care.
        let sql = match compressed {
            true => Cow::Owned(String::from_utf8_lossy(&inflate(scan.rest())?).into_owned()),
            false => String::from_utf8_lossy(scan.rest()),
        };
        Ok(Query { schema, sql })
    }
}

fn incident(body: &[u8]) -> Result<String> {
    let mut scan = Scan::new(body, "an incident event");
    scan.u16()?;
    let n = usize::from(scan.u8()?);
    Ok(String::from_utf8_lossy(scan.take(n)?).into_owned())
}
