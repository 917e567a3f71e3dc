//! A private MariaDB.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;
use tokio::sync::OnceCell;

use super::{Server, Started};
use crate::{connect, ports};

/// Makes binlogs rotate all the time.
pub const TINY_BINLOGS: &str = "--max-binlog-size=4096";

pub struct Mariadb {
    server: Server,
    pub port: u16,
}

/// Fresh, empty schemas for one test.
#[derive(Clone, Debug)]
pub struct Schemas {
    pub legacy: String,
    pub control: String,
    /// The server's address with the legacy schema.
    pub url: String,
}

/// The address of a schema, empty and made anew, on the server of a binary's tests: a private one, or the one that
/// `CROSSFADE_TEST_DATABASE` names with an account that has all privileges, such as `mysql://cf:cf@127.0.0.1:3306`.
pub async fn empty_schema(name: &str) -> anyhow::Result<String> {
    let server = match std::env::var("CROSSFADE_TEST_DATABASE") {
        Ok(server) => server,
        Err(_) => Mariadb::shared().await?.url(""),
    };
    let (server, options) = server.split_once('?').unwrap_or((&server, ""));
    let url = |schema: &str| format!("{}/{schema}?{options}", server.trim_end_matches('/'));
    let mut admin = connect::to(&url("information_schema")).await?;
    let sql = format!(
        "DROP DATABASE IF EXISTS {0}; CREATE DATABASE {0} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        connect::ident(name)
    );
    admin.execute(&sql).await.map_err(connect::said)?;
    admin.close().await;
    Ok(url(name))
}

impl Mariadb {
    /// With any options of the server, on a free port; user and password are `cf`, with all privileges.
    pub async fn start(options: &[&str]) -> anyhow::Result<Self> {
        // Somebody else may have taken the port meanwhile.
        let mut failed = None;
        for _ in 0..3 {
            let port = ports::free();
            let arguments = std::iter::once(port.to_string()).chain(options.iter().map(|o| (*o).to_owned()));
            match Server::start("mariadb.sh", arguments.collect(), &[]).await {
                Ok(Started::Yes(server)) => return Ok(Self { server, port }),
                Ok(Started::Cannot(reason)) => bail!("the tests need MariaDB: {reason}"),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("three attempts failed"))
    }

    /// One server for all tests of a binary; each takes its own `schemas`. It ends with the process.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Mariadb> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(&[])).await
    }

    pub fn url(&self, schema: &str) -> String {
        format!("mysql://cf:cf@127.0.0.1:{}/{schema}", self.port)
    }

    /// Two new schemas, whose names begin with `name`.
    pub async fn schemas(&self, name: &str) -> anyhow::Result<Schemas> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let legacy = format!("{name}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let control = format!("{legacy}_control");
        self.sql(&format!("CREATE DATABASE `{legacy}`; CREATE DATABASE `{control}`")).await?;
        Ok(Schemas { url: self.url(&legacy), legacy, control })
    }

    /// Statements as root, through the server's own client: rows as lines, columns separated by tabs, no headings.
    pub async fn sql(&self, statements: &str) -> anyhow::Result<String> {
        let arguments = ["-N", "-B", "-e", statements].map(str::to_owned);
        self.server.call("sql", &arguments).await
    }

    /// SIGKILL. `restart` recovers on the same data and port.
    pub async fn crash(&self) -> anyhow::Result<()> {
        self.server.call("crash", &[]).await.map(drop)
    }

    /// Ends it in good order.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.server.call("stop", &[]).await.map(drop)
    }

    /// Starts it again with the same options.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.server.restart().await
    }

    /// Starts it again with other options.
    pub async fn restart_with(&mut self, options: &[&str]) -> anyhow::Result<()> {
        let arguments = std::iter::once(self.port.to_string()).chain(options.iter().map(|o| (*o).to_owned()));
        self.server.arguments = arguments.collect();
        self.server.restart().await
    }

    /// SIGSTOP: it holds its connections and does not answer.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.server.signal("-STOP").await
    }

    pub async fn thaw(&self) -> anyhow::Result<()> {
        self.server.signal("-CONT").await
    }

    pub fn pid(&self) -> anyhow::Result<u32> {
        self.server.pid()
    }

    /// The folder with its data, for tests that damage files.
    pub fn data(&self) -> std::path::PathBuf {
        self.server.folder().join("data")
    }
}
