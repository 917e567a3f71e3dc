//! What stops the id-mapper.

use bus::BusError;
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum IdMapperError {
    #[error("consume marks: {0}")]
    Consume(#[source] BusError),
    #[error("forward marks: {0}")]
    Forward(#[source] BusError),
    #[error("a record on {topic}/{partition} at offset {offset} cannot be read: {source}")]
    Record { topic: String, partition: u32, offset: u64, source: proto::RecordError },
    #[error("look for ids that `{target}` needs: {source}")]
    Needs { target: String, source: DbError },
    #[error("mint ids of `{entity}`: {source}")]
    Mint { entity: String, source: DbError },
    #[error(
        "`{entity}`: {count} ids could not be given a UUID after {attempts} salted attempts; look at `{map}` for entries that somebody else wrote"
    )]
    Exhausted { entity: String, map: String, count: usize, attempts: usize },
}
