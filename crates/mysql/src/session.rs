//! One connection with our settings. Statements go as text, so that one SQL text serves everywhere.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection};

use crate::error::{Class, DbError};
use crate::row::Row;

/// A statement that has not ended by then is given up with its connection: the way to the server is taken for dead.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(300);

/// A session is used by one worker. A statement that is cancelled or that loses the connection leaves the session
/// closed: every later call fails with [`Class::Connection`], and the server rolls back. So a half-read answer can never
/// be taken for another statement's.
pub struct Session {
    /// `None` while a statement runs, and for ever after one that did not end.
    connection: Option<MySqlConnection>,
    /// A stream is open, or was dropped before its end.
    streaming: bool,
    timeout: Duration,
}

impl Session {
    pub(crate) fn new(connection: MySqlConnection) -> Self {
        Self { connection: Some(connection), streaming: false, timeout: STATEMENT_TIMEOUT }
    }

    /// The longest time that one statement may take (5 minutes unless told).
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// False: open a new one.
    pub fn is_open(&self) -> bool {
        self.connection.is_some() && !self.streaming
    }

    /// Runs statements that return no rows; the number of rows *matched* (an UPDATE to equal values counts).
    pub async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let mut connection = self.take()?;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
        let result = timed(self.timeout, "run a statement", done).await;
        self.put_back(connection, &result);
        Ok(result?.rows_affected())
    }

    /// All rows of a result that is known to be small.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, DbError> {
        let mut connection = self.take()?;
        let all = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection);
        let result = timed(self.timeout, "run a query", all).await;
        self.put_back(connection, &result);
        Ok(result?.into_iter().map(Row::new).collect())
    }

    /// The first row, if any.
    pub async fn row(&mut self, sql: &str) -> Result<Option<Row>, DbError> {
        Ok(self.rows(sql).await?.into_iter().next())
    }

    /// The number that a query gives; nothing, or NULL, is 0.
    pub async fn count(&mut self, sql: &str) -> Result<u64, DbError> {
        Ok(self.row(sql).await?.map(|r| r.u64(0)).transpose()?.flatten().unwrap_or_default())
    }

    /// Rows one by one, in bounded memory. A stream that is dropped before its end closes the session.
    pub fn stream(&mut self, sql: &str) -> Result<RowStream<'_>, DbError> {
        let connection = self.take()?;
        self.streaming = true;
        let connection = self.connection.insert(connection);
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
        Ok(RowStream { rows, streaming: &mut self.streaming })
    }

    pub async fn begin(&mut self) -> Result<(), DbError> {
        self.execute("START TRANSACTION").await.map(drop).map_err(|e| e.doing("begin a transaction"))
    }

    pub async fn commit(&mut self) -> Result<(), DbError> {
        self.execute("COMMIT").await.map(drop).map_err(|e| e.doing("commit"))
    }

    pub async fn rollback(&mut self) -> Result<(), DbError> {
        self.execute("ROLLBACK").await.map(drop).map_err(|e| e.doing("roll back"))
    }

    /// Says goodbye to the server. Dropping a session is as safe, but counts as an aborted client there.
    pub async fn close(mut self) {
        if let Ok(connection) = self.take() {
            // Whether the server hears it makes no difference any more.
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
        }
    }

    fn take(&mut self) -> Result<MySqlConnection, DbError> {
        if self.streaming {
            self.connection = None;
        }
        self.connection.take().ok_or_else(|| {
            let reason = "the session is closed, because a statement was cancelled or lost the connection; open another";
            DbError::new("use a session", Class::Connection, reason)
        })
    }

    fn put_back<T>(&mut self, connection: MySqlConnection, result: &Result<T, DbError>) {
        if !matches!(result, Err(e) if e.is_fatal_to_session()) {
            self.connection = Some(connection);
        }
    }
}

/// Rows of [`Session::stream`].
pub struct RowStream<'s> {
    rows: BoxStream<'s, Result<MySqlRow, sqlx::Error>>,
    streaming: &'s mut bool,
}

impl Stream for RowStream<'_> {
    type Item = Result<Row, DbError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.rows.as_mut().poll_next(cx));
        Poll::Ready(match next {
            Some(Ok(row)) => Some(Ok(Row::new(row))),
            Some(Err(e)) => {
                let error = DbError::sqlx("read a result", e);
                // After an error from the server itself the connection is at the start of a statement again.
                *self.streaming = error.is_fatal_to_session();
                Some(Err(error))
            }
            None => {
                *self.streaming = false;
                None
            }
        })
    }
}

async fn timed<T>(
    limit: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, DbError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(|e| DbError::sqlx(doing, e)),
        Err(_) => {
            Err(DbError::new(doing, Class::Connection, format!("no answer within {} s", limit.as_secs())))
        }
    }
}
