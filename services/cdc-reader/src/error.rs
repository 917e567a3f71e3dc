//! Why a reader stops. Everything here is definite: what passes by itself was retried before it came to this.

use bus::BusError;
use change::{Position, PositionError};
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    #[error(
        "DEPOSED: another reader has taken over source `{source_name}` (our epoch was {epoch}); \
         nothing to do if that was meant, else stop one of the two"
    )]
    Deposed { source_name: String, epoch: u64 },
    #[error(
        "POSITION_LOST: the server no longer has the binlog from {position} on: {said}; \
         run `crossfade recover`, which begins at the present with a full pass over all targets, then start again; and \
         keep binlogs for longer"
    )]
    PositionLost { position: Position, said: String },
    #[error(
        "POSITION_AHEAD: the server does not know position {position}: {said}; it lost the end of its binlog or is \
         another server; if this is the right server, run `crossfade recover`, which begins at the present with a full \
         pass over all targets, then start again"
    )]
    PositionAhead { position: Position, said: String },
    #[error(
        "SOURCE_REFUSED: the server refuses the binlog: {said}; `crossfade preflight` names what is missing"
    )]
    Refused { said: String },
    #[error(
        "SCHEMA_CHANGED: {table}, column `{column}`: the plan knows {was}, the source has {now}; stopped at {position}, \
         before the change; check the plan against the new schema, then start again; if it stops here \
         again, run `crossfade recover`, which begins at the present with a full pass over all targets"
    )]
    SchemaChanged { table: String, column: String, was: String, now: String, position: Position },
    #[error(
        "STATEMENT_FORMAT: a statement that may change {what} is in the binlog without its rows, after {position}; set \
         binlog_format=ROW in every session, run `crossfade recover`, which begins at the present with a full pass over \
         all targets, then start again"
    )]
    StatementFormat { what: String, position: Position },
    #[error(
        "INCIDENT: the server says that changes are missing from its binlog after {position} ({said}); \
         run `crossfade recover`, which begins at the present with a full pass over all targets, then start again"
    )]
    Incident { position: Position, said: String },
    #[error(
        "XA: an XA transaction changed {table} after {position}; its rows are in the binlog before it is decided, which \
         is not supported; keep XA away from planned tables, run `crossfade recover`, which begins at the present with a full \
         pass over all targets, then start again"
    )]
    Xa { table: String, position: Position },
    #[error("BINLOG: stopped at {position}: {problem}")]
    Binlog { position: Position, problem: binlog::BinlogError },
    #[error("BINLOG: stopped at {position}: {problem}")]
    Protocol { position: Position, problem: String },
    #[error(
        "BEAT_LOST: our own beat {beat} did not come back through the binlog, so nothing proves what is visible; \
         the control schema must be in the binlog (binlog_do_db, binlog_ignore_db, sql_log_bin), and sessions and \
         binlog must be of one server"
    )]
    BeatLost { beat: u64 },
    #[error(
        "ROW_TOO_LARGE: {table}, key {key}: its whole image makes a record of {bytes} bytes, more than {limit}; raise \
         {mend}, or say `publish: keys` in the plan, then start again: the position is before it"
    )]
    RowTooLarge { table: String, key: String, bytes: usize, limit: String, mend: String },
    #[error(
        "FIDELITY: {table}, column {columns}: what the binlog says is not what a SELECT of the same row says, in {differ} of \
         {rows} sampled rows{said}; stopped at {position}, before the sample; take the column out of the plan (no key, no \
         route, or `publish: keys`) or convert it to a type that both tell alike, run `crossfade migrate`, and start \
         again; if it stops here again, run `crossfade recover`, which begins at the present with a full pass over all targets"
    )]
    Fidelity { table: String, columns: String, differ: u64, rows: u64, said: String, position: Position },
    #[error("MySQL sources are not supported by this reader yet; it reads MariaDB's binlog")]
    Flavour,
    #[error("the saved position of source `{source_name}`: {problem}")]
    SavedPosition { source_name: String, problem: PositionError },
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("{doing}: {problem}")]
    Bus { doing: &'static str, problem: BusError },
}

impl ReaderError {
    /// The short name that tools and runbooks use.
    pub fn code(&self) -> &'static str {
        match self {
            ReaderError::Deposed { .. } => "DEPOSED",
            ReaderError::PositionLost { .. } => "POSITION_LOST",
            ReaderError::PositionAhead { .. } => "POSITION_AHEAD",
            ReaderError::Refused { .. } => "SOURCE_REFUSED",
            ReaderError::SchemaChanged { .. } => "SCHEMA_CHANGED",
            ReaderError::StatementFormat { .. } => "STATEMENT_FORMAT",
            ReaderError::Incident { .. } => "INCIDENT",
            ReaderError::Xa { .. } => "XA",
            ReaderError::Binlog { .. } | ReaderError::Protocol { .. } => "BINLOG",
            ReaderError::BeatLost { .. } => "BEAT_LOST",
            ReaderError::RowTooLarge { .. } => "ROW_TOO_LARGE",
            ReaderError::Fidelity { .. } => "FIDELITY",
            ReaderError::Flavour => "FLAVOUR",
            ReaderError::SavedPosition { .. } => "SAVED_POSITION",
            ReaderError::Database(_) => "DATABASE",
            ReaderError::Bus { .. } => "BUS",
        }
    }
}
