//! What stops the writer. Everything transient is retried where it happens and never gets here.

use bus::BusError;
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    #[error("apply marks of `{target}`: {source}")]
    Apply { target: String, source: DbError },
    #[error("read or move lane {lane} of `{target}`: {source}")]
    Lane { target: String, lane: u32, source: DbError },
    #[error("run the pass over `{target}`: {source}")]
    Pass { target: String, source: DbError },
    #[error("consume marks: {0}")]
    Consume(#[source] BusError),
    #[error("a record on {topic}/{lane} at offset {offset} cannot be read: {source}")]
    Record { topic: String, lane: u32, offset: u64, source: proto::RecordError },
    #[error(
        "{topic}/{lane} begins at offset {found}, but {wanted} is to be applied next: records are missing (OFFSET_GAP). Run `crossfade recover`, which begins with a new incarnation of the bus and a full pass over all targets, then start again"
    )]
    Gap { topic: String, lane: u32, wanted: u64, found: u64 },
    #[error(
        "lane {lane} of `{target}` belongs to another incarnation of the bus (topic {found}); this process was replaced"
    )]
    Replaced { target: String, lane: u32, found: String },
    #[error("lane {lane} of `{target}` is not in the control schema: run `crossfade topics --create`")]
    NoLane { target: String, lane: u32 },
}
