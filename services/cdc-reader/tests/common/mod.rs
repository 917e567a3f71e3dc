//! A real MariaDB, a reader on it, and a bus that only remembers: what the tests of the reader share.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bus::{Bus, BusError, Consumer, Record, Start, TopicSpec, Topics};
use cdc_reader::{Context, Reader, ReaderError, Settings, Status};
use change::{Cell, ChangeBatch, Op, Position, RowChange};
use mysql::{Database, Session};
use plan::catalog::{Catalog, Flavour};
use plan::checked::{Checked, Watched};
use testkit::servers::Mariadb;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const LIMIT: Duration = Duration::from_secs(20);
const CONTROL: &str = include_str!("../../../../crates/mysql/migrations/0001_control.sql");

/// Remembers what was appended. Can hold appends back, fail them, and look at the database in the moment of an append.
#[derive(Default)]
pub struct Memory {
    pub batches: Mutex<Vec<ChangeBatch>>,
    /// Records of whole images.
    pub images: Mutex<Vec<Record>>,
    /// Nobody else can read it, like the in-process bus.
    pub alone: AtomicBool,
    pub appends: AtomicU64,
    pub held: AtomicBool,
    pub failures: AtomicU64,
    looking: tokio::sync::Mutex<Option<Look>>,
}

/// Looks in `users` for each key, and for the column `other` of a whole image; what it does not find is counted.
struct Look {
    session: Session,
    missed: Arc<AtomicU64>,
    looked: Arc<AtomicU64>,
}

impl Look {
    async fn at(&mut self, condition: &str) {
        let sql = format!("SELECT 1 FROM users WHERE id = {condition}");
        let found = self.session.row(&sql).await.unwrap();
        self.looked.fetch_add(1, Relaxed);
        self.missed.fetch_add(u64::from(found.is_none()), Relaxed);
    }
}

#[async_trait]
impl Bus for Memory {
    async fn append(&self, records: Vec<Record>) -> Result<(), BusError> {
        let (images, changes): (Vec<Record>, Vec<Record>) =
            records.into_iter().partition(|r| r.topic.contains(".rows."));
        let decoded = changes.iter().map(|r| proto::decode_changes(r.payload.as_ref().unwrap()).unwrap());
        let batches: Vec<ChangeBatch> = decoded.collect();
        if let Some(look) = &mut *self.looking.lock().await {
            for row in batches.iter().flat_map(|b| &b.rows).filter(|r| r.op == Op::Insert) {
                look.at(&row.after.as_ref().unwrap()[0].to_string()).await;
            }
            for payload in images.iter().filter_map(|r| r.payload.as_ref()) {
                let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
                look.at(&format!("{} AND other >= {}", event["after"]["id"], event["after"]["other"])).await;
            }
        }
        while self.held.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.failures.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok() {
            let reason = "a test".into();
            return Err(BusError::Broker { doing: "append", reason, transient: true });
        }
        assert!(changes.iter().all(|r| r.size() < 1_000_000), "a record is too large for a broker");
        self.appends.fetch_add(1, Relaxed);
        self.images.lock().unwrap().extend(images);
        self.batches.lock().unwrap().extend(batches);
        Ok(())
    }
    async fn subscribe(
        &self,
        _: &str,
        _: &[String],
        _: Arc<dyn Start>,
    ) -> Result<Box<dyn Consumer>, BusError> {
        Err(BusError::Closed)
    }
    async fn ends(&self, _: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        Err(BusError::Closed)
    }
    async fn committed(&self, _: &str, _: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        Err(BusError::Closed)
    }
    async fn retention(&self, _: &str) -> Result<Option<Duration>, BusError> {
        unreachable!("the reader asks for none")
    }
    fn reaches_others(&self) -> bool {
        !self.alone.load(Relaxed)
    }
    async fn topics(&self, _: &[TopicSpec], _: bool) -> Result<Vec<String>, BusError> {
        Ok(vec![])
    }
}

impl Memory {
    pub fn rows(&self, table: &str) -> Vec<RowChange> {
        let batches = self.batches.lock().unwrap();
        batches.iter().filter(|b| b.table.table == table).flat_map(|b| b.rows.clone()).collect()
    }

    /// `insert 1`, `update 1 -> 2`, `delete 2`, `truncate`: by the first published column.
    pub fn story(&self, table: &str) -> Vec<String> {
        let key = |image: &Option<Vec<Cell>>| image.as_ref().map(|c| c[0].to_string()).unwrap_or_default();
        let tell = |r: &RowChange| match r.op {
            Op::Insert => format!("insert {}", key(&r.after)),
            Op::Update => format!("update {} -> {}", key(&r.before), key(&r.after)),
            Op::Delete => format!("delete {}", key(&r.before)),
            Op::Truncate => "truncate".into(),
        };
        self.rows(table).iter().map(tell).collect()
    }
}

