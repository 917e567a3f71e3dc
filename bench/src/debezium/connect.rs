//! Debezium's MariaDB source, Kafka, and Debezium's JDBC sink in one Connect worker, tuned, driven over REST.
//!
//! The worker stays up from its first start to the end: between two measurements its connectors are stopped, not its Java,
//! so that it is always warm.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use testkit::servers::{Server, Started};
use testkit::{ports, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stand::{COPY, Stand};

/// The schema of the sink's table, `requests_new`.
pub const TARGET: &str = "bench_debezium";

const SOURCE: &str = "source";
const SINK: &str = "sink";
/// How long a connector may take for what it is told.
const LIMIT: Duration = Duration::from_secs(120);
/// Partitions of the topic, and tasks of the sink: one for each of the two cores that the figures were tuned on.
const PARTITIONS: usize = 2;
/// Rows of a batch of the sink.
const BATCH: usize = 2000;

/// What the connectors are tuned for; nobody has both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tuned {
    Throughput,
    Latency,
}

/// Which connectors a call is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Both,
    Sink,
}

impl Which {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Both => &[SINK, SOURCE],
            Self::Sink => &[SINK],
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running,
    Stopped,
}

impl State {
    /// Is that a connector's status? A stopped one has no tasks, and a running one may not have them yet.
    fn is(self, status: &Value) -> bool {
        let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        match self {
            Self::Running => !tasks.is_empty() && tasks.iter().all(|task| task["state"] == "RUNNING"),
            Self::Stopped => tasks.is_empty() && status["connector"]["state"] == "STOPPED",
        }
    }
}

pub struct Pipeline {
    /// Dropped before the broker that it uses.
    worker: Server,
    broker: Server,
    port: u16,
    database: u16,
}

impl Pipeline {
    /// Broker and worker, without connectors. The inner error is the reason why this machine cannot.
    pub async fn start(stand: &Stand) -> Result<Result<Self, String>> {
        let (at, controller, port) = (ports::free(), ports::free(), ports::free());
        // The script's broker is a small one for tests: here it gets room, and the optimising compiler.
        let large = [("KAFKA_HEAP", "1g"), ("_JAVA_OPTIONS", "-XX:TieredStopAtLevel=4")];
        let arguments = [at.to_string(), controller.to_string(), format!("num.partitions={PARTITIONS}")];
        let broker = match Server::start("kafka.sh", arguments.into(), &large).await? {
            Started::Yes(broker) => broker,
            Started::Cannot(reason) => return Ok(Err(reason)),
        };
        let arguments =
            [port.to_string(), format!("127.0.0.1:{at}"), "offset.flush.interval.ms=5000".to_string()];
        let worker = match Server::start("connect.sh", arguments.into(), &[]).await? {
            Started::Yes(worker) => worker,
            Started::Cannot(reason) => return Ok(Err(reason)),
        };
        Ok(Ok(Self { worker, broker, port, database: stand.server.port }))
    }

    /// Its processes: worker and broker.
    pub fn processes(&self) -> Result<[u32; 2]> {
        Ok([self.worker.pid()?, self.broker.pid()?])
    }

    /// Creates the connectors and waits for their tasks.
    pub async fn create(&self, tuned: Tuned) -> Result<()> {
        for name in Which::Both.names() {
            self.configure(name, tuned).await?;
            self.reached(name, State::Running).await?;
        }
        Ok(())
    }

    /// Gives the stopped connectors other settings.
    pub async fn tune(&self, tuned: Tuned) -> Result<()> {
        for name in Which::Both.names() {
            self.configure(name, tuned).await?;
            self.reached(name, State::Stopped).await?;
        }
        Ok(())
    }

    /// Starts the connectors' tasks, those of the sink first.
    ///
    /// Each time waited for, here and elsewhere: a standalone worker that is told of a second connector while it begins with
    /// a first one may lock itself out for ever.
    pub async fn resume(&self, which: Which) -> Result<()> {
        for name in which.names() {
            self.put(&format!("{name}/resume"), None).await?;
            self.reached(name, State::Running).await?;
        }
        Ok(())
    }

    /// Ends the connectors' tasks.
    pub async fn stop(&self) -> Result<()> {
        for name in Which::Both.names() {
            self.put(&format!("{name}/stop"), None).await?;
            self.reached(name, State::Stopped).await?;
        }
        Ok(())
    }

    async fn configure(&self, name: &str, tuned: Tuned) -> Result<()> {
        let config = if name == SINK { self.sink(tuned) } else { self.source(tuned) };
        self.put(&format!("{name}/config"), Some(&config)).await
    }

    /// Waits until a connector is in a state, with all its tasks.
    async fn reached(&self, name: &str, state: State) -> Result<()> {
        let path = format!("{name}/status");
        wait::until(&format!("connector {name} {state:?}"), LIMIT, || async {
            let status = self.get(&path).await?;
            if state.is(&status) { Ok(()) } else { Err(anyhow!("{status}")) }
        })
        .await
    }

    /// Where the stopped sink goes on in the topic; to be given to `rewind`.
    pub async fn place(&self) -> Result<Value> {
        let place = self.get(&format!("{SINK}/offsets")).await?;
        let known = place["offsets"].as_array().map_or(0, Vec::len);
        if known != PARTITIONS {
            bail!("the sink has offsets of {known} partitions, not of {PARTITIONS}: {place}");
        }
        Ok(place)
    }

