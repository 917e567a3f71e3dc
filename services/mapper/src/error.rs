//! What stops the mapper.

use bus::BusError;
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum MapperError {
    #[error(transparent)]
    Consume(#[from] service::ConsumeError),
    #[error("publish marks: {0}")]
    Publish(#[source] BusError),
    #[error(
        "a change of `{table}` lacks the column `{column}`, which the plan routes by: reader and mapper run different plans; restart both with the same one"
    )]
    Column { table: String, column: String },
    #[error("look up what a change of `{table}` marks in `{target}`: {source}")]
    Lookup { table: String, target: String, source: DbError },
    #[error(
        "REPLACED: the pipeline has begun anew since incarnation {incarnation} of the bus, and others do this work; start this service again if it is one of them"
    )]
    Replaced { incarnation: u64 },
    #[error("read or write the control schema: {0}")]
    Control(#[source] DbError),
}
