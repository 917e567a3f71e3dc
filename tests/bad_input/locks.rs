//! Rows that somebody else holds: Crossfade neither waits for them nor keeps anybody waiting.

use std::time::{Duration, Instant};

use anyhow::Result;
use mysql::Session;
use testkit::connect;
use testkit::servers::Mariadb;
use testkit::wait::until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answer::json;
use crate::small::Small;
use crate::support;

/// How long the application may wait for a row because of us: the lock budget, and much room for a busy machine.
const BOUND: Duration = Duration::from_secs(3);

/// Somebody who holds rows, while the application writes others and notes how long it waited.
struct Held {
    holder: Session,
    stop: CancellationToken,
    working: JoinHandle<Result<Duration>>,
}

impl Held {
    /// `rows`: a SELECT of the rows to be held.
    async fn begin(url: &str, rows: &str) -> Result<Self> {
        let stop = CancellationToken::new();
        let working = tokio::spawn(application(url.to_owned(), stop.clone()));
        let mut holder = connect::to(url).await?;
        holder.begin().await?;
        holder.row(&format!("{rows} FOR UPDATE")).await?;
        Ok(Self { holder, stop, working })
    }

    /// Checks that the application did not wait, and lets the rows go.
    async fn end(mut self) -> Result<()> {
        self.stop.cancel();
        let longest = self.working.await??;
        assert!(longest < BOUND, "the application waited for {longest:?}");
        Ok(self.holder.rollback().await?)
    }
}

/// An application's session that notes its longest wait while it updates other rows.
async fn application(url: String, stop: CancellationToken) -> Result<Duration> {
    let mut session = connect::to(&url).await?;
    session.execute("SET SESSION innodb_lock_wait_timeout = 30").await.map_err(connect::said)?;
    let mut longest = Duration::ZERO;
    while !stop.is_cancelled() {
        for sql in [
            "UPDATE users SET minutes = minutes + 1 WHERE id = 3",
            "UPDATE users SET other = 1 - COALESCE(other, 0) WHERE id = 1",
        ] {
            let began = Instant::now();
            session.execute(sql).await.map_err(connect::said)?;
            longest = longest.max(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(longest)
}

/// The scope of user 2 can be marked by somebody else's row.
const BOSS_TO_COME: &str = "UPDATE users SET boss_id = 7 WHERE id = 2";
const BUSY: &str = "SELECT COUNT(*) FROM exceptions WHERE target_table = 'users' AND scope_key = '2' AND reason = 'busy' AND closed_at IS NULL";

/// Holds the row of user 2 while his boss comes, and waits until its scope is parked.
async fn parked(small: &Small<'_>) -> Result<Held> {
    let held = Held::begin(&small.deployment.schemas.url, "SELECT id FROM users WHERE id = 2").await?;
    small.sql("INSERT INTO users (id, email, minutes) VALUES (7, 'gus', 7)").await?;
    until("the held row is parked", Duration::from_secs(20), || async {
        let count = small.control(BUSY).await.map_err(|e| e.to_string())?;
        if count == "1" { Ok(()) } else { Err(count) }
    })
    .await?;
    Ok(held)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_application_holds_is_left_to_it() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_held").await?;
    let d = &small.deployment;
    small.sql(BOSS_TO_COME).await?;
    let mut up = small.up().await?;
    let held = parked(&small).await?;
    // All else goes on: the stream, and a backfill that meets the row, too.
    small.sql("UPDATE users SET minutes = 70 WHERE id = 7").await?;
    until("another row of the table", Duration::from_secs(20), || async {
        let now = small.sql("SELECT seconds FROM users WHERE id = 7").await.map_err(|e| e.to_string())?;
        if now == "4200" { Ok(()) } else { Err(now) }
    })
    .await?;
    json(d, &["backfill", "--again"], 0, "backfill").await?;
    let late = json(d, &["wait", "--timeout", "1s"], 1, "wait").await?;
    assert!(late["waits_for"].as_str().is_some_and(|w| w.contains("the application holds")), "{late}");
    // We wait for no row of the application's table.
    let waits = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%`{}`.`users` AS t%'",
        d.schemas.legacy
    );
    for _ in 0..30 {
        assert_eq!(server.sql(&waits).await?, "0");
    }
    held.end().await?;
    d.yes(&["wait", "--timeout", "30s"]).await?;
    let sql = "SELECT u.boss_uuid = m.uuid_binary FROM users u JOIN users_id_map m ON m.legacy_id = 7 WHERE u.id = 2";
    assert_eq!(small.sql(sql).await?, "1");
    assert_eq!(small.control(BUSY).await?, "0");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// The mapper has taken the parked scope up again, and its mark goes with the process and its bus.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_scope_is_taken_up_again_after_a_kill() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_forgotten").await?;
    let d = &small.deployment;
    small.sql(BOSS_TO_COME).await?;
    let mut up = small.up().await?;
    let held = parked(&small).await?;
    support::kill(&mut up).await?;
    small.control("DELETE FROM redrive").await?;
    held.end().await?;
    let mut up = small.up().await?;
    d.yes(&["wait", "--timeout", "30s"]).await?;
    assert_eq!(small.control(BUSY).await?, "0");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_row_that_somebody_holds_keeps_nobody_waiting() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "bad_shadow").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_LANES", "1");
    let d = &small.deployment;
    // Enough rows in one lane that one of them must be found.
    small.sql("INSERT INTO users (id, email) SELECT 100 + seq, CONCAT('u', seq) FROM seq_1_to_400").await?;
    let mut up = small.up().await?;
    let held = Held::begin(&d.schemas.url, "SELECT id FROM people WHERE id = 222").await?;

    small.sql("UPDATE users SET email = CONCAT(email, '!') WHERE id > 100").await?;
    let began = Instant::now();
    until("the other rows of its lane", Duration::from_secs(20), || async {
        let done = small
            .sql("SELECT COUNT(*) FROM people WHERE email LIKE '%!'")
            .await
            .map_err(|e| e.to_string())?;
        if done == "399" { Ok(()) } else { Err(done) }
    })
    .await?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "they waited for {took:?}");
    let late = json(d, &["wait", "--timeout", "1s"], 1, "wait").await?;
    assert!(late["waits_for"].is_string(), "{late}");
    held.end().await?;
    d.yes(&["wait", "--timeout", "30s"]).await?;
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 222").await?, "u122!");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
