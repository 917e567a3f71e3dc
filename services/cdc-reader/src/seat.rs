//! The reader's row in the control schema: epoch, beat and position. One statement is barrier, record and fence.

use std::time::{Duration, Instant};

use change::Position;
use mysql::control::finding;
use mysql::{Database, DbError, Row, Session};
use plan::quote;
use service::Retry;

use crate::error::ReaderError;
use crate::witness::Direct;

/// A beat that is not answered by then is tried again on another connection. The first may still be carried out after the
/// second, and then sets the position back by one save: more is read again, nothing is lost.
const ANSWER: Duration = Duration::from_secs(10);

pub(crate) struct Seat {
    database: Database,
    session: Session,
    source: String,
    pub epoch: u64,
    /// Our last committed beat. The server's may be higher by one that we took for lost.
    beat: u64,
    /// The position of the last beat.
    pub saved: Position,
}

impl Seat {
    /// Takes the source over from whoever read it, and says where reading starts.
    pub async fn take(database: &Database, source: &str) -> Result<Seat, ReaderError> {
        let mut session = session(database).await?;
        let table = database.control_table("reader");
        let name = quote::text(source);
        session.begin().await?;
        session
            .execute(&format!(
                "INSERT INTO {table} (source) VALUES ({name}) ON DUPLICATE KEY UPDATE source = source"
            ))
            .await?;
        let row = session
            .row(&format!("SELECT epoch, beat, position FROM {table} WHERE source = {name} FOR UPDATE"))
            .await?;
        let lost = || DbError::new("take the reader's seat", mysql::Class::Missing, "the row is gone");
        let row = row.ok_or_else(lost)?;
        let epoch = row.u64(0)?.unwrap_or_default() + 1;
        let beat = row.u64(1)?.unwrap_or_default();
        let saved = row.text(2)?.map(str::parse::<Position>).transpose();
        let saved =
            saved.map_err(|problem| ReaderError::SavedPosition { source_name: source.into(), problem })?;
        session.execute(&format!("UPDATE {table} SET epoch = {epoch} WHERE source = {name}")).await?;
        session.commit().await?;

        let begins = saved.is_none();
        let mut seat = Seat {
            database: database.clone(),
            session,
            source: source.into(),
            epoch,
            beat,
            saved: saved.unwrap_or_default(),
        };
        if begins {
            // Read first, then written: the write is committed behind everything up to this position, so all of it is
            // visible to whoever starts after us.
            let row = seat.session.row("SELECT @@GLOBAL.gtid_binlog_pos").await?;
            let text = row.as_ref().map(|r| r.text(0)).transpose()?.flatten().unwrap_or_default();
            let start = text
                .parse()
                .map_err(|problem| ReaderError::SavedPosition { source_name: source.into(), problem })?;
            seat.beat(&start).await?;
        }
        Ok(seat)
    }

    /// Commits a beat that records `position`. Returns its number, and when its commit was known.
    ///
    /// Errors that pass are waited for; a reader that has been deposed learns it here.
    pub async fn beat(&mut self, position: &Position) -> Result<(u64, Instant), ReaderError> {
        let statement = format!(
            "UPDATE {} SET beat = beat + 1, position = {}, beat_at = NOW(6) WHERE source = {} AND epoch = {}",
            self.database.control_table("reader"),
            quote::text(&position.to_string()),
            quote::text(&self.source),
            self.epoch
        );
        if self.execute(&statement).await? == 0 {
            return Err(ReaderError::Deposed { source_name: self.source.clone(), epoch: self.epoch });
        }
        self.beat += 1;
        self.saved.clone_from(position);
        Ok((self.beat, Instant::now()))
    }

    /// Writes down others' writes into targets. Those of a target that is dual-written are allowed.
    pub async fn witness(&mut self, direct: &[(Direct, Position)]) -> Result<(), ReaderError> {
        for (write, position) in direct {
            let statement = finding::direct_write(&self.database, &write.target, &write.key, position);
            if self.execute(&statement).await? > 0 {
                tracing::warn!(target = %write.target, key = %write.key, %position, "somebody else wrote into a target");
            }
        }
        Ok(())
    }

    /// Writes down what was compared.
    pub async fn record(&mut self, statement: &str) -> Result<(), ReaderError> {
        self.execute(statement).await.map(drop)
    }

    /// Rows of the control schema; errors that pass are waited for.
    pub async fn rows(&mut self, query: &str) -> Result<Vec<Row>, ReaderError> {
        let mut retry = Retry::new("the control schema");
        loop {
            match self.session.rows(query).await {
                Ok(rows) => return Ok(rows),
                Err(e) => self.outlast(e, &mut retry).await?,
            }
        }
    }

    /// Runs a statement; errors that pass are waited for.
    async fn execute(&mut self, statement: &str) -> Result<u64, ReaderError> {
        let mut retry = Retry::new("the control schema");
        loop {
            match self.session.execute(statement).await {
                Ok(matched) => return Ok(matched),
                Err(e) => self.outlast(e, &mut retry).await?,
            }
        }
    }

    /// Waits, and sees to it that there is a session again. An error that does not pass is given back.
    async fn outlast(&mut self, error: DbError, retry: &mut Retry) -> Result<(), ReaderError> {
        if !error.is_transient() {
            return Err(error.into());
        }
        let told =
            |tries| tracing::warn!(%error, tries, "the control schema could not be reached; trying again");
        tokio::time::sleep(retry.failed(told)).await;
        if !self.session.is_open() {
            match session(&self.database).await {
                Ok(session) => self.session = session,
                Err(e) if e.is_transient() => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Seconds since 1970 by the server's clock; `None` if it cannot be had now.
    pub async fn server_time(&mut self) -> Option<u64> {
        let row = self.session.row("SELECT CAST(UNIX_TIMESTAMP() AS UNSIGNED)").await.ok()??;
        row.u64(0).ok()?
    }

    pub async fn close(self) {
        self.session.close().await;
    }
}

async fn session(database: &Database) -> Result<Session, DbError> {
    let mut session = database.session().await?;
    session.set_timeout(ANSWER);
    Ok(session)
}
