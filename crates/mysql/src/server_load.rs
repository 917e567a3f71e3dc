//! How busy the source and its replicas are: what throttles the backfill.

use std::time::Duration;

use plan::catalog::Flavour;

use crate::database::Database;
use crate::error::DbError;
use crate::row::Row;
use crate::server::Server;
use crate::session::Session;
use crate::url::DatabaseUrl;

/// Above these the backfill waits. `None`: that figure is not looked at.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub replicas: Vec<DatabaseUrl>,
    pub replica_lag: Option<Duration>,
    /// `Threads_running` of the source.
    pub threads_running: Option<u64>,
    /// Undo logs that InnoDB could not purge yet.
    pub history_length: Option<u64>,
}

/// One look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// The largest, in seconds.
    pub replica_lag: Option<f64>,
    pub threads_running: Option<u64>,
    pub history_length: Option<u64>,
    /// Why to wait; a configured figure that can't be measured is among the reasons. Empty: go on.
    pub too_high: Vec<String>,
}

/// Looks with connections of its own, which it opens again after an error.
pub struct ServerLoad {
    limits: Limits,
    source: Probe,
    replicas: Vec<Probe>,
}

struct Probe {
    database: Database,
    session: Option<Session>,
    flavour: Option<Flavour>,
}

impl ServerLoad {
    pub fn new(source: Database, limits: Limits) -> Self {
        let probe = |database| Probe { database, session: None, flavour: None };
        let replicas = limits.replicas.iter().map(|url| probe(Database::new(url.clone(), source.control())));
        Self { replicas: replicas.collect(), source: probe(source), limits }
    }

    /// Takes as long as its slowest server, at most 5 seconds for each.
    pub async fn look(&mut self) -> Load {
        let mut load = Load::default();
        if let Some(limit) = self.limits.threads_running {
            let found = self.source.ask(Question::ThreadsRunning).await.map(|n| n as u64);
            load.threads_running = found.as_ref().ok().copied();
            judge(&mut load.too_high, "threads running", found, limit);
        }
        if let Some(limit) = self.limits.history_length {
            let found = self.source.ask(Question::HistoryLength).await.map(|n| n as u64);
            load.history_length = found.as_ref().ok().copied();
            judge(&mut load.too_high, "history list length", found, limit);
        }
        if let Some(limit) = self.limits.replica_lag {
            for replica in &mut self.replicas {
                let what = format!("seconds of lag of {}", replica.database.url().host());
                let found = replica.ask(Question::ReplicaLag).await;
                if let Ok(lag) = found {
                    load.replica_lag = Some(load.replica_lag.unwrap_or(0.0).max(lag));
                }
                judge(&mut load.too_high, &what, found, limit.as_secs_f64());
            }
        }
        load
    }
}

fn judge<T: PartialOrd + std::fmt::Display>(
    too_high: &mut Vec<String>,
    what: &str,
    found: Result<T, String>,
    limit: T,
) {
    match found {
        Ok(found) if found > limit => too_high.push(format!("{what}: {found}, the limit is {limit}")),
        Ok(_) => {}
        Err(why) => too_high.push(format!("{what}: can't be measured ({why})")),
    }
}

#[derive(Clone, Copy)]
enum Question {
    ThreadsRunning,
    HistoryLength,
    ReplicaLag,
}

impl Probe {
    async fn ask(&mut self, question: Question) -> Result<f64, String> {
        let answer = tokio::time::timeout(Duration::from_secs(5), self.try_ask(question)).await;
        match answer {
            Ok(Ok(Some(n))) => Ok(n),
            Ok(Ok(None)) => Err("the server does not say".into()),
            Ok(Err(e)) => {
                self.session = None;
                Err(e.to_string())
            }
            Err(_) => {
                self.session = None;
                Err("no answer within 5 s".into())
            }
        }
    }

    async fn try_ask(&mut self, question: Question) -> Result<Option<f64>, DbError> {
        if self.session.is_none() {
            self.session = Some(self.database.session().await?);
        }
        let Some(session) = &mut self.session else { return Ok(None) };
        let flavour = match self.flavour {
            Some(flavour) => flavour,
            None => *self.flavour.insert(Server::identify(session).await?.flavour),
        };
        match question {
            Question::ThreadsRunning => status(session, "Threads_running").await,
            Question::HistoryLength if flavour == Flavour::MariaDb => {
                status(session, "Innodb_history_list_length").await
            }
            Question::HistoryLength => {
                let sql =
                    "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'";
                session.row(sql).await?.map_or(Ok(None), |row| row.f64(0))
            }
            Question::ReplicaLag => replica_lag(session).await,
        }
    }
}

async fn status(session: &mut Session, name: &str) -> Result<Option<f64>, DbError> {
    let row = session.row(&format!("SHOW GLOBAL STATUS LIKE {}", plan::quote::text(name))).await?;
    row.map_or(Ok(None), |row| row.f64(1))
}

/// The largest lag of all channels; a server that does not replicate, or does not know its lag, has none.
async fn replica_lag(session: &mut Session) -> Result<Option<f64>, DbError> {
    let rows = match session.rows("SHOW REPLICA STATUS").await {
        // Servers from before the word was changed.
        Err(e) if e.code == Some(1064) => session.rows("SHOW SLAVE STATUS").await?,
        other => other?,
    };
    let lag = |row: &Row| {
        let names = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
        names.iter().find_map(|n| row.place(n)).map_or(Ok(None), |i| row.f64(i))
    };
    let lags: Result<Option<Vec<f64>>, DbError> = rows.iter().map(lag).collect();
    Ok(lags?.and_then(|lags| lags.into_iter().reduce(f64::max)))
}
