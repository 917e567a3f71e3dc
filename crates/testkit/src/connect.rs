//! Sessions for the sample, the churn and the oracle: set up as an old application's are, not as a service's.

use anyhow::{Context, Result, anyhow};
use mysql::{Database, DatabaseUrl, DbError, Session};

/// What a legacy application runs under: the servers' default isolation, backslashes that escape.
const APPLICATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
    SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', lock_wait_timeout = 60";

/// Opens the schema named in the URL, as the application does.
pub async fn to(url: &str) -> Result<Session> {
    let database = Database::new(parse(url)?, "unused");
    let mut db = database.session().await.map_err(said)?;
    db.execute(APPLICATION).await.map_err(said)?;
    Ok(db)
}

/// As `to`, after making the schema if it is missing; what is made in it has the contract's collation.
pub async fn creating(url: &str) -> Result<Session> {
    let schema = parse(url)?.schema().to_string();
    let (before, after) = url.split_once('?').map_or((url, None), |(b, a)| (b, Some(a)));
    let at = before.rfind('/').context("the URL names no schema: mysql://user:password@host:port/schema")?;
    let mut server = format!("{}/information_schema", &before[..at]);
    if let Some(after) = after {
        server = format!("{server}?{after}");
    }
    let mut db = to(&server).await?;
    let sql = format!(
        "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        ident(&schema)
    );
    db.execute(&sql).await.map_err(said)?;
    let sql = format!("ALTER DATABASE {} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", ident(&schema));
    db.execute(&sql).await.map_err(said)?;
    db.close().await;
    to(url).await
}

/// Runs statements one after the other; each ends with a semicolon at the end of its line.
pub async fn script(db: &mut Session, text: &str) -> Result<()> {
    let lines: Vec<&str> = text.lines().map(without_comment).collect();
    for statement in lines.join("\n").split(";\n") {
        let statement = statement.trim().trim_end_matches(';');
        if statement.is_empty() {
            continue;
        }
        db.execute(statement).await.map_err(said).with_context(|| {
            format!("statement beginning {:?}", statement.chars().take(120).collect::<String>())
        })?;
    }
    Ok(())
}

/// The one number that a query gives; 0 for NULL or no row.
pub async fn number(db: &mut Session, sql: &str) -> Result<u64> {
    let row = db.row(sql).await.map_err(said)?;
    Ok(row.map(|row| row.u64(0)).transpose()?.flatten().unwrap_or(0))
}

/// The error with what the server said: these are test data, and the reader has to find the mistake.
pub fn said(error: DbError) -> anyhow::Error {
    let message = error.server_message().to_string();
    anyhow!(error).context(message)
}

/// A line without its comment; no text in our files holds `-- `.
fn without_comment(line: &str) -> &str {
    line.find("-- ").map_or(line, |at| &line[..at]).trim_end()
}

pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text as an SQL literal, where backslashes escape.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn parse(url: &str) -> Result<DatabaseUrl> {
    Ok(url.parse::<DatabaseUrl>()?)
}