    pub async fn rewind(&self, place: &Value) -> Result<()> {
        // Refused while the broker still counts the sink's consumers as members of their group.
        let path = format!("{SINK}/offsets");
        let ask = || self.request("PATCH", &path, Some(place));
        wait::until("the new offsets of the sink", LIMIT, ask).await.map(drop)
    }

    /// Comes back only when a connector or one of its tasks has failed.
    pub async fn broken(&self) -> anyhow::Error {
        loop {
            for name in Which::Both.names() {
                match self.get(&format!("{name}/status")).await {
                    Ok(status) => {
                        if let Some(trace) = failure(&status) {
                            return anyhow!("connector {name} failed: {trace}");
                        }
                    }
                    Err(e) => return e,
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn source(&self, tuned: Tuned) -> Value {
        let mut config = json!({
            "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
            "tasks.max": "1",
            "database.hostname": "127.0.0.1",
            "database.port": self.database.to_string(),
            "database.user": "cf",
            "database.password": "cf",
            "database.server.id": "5401",
            "database.ssl.mode": "disable",
            "database.include.list": COPY,
            "table.include.list": format!("{COPY}.requests"),
            "topic.prefix": "bench",
            "snapshot.mode": "no_data",
            "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
            "schema.history.internal.file.filename": self.worker.folder().join("history"),
            "schema.history.internal.store.only.captured.tables.ddl": "true",
            "topic.creation.default.partitions": PARTITIONS.to_string(),
            "topic.creation.default.replication.factor": "1",
            // The new row alone, and a tombstone for a deleted one.
            "tombstones.on.delete": "false",
            "transforms": "flat",
            "transforms.flat.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.flat.delete.tombstone.handling.mode": "tombstone",
            "max.batch.size": "8192",
            "max.queue.size": "32768",
            "producer.override.batch.size": "524288",
            "producer.override.buffer.memory": "134217728",
            "producer.override.max.request.size": "10485760",
        });
        let (poll, linger, compression) = match tuned {
            Tuned::Throughput => ("50", "20", "lz4"),
            Tuned::Latency => ("5", "0", "none"),
        };
        config["poll.interval.ms"] = poll.into();
        config["producer.override.linger.ms"] = linger.into();
        config["producer.override.compression.type"] = compression.into();
        config
    }

    fn sink(&self, tuned: Tuned) -> Value {
        // MariaDB's own driver: MySQL's cuts DATETIME(6) to whole seconds here.
        let url = format!(
            "jdbc:mariadb://127.0.0.1:{}/{TARGET}?useBulkStmts=true&useServerPrepStmts=true&cachePrepStmts=true&prepStmtCacheSize=500",
            self.database
        );
        let mut config = json!({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": PARTITIONS.to_string(),
            "topics": format!("bench.{COPY}.requests"),
            "connection.url": url,
            "connection.username": "cf",
            "connection.password": "cf",
            "collection.name.format": "requests_new",
            "insert.mode": "upsert",
            "primary.key.mode": "record_key",
            "delete.enabled": "true",
            "schema.evolution": "none",
            "batch.size": BATCH.to_string(),
            "use.reduction.buffer": "true",
            "consumer.override.max.poll.records": (2 * BATCH).to_string(),
            "consumer.override.max.partition.fetch.bytes": "16777216",
            "consumer.override.fetch.max.bytes": "67108864",
        });
        let (least, longest) = match tuned {
            Tuned::Throughput => ("262144", "100"),
            Tuned::Latency => ("1", "500"),
        };
        config["consumer.override.fetch.min.bytes"] = least.into();
        config["consumer.override.fetch.max.wait.ms"] = longest.into();
        config
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, None).await
    }

    async fn put(&self, path: &str, body: Option<&Value>) -> Result<()> {
        self.request("PUT", path, body).await.map(drop)
    }

    /// HTTP/1.0: the answer ends with its connection.
    async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let asked = format!(
            "{method} /connectors/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = async {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
            connection.write_all(asked.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let what = || format!("Kafka Connect: {method} {path}");
        let answer = tokio::time::timeout(LIMIT, answer).await.with_context(what)?.with_context(what)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split_whitespace().nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("{}: {status} {}", what(), body.trim());
        }
        if body.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(body).with_context(what)
    }
}

/// What a connector's status tells of its failure, or of a task's.
fn failure(status: &Value) -> Option<String> {
    let tasks = status["tasks"].as_array().into_iter().flatten();
    let failed = tasks.chain([&status["connector"]]).find(|part| part["state"] == "FAILED")?;
    Some(failed["trace"].as_str().unwrap_or("without a word").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_count_the_tasks() {
        let status = |state: &str, tasks: Value| json!({ "connector": { "state": state }, "tasks": tasks });
        let running = json!({ "state": "RUNNING" });
        assert!(State::Running.is(&status("RUNNING", json!([running, running]))));
        assert!(!State::Running.is(&status("RUNNING", json!([]))));
        assert!(!State::Running.is(&status("RUNNING", json!([running, { "state": "UNASSIGNED" }]))));
        assert!(State::Stopped.is(&status("STOPPED", json!([]))));
        assert!(!State::Stopped.is(&status("STOPPED", json!([running]))));
    }

    #[test]
    fn a_failed_task_is_found() {
        let status = json!({ "connector": { "state": "RUNNING" },
            "tasks": [{ "state": "RUNNING" }, { "state": "FAILED", "trace": "no such table" }] });
        assert_eq!(failure(&status).as_deref(), Some("no such table"));
        assert_eq!(failure(&json!({ "connector": { "state": "STOPPED" }, "tasks": [] })), None);
        assert!(failure(&json!({ "connector": { "state": "FAILED" }, "tasks": [] })).is_some());
    }
}
