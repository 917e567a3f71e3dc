//! Connections for the sample, the churn and the oracle: like an application's, not like a service's.

use anyhow::{Context, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, raw_sql};

/// Opens the schema named in the URL.
pub async fn to(url: &str) -> Result<MySqlConnection> {
    let options = options(url)?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let mut db = options.connect().await.with_context(|| format!("cannot connect to {place}"))?;
    // Character set and collation as an old application has them, whatever the server's default is.
    script(&mut db, "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, SESSION time_zone = '+00:00';\n").await?;
    Ok(db)
}

/// As `to`, after making the schema if it is missing.
pub async fn creating(url: &str) -> Result<MySqlConnection> {
    let options = options(url)?;
    let schema =
        options.get_database().context("the URL names no schema: mysql://user:password@host:port/schema")?;
    let sql = format!(
        "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        ident(schema)
    );
    let mut server = options.clone().database("").connect().await.context("cannot connect")?;
    raw_sql(AssertSqlSafe(sql)).execute(&mut server).await?;
    server.close().await?;
    to(url).await
}

/// Runs statements one after the other; each ends with a semicolon at the end of its line.
pub async fn script(db: &mut MySqlConnection, text: &str) -> Result<()> {
    let kept: Vec<&str> = text.lines().map(|line| line.trim_end()).collect();
    let without_comments: Vec<String> = kept.into_iter().map(strip_comment).collect();
    for statement in without_comments.join("\n").split(";\n") {
        let statement = statement.trim().trim_end_matches(';');
        if statement.is_empty() {
            continue;
        }
        raw_sql(AssertSqlSafe(statement.to_string())).execute(&mut *db).await.with_context(|| {
            format!("statement beginning {:?}", statement.chars().take(120).collect::<String>())
        })?;
    }
    Ok(())
}

/// A line without its comment. Only comments after white space or at the start count, and no text holds `-- `.
fn strip_comment(line: &str) -> String {
    match line.find("-- ") {
        Some(at) => line[..at].trim_end().to_string(),
        None => line.to_string(),
    }
}

pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text as an SQL literal.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn options(url: &str) -> Result<MySqlConnectOptions> {
    let options: MySqlConnectOptions =
        url.parse().context("not a URL of the form mysql://user:password@host:port/schema")?;
    Ok(options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging())
}
