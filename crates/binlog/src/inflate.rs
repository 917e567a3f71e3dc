//! MariaDB's compressed events: one byte of header, the original length, zlib data.

use std::io::Read;

use crate::error::{BinlogError, Result};
use crate::scan::{Scan, uint_be};

/// No event is longer than the protocol's largest packet.
const LIMIT: u64 = 1 << 30;

pub(crate) fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut scan = Scan::new(bytes, "a compressed event");
    let header = scan.u8()?;
    if header & 0x70 != 0 {
        return Err(BinlogError::Malformed("compressed by an unknown algorithm"));
    }
    let length = match header & 7 {
        n @ 1..=4 => uint_be(scan.take(usize::from(n))?),
        _ => return Err(BinlogError::Malformed("the length of a compressed event")),
    };
    if length > LIMIT {
        return Err(BinlogError::Malformed("a compressed event of more than 1 GiB"));
    }
    // Capacity is not taken from the bytes: they may lie.
    let mut out = Vec::with_capacity((length as usize).min(64 << 10));
    flate2::read::ZlibDecoder::new(scan.rest())
        .take(length + 1)
        .read_to_end(&mut out)
        .map_err(|_| BinlogError::Malformed("zlib data"))?;
    if out.len() as u64 != length {
        return Err(BinlogError::Malformed("a compressed event has another length than it says"));
    }
    Ok(out)
}