/// Schemas of one test on one server, with a plan over its tables.
pub struct Rig {
    pub database: Database,
    pub bus: Arc<Memory>,
    pub settings: Settings,
    pub sql: Session,
    plan: BTreeMap<&'static str, [&'static [&'static str]; 3]>,
    /// A plan that is written out, instead.
    pub files: Vec<(&'static str, String)>,
}

pub struct Running {
    pub status: watch::Receiver<Status>,
    pub stop: CancellationToken,
    task: JoinHandle<Result<(), ReaderError>>,
}

impl Rig {
    /// On the server that the tests of this binary share.
    pub async fn new(name: &str) -> Rig {
        Rig::on(Mariadb::shared().await.unwrap(), name).await
    }

    pub async fn on(server: &Mariadb, name: &str) -> Rig {
        let schemas = server.schemas(name).await.unwrap();
        let database = Database::new(schemas.url.parse().unwrap(), schemas.control);
        let mut sql = database.session().await.unwrap();
        sql.execute(&format!("USE {}", database.control())).await.unwrap();
        sql.execute(CONTROL).await.unwrap();
        sql.execute(&format!("USE {}", database.schema())).await.unwrap();
        let settings = Settings {
            heartbeat: Duration::from_millis(200),
            server_heartbeat: Duration::from_secs(1),
            ..Settings::default()
        };
        Rig { database, bus: Arc::default(), settings, sql, plan: BTreeMap::new(), files: Vec::new() }
    }

    pub async fn exec(&mut self, sql: &str) {
        self.sql.execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}: {}", e.server_message()));
    }

    /// The plan reads this table: published columns (the first is the key), read ones, `fill` ones.
    pub fn watch(&mut self, table: &'static str, columns: [&'static [&'static str]; 3]) {
        self.plan.insert(table, columns);
    }

    async fn checked(&mut self) -> Checked {
        let schema = self.database.schema().to_owned();
        let catalog: Catalog = mysql::catalog::load(&mut self.sql, &schema).await.unwrap();
        if !self.files.is_empty() {
            let files = self.files.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
            let raw = plan::parse_files(files.collect()).unwrap_or_else(|p| panic!("{p}"));
            return plan::check(&raw, &catalog, &plan::Parameters::new()).unwrap_or_else(|p| panic!("{p}"));
        }
        let watched = self.plan.iter().map(|(table, [published, read, fill])| {
            let columns = &catalog.tables[*table];
            let published: Vec<_> =
                published.iter().map(|c| columns.column(c).expect("a column").clone()).collect();
            let names = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect();
            let watched = Watched {
                key: published[..1].to_vec(),
                published,
                read: names(read),
                fill: names(fill),
                image: None,
            };
            ((*table).to_owned(), watched)
        });
        Checked {
            schema,
            flavour: Flavour::MariaDb,
            digest: String::new(),
            entities: vec![],
            targets: vec![],
            watched: watched.collect(),
            required_rows: vec![],
            reverse_of: None,
        }
    }

    pub async fn context(&mut self) -> Context {
        Context {
            database: self.database.clone(),
            bus: self.bus.clone(),
            plan: Arc::new(self.checked().await),
            include_deferred: false,
            topics: Topics::new("test", 1).unwrap(),
            source: "main".into(),
            partitions: 4,
            settings: self.settings.clone(),
        }
    }

    /// A reader that has its place.
    pub async fn start(&mut self) -> Running {
        let reader = Reader::new(self.context().await);
        let mut status = reader.status();
        let stop = CancellationToken::new();
        let task = tokio::spawn(reader.run(stop.clone()));
        let placed = tokio::time::timeout(LIMIT, status.wait_for(|s| s.acked.is_some())).await;
        if placed.is_ok_and(|p| p.is_err()) {
            panic!("the reader did not start: {:?}", task.await);
        }
        Running { status, stop, task }
    }

    /// Starts; four sessions write as fast as they can, `statements` each, and what is published is looked for in `users`.
    /// Gives how often it was looked for, and how often not found.
    pub async fn watched_writes(
        &mut self,
        statements: i64,
        statement: fn(i64, i64) -> String,
    ) -> (Running, (u64, u64)) {
        let (looked, missed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let session = self.database.session().await.unwrap();
        *self.bus.looking.lock().await =
            Some(Look { session, missed: missed.clone(), looked: looked.clone() });
        let reader = self.start().await;
        let mut writers = tokio::task::JoinSet::new();
        for w in 0..4 {
            let database = self.database.clone();
            writers.spawn(async move {
                let mut sql = database.session().await.unwrap();
                for i in 0..statements {
                    sql.execute(&statement(w, i)).await.unwrap();
                }
            });
        }
        writers.join_all().await;
        self.fence().await;
        (reader, (looked.load(Relaxed), missed.load(Relaxed)))
    }

    /// Commits a barrier and waits until the saved position has reached it.
    pub async fn fence(&mut self) {
        let wanted = mysql::control::applied::barrier(&mut self.sql, &self.database).await.unwrap();
        let end = tokio::time::Instant::now() + LIMIT;
        loop {
            let saved = self.saved().await;
            if saved.reaches(&wanted) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "the position stays at {saved}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The same while our own session is inside an XA transaction.
    pub async fn fence_elsewhere(&mut self) {
        let other = self.database.session().await.unwrap();
        let own = std::mem::replace(&mut self.sql, other);
        self.fence().await;
        self.sql = own;
    }

    pub async fn saved(&mut self) -> Position {
        let db = &self.database;
        mysql::control::applied::published(&mut self.sql, db, "main").await.unwrap().unwrap_or_default()
    }

    pub async fn number(&mut self, sql: &str) -> u64 {
        self.sql.row(sql).await.unwrap().unwrap().u64(0).unwrap().unwrap()
    }
}

impl Running {
    /// Ends it in good order.
    pub async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.task).await.expect("the reader does not stop").unwrap().unwrap();
    }

    /// Waits for it to stop by itself.
    pub async fn error(self) -> ReaderError {
        let result = tokio::time::timeout(LIMIT, self.task).await.expect("the reader does not stop");
        result.unwrap().expect_err("the reader stopped without a reason")
    }

    /// What it says once it knows that the position is saved which now stands in the database.
    pub async fn now(&self, rig: &mut Rig) -> Status {
        let stored = rig.saved().await;
        let mut status = self.status.clone();
        let told =
            |s: &Status| s.saved.as_ref().is_some_and(|p| p.parse::<Position>().unwrap().reaches(&stored));
        let said = tokio::time::timeout(LIMIT, status.wait_for(told)).await;
        said.expect("the reader does not tell what it saved").expect("the reader has ended").clone()
    }
}
