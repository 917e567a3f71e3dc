//! What stops the id-mapper.

use bus::BusError;
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum IdMapperError {
    #[error(transparent)]
    Consume(#[from] service::ConsumeError),
    #[error("forward marks: {0}")]
    Forward(#[source] BusError),
    #[error("look for ids that `{target}` needs: {source}")]
    Needs { target: String, source: DbError },
    #[error("mint ids of `{entity}`: {source}")]
    Mint { entity: String, source: DbError },
    #[error(
        "`{entity}`: {count} ids could not be given a UUID after {attempts} salted attempts; look at `{map}` for entries that somebody else wrote"
    )]
    Exhausted { entity: String, map: String, count: usize, attempts: usize },
}
