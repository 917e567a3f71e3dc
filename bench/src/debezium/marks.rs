//! Where the backlog begins and ends for whoever follows it: rows that are changed before it, and others after it.
//!
//! Of each there are so many that every lane and every partition has some, and both keep the order of what is theirs. So when
//! all rows of the head are seen in a target, each of its lanes has begun, and when all of the tail are, each has ended.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use mysql::Session;
use testkit::{connect, wait};

use crate::stand::{COPY, Stand, run};

/// Longer than any backlog at the full size.
const LIMIT: Duration = Duration::from_secs(1800);
const EACH: i64 = 64;

#[derive(Clone, Copy)]
pub enum End {
    Head,
    Tail,
}

impl End {
    /// Ids from -64 to -1, and from -128 to -65: a row of the one never tells of the other.
    fn above(self) -> i64 {
        match self {
            Self::Head => -EACH,
            Self::Tail => -2 * EACH,
        }
    }
}

/// Changes the rows of one end; `turn` tells this time from others.
pub async fn set(stand: &Stand, end: End, turn: u64) -> Result<()> {
    let sql = format!(
        "INSERT INTO requests SELECT {} + CAST(seq AS SIGNED), 'MARK', 'Mark', '', 0, 0, {turn}, 1, NULL, 0, 'EUR', NULL, NOW(6), NOW(6), NULL, NULL \
         FROM seq_1_to_{EACH} ON DUPLICATE KEY UPDATE process_id = VALUES(process_id)",
        end.above() - 1
    );
    let mut db = stand.session(COPY).await?;
    run(&mut db, &sql).await?;
    db.close().await;
    Ok(())
}

/// When head and tail were seen in the target.
pub async fn followed(stand: &Stand, target: &str, turn: u64) -> Result<(Instant, Instant)> {
    let mut db = stand.session(COPY).await?;
    let head = seen(&mut db, target, End::Head, turn, LIMIT).await?;
    let tail = seen(&mut db, target, End::Tail, turn, LIMIT).await?;
    db.close().await;
    Ok((head, tail))
}

/// Waits for one end.
pub async fn seen(db: &mut Session, target: &str, end: End, turn: u64, limit: Duration) -> Result<Instant> {
    let (low, high) = (end.above(), end.above() + EACH - 1);
    let sql =
        format!("SELECT COUNT(*) FROM {target} WHERE id BETWEEN {low} AND {high} AND process_id = {turn}");
    let began = Instant::now();
    loop {
        let n = connect::number(db, &sql).await?;
        if n == EACH as u64 {
            return Ok(Instant::now());
        }
        if began.elapsed() > limit {
            return Err(anyhow!("{n} of {EACH} marks are in {target} after {} s", limit.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What stands behind the last mark in its own batch may be a moment later.
pub async fn same(stand: &Stand, target: &str) -> Result<()> {
    wait::until("equal tables", Duration::from_secs(60), || stand.same_copy(target)).await
}
