//! The control schema's tables, each behind functions that say what they do for the protocol.

pub mod applied;
pub mod audit;
pub mod dual_write;
pub mod exceptions;
pub mod fidelity;
pub mod finding;
pub mod flag;
pub mod hold;
pub mod lane;
pub mod pass;
pub mod redrive;
pub mod sample;
pub mod shadow_read;
pub mod sweep;

/// A time of a control table as RFC 3339 has it, in UTC, as every session is.
pub fn utc(column: &str) -> String {
    format!("DATE_FORMAT({column}, '%Y-%m-%dT%H:%i:%s.%fZ')")
}

/// Cells of a key as the JSON that control tables keep.
pub fn key_to_json(key: &change::Key) -> String {
    serde_json::to_string(&key.0).unwrap_or_else(|e| unreachable!("cells are always JSON: {e}"))
}

/// The key again.
pub fn key_from_json(json: &str) -> Result<change::Key, crate::DbError> {
    serde_json::from_str(json).map(change::Key).map_err(|e| {
        crate::DbError::new(
            "read a key from the control schema",
            crate::Class::Other,
            format!("not a key: {e}"),
        )
    })
}
