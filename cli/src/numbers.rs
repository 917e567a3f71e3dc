//! The numbers that services keep: in the control schema for `crossfade status`, and under `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use service::Reading;

/// A count since the start of the process.
pub struct Count {
    /// As it stands in the control schema.
    key: &'static str,
    /// As it stands under `/metrics`, where it ends in `_total`.
    name: &'static str,
    help: &'static str,
    value: u64,
}

fn count(key: &'static str, name: &'static str, help: &'static str, value: &AtomicU64) -> Count {
    Count { key, name, help, value: value.load(Relaxed) }
}

pub fn detail(counts: &[Count]) -> serde_json::Value {
    counts.iter().map(|c| (c.key.to_string(), serde_json::Value::from(c.value))).collect()
}

pub fn readings(counts: &[Count]) -> Vec<Reading> {
    counts.iter().map(|c| Reading::counter(c.name, c.help, c.value)).collect()
}

pub fn mapper(m: &mapper::metrics::Metrics) -> Vec<Count> {
    vec![
        count("changes", "crossfade_mapper_changes", "Row changes routed", &m.changes),
        count("records", "crossfade_mapper_records", "Records of marks published", &m.marks),
        count("lookups", "crossfade_mapper_lookups", "Look-ups of routes", &m.lookups),
        count("redriven", "crossfade_mapper_redriven", "Scopes marked again", &m.redriven),
    ]
}

pub fn id_mapper(m: &id_mapper::metrics::Metrics) -> Vec<Count> {
    vec![
        count("marks", "crossfade_id_mapper_marks", "Marks taken", &m.marks),
        count("minted", "crossfade_id_mapper_minted", "Entries written into id maps", &m.minted),
        count(
            "collisions",
            "crossfade_id_mapper_collisions",
            "Derived ids that were taken already",
            &m.collisions,
        ),
    ]
}

pub fn writer(m: &writer::metrics::Metrics) -> Vec<Count> {
    vec![
        count("batches", "crossfade_writer_batches", "Batches of lanes applied", &m.batches),
        count("marks", "crossfade_writer_marks", "Scopes applied from lanes", &m.marks),
        count(
            "changed",
            "crossfade_writer_changed_rows",
            "Target rows inserted, updated or deleted",
            &m.changed,
        ),
        count("parked", "crossfade_writer_parked", "Times that a scope was parked", &m.parked),
        count("fenced", "crossfade_writer_fenced", "Batches whose lane another writer had moved", &m.fenced),
        count("retries", "crossfade_writer_retries", "Batches tried again after a passing error", &m.retries),
        count("chunks", "crossfade_writer_chunks", "Chunks of passes", &m.chunks),
    ]
}

pub fn reader(s: &cdc_reader::Status) -> Vec<Reading> {
    let mut readings: Vec<Reading> = [
        ("crossfade_reader_events", "Binlog events read", s.events),
        ("crossfade_reader_transactions", "Transactions read", s.transactions),
        ("crossfade_reader_rows", "Rows of watched tables read, echoes among them", s.rows),
        ("crossfade_reader_direct_writes", "Transactions of others that wrote into targets", s.direct_writes),
        ("crossfade_reader_echoes", "Updates that changed nothing the plan reads", s.echoes),
        ("crossfade_reader_published_rows", "Row changes published", s.published_rows),
        ("crossfade_reader_published_bytes", "Bytes published", s.published_bytes),
        ("crossfade_reader_barriers", "Barriers committed", s.barriers),
        ("crossfade_reader_reconnects", "Connections to the binlog made again", s.reconnects),
    ]
    .map(|(name, help, value)| Reading::counter(name, help, value))
    .into();
    readings.extend([
        Reading::gauge(
            "crossfade_reader_connected",
            "1: the binlog is being read",
            if s.connected { 1.0 } else { 0.0 },
        ),
        Reading::gauge("crossfade_reader_epoch", "Epoch of this reader's seat", s.epoch as f64),
        Reading::gauge(
            "crossfade_reader_lag_seconds",
            "From the commit of a beat until it came back through the binlog",
            s.lag_ms as f64 / 1000.0,
        ),
        Reading::gauge(
            "crossfade_reader_source_time_seconds",
            "Commit time of the newest transaction read, by the source's clock",
            s.source_time_ms as f64 / 1000.0,
        ),
    ]);
    readings
}

/// What the fence has proved last, as seen by the verifier, and what the verdict says.
pub fn verifier(proof: &verifier::Proof, metrics: &verifier::metrics::Metrics) -> Vec<Reading> {
    let age = proof.age().map(|age| {
        Reading::gauge(
            "crossfade_applied_age_seconds",
            "Since everything that was published then was proved to be applied",
            age.as_secs_f64(),
        )
    });
    age.into_iter().chain(metrics.readings()).collect()
}
