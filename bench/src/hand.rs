//! What one would write by hand: chunks over connections, and nothing else — no stream, no lanes, no reports.

use std::time::Instant;

use anyhow::Result;
use testkit::connect;

use crate::stand::{HAND, NAMES, Stand, run};

/// Rows of a chunk.
pub const CHUNK: u64 = 5000;

/// The columns that an upsert brings up to date.
fn assignments() -> String {
    let set: Vec<String> = NAMES[1..].iter().map(|c| format!("{c} = VALUES({c})")).collect();
    set.join(", ")
}

/// Statements that copy `from` in key ranges.
pub fn copy(from: &str, rows: u64) -> Vec<String> {
    let names = NAMES.join(", ");
    let sql = |low: u64, high: u64| {
        format!(
            "INSERT INTO {HAND}.requests_new ({names}) SELECT {names} FROM {from} WHERE id BETWEEN {low} AND {high} \
             ON DUPLICATE KEY UPDATE {}",
            assignments()
        )
    };
    ranges(rows).map(|(low, high)| sql(low, high)).collect()
}

/// Statements that fill the parallel columns, parents looked up.
pub fn columns(table: &str, users: &str, rows: u64) -> Vec<String> {
    let parent = |column: &str| format!("(SELECT u.id FROM {users} u WHERE u.id = r.{column})");
    let set = format!(
        "created_by_id = {}, assigned_to_id = {}, started_at = COALESCE(due_at, created_at)",
        parent("created_by_user_id"),
        parent("assigned_to_user_id")
    );
    ranges(rows)
        .map(|(low, high)| format!("UPDATE {table} r SET {set} WHERE r.id BETWEEN {low} AND {high}"))
        .collect()
}

/// Multi-row upserts with the values in them: `count` rows of `from`, each with another status, 1000 rows a statement.
pub async fn upserts(stand: &Stand, from: &str, count: u64) -> Result<Vec<String>> {
    let values: Vec<String> = NAMES
        .iter()
        .map(|c| if *c == "status" { "QUOTE(status + 1)".into() } else { format!("QUOTE({c})") })
        .collect();
    let sql = format!(
        "SELECT CONCAT('(', CONCAT_WS(',', {}), ')') FROM {from} ORDER BY id LIMIT {count}",
        values.join(", ")
    );
    let mut db = stand.session(HAND).await?;
    let rows = db.rows(&sql).await.map_err(connect::said)?;
    let rows: Vec<&str> = rows.iter().map(|r| Ok(r.text(0)?.unwrap_or_default())).collect::<Result<_>>()?;
    let tail = assignments();
    let statement = |rows: &[&str]| {
        format!("INSERT INTO {HAND}.requests_new VALUES {} ON DUPLICATE KEY UPDATE {tail}", rows.join(","))
    };
    Ok(rows.chunks(1000).map(statement).collect())
}

/// Runs the statements over so many connections, each a contiguous share; gives the seconds that it took.
pub async fn timed(stand: &Stand, statements: &[String], connections: usize) -> Result<f64> {
    let share = statements.len().div_ceil(connections).max(1);
    let mut ready = Vec::new();
    for statements in statements.chunks(share) {
        ready.push((stand.session(HAND).await?, statements.to_vec()));
    }
    let began = Instant::now();
    let workers: Vec<_> = ready
        .into_iter()
        .map(|(mut db, statements)| {
            tokio::spawn(async move {
                for statement in &statements {
                    run(&mut db, statement).await?;
                }
                anyhow::Ok(db)
            })
        })
        .collect();
    let mut open = Vec::new();
    for worker in workers {
        open.push(worker.await??);
    }
    let took = began.elapsed().as_secs_f64();
    for db in open {
        db.close().await;
    }
    Ok(took)
}

fn ranges(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..rows.div_ceil(CHUNK)).map(|i| (i * CHUNK + 1, (i + 1) * CHUNK))
}
