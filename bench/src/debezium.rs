//! Debezium's MariaDB source, Kafka and the JDBC sink, against Crossfade: the same backlog on the same server, and latency.
//!
//! Both wait, stopped, at the same place while a backlog is made between two groups of marks; then one after the other
//! catches up alone. The time that counts is from the marks before the backlog to those behind it, as they are seen in the
//! target: nobody's start is in it. Who comes later meets what the other wrote in the binlog, behind the backlog; so the
//! order changes from round to round.

mod connect;
mod marks;

use std::time::Instant;

use anyhow::{Context, Result};
use connect::{Pipeline, TARGET, Tuned, Which};
use marks::End;
use serde_json::{Value, json};
use testkit::connect as sessions;

use crate::program::Program;
use crate::report::{Asked, Report, hundredths};
use crate::stand::{COPY, Stand, run as statement};
use crate::{latency, load, usage};

const OURS: &str = "crossfade";
const DEBEZIUM: &str = "Debezium + JDBC sink";
const FILLED: &str = "JDBC sink, topic filled";

/// Changes that Debezium has caught up before it is measured; after fewer its Java is still compiling.
const WARM: u64 = 200_000;
/// Before latencies are measured, for either: changes a second, seconds.
const WARM_UP: (u64, u64) = (2000, 15);

pub async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let pipeline = match Pipeline::start(stand).await.context("start Kafka and Kafka Connect")? {
        Ok(pipeline) => pipeline,
        Err(reason) => {
            report.skipped("debezium", &reason);
            return Ok(());
        }
    };
    let mut race = Race::prepare(stand, pipeline).await?;
    stream(&mut race, report).await.context("the same backlog")?;
    latencies(&mut race, report).await.context("latency")
}

/// Everybody who follows the same legacy table.
struct Race<'a> {
    stand: &'a Stand,
    pipeline: Pipeline,
    /// Debezium's target, `requests_new` in a schema of its own.
    target: String,
    /// Crossfade and its target.
    program: Program,
    own: String,
    /// The server's process.
    server: u32,
    /// Which marks come next.
    turn: u64,
}

/// How a backlog was caught up.
struct Caught {
    /// From the start to the last mark; the start of `crossfade` is that of its process, Debezium's that of its connectors.
    seconds: f64,
    /// From the first marks to the last.
    backlog: f64,
    cpu: Option<f64>,
    server_cpu: Option<f64>,
    peak: Option<f64>,
}

impl<'a> Race<'a> {
    /// Both have caught up and are stopped; Debezium's Java is warm.
    async fn prepare(stand: &'a Stand, pipeline: Pipeline) -> Result<Self> {
        sessions::creating(&stand.server.url(TARGET)).await?.close().await;
        let server = stand.server.pid()?;
        let program = Program::new(stand, COPY, "copy");
        let target = format!("{TARGET}.requests_new");
        let own = format!("{COPY}.requests_new");
        let mut race = Self { stand, pipeline, target, program, own, server, turn: 0 };
        race.drain().await?;
        copied(stand, "requests_new").await?;
        race.first_start().await.context("first start of Debezium")?;
        race.backlog(WARM.max(stand.settings.changes)).await?;
        race.debezium(Which::Both).await.context("Debezium's first backlog")?;
        race.drain().await?;
        Ok(race)
    }

    /// Debezium begins at the present, whenever that is: marks are made until one comes out.
    async fn first_start(&mut self) -> Result<()> {
        self.pipeline.create(Tuned::Throughput).await?;
        let mut db = self.stand.session(COPY).await?;
        let began = Instant::now();
        loop {
            self.turn += 1;
            marks::set(self.stand, End::Head, self.turn).await?;
            let second = std::time::Duration::from_secs(1);
            let seen = tokio::select! {
                seen = marks::seen(&mut db, &self.target, End::Head, self.turn, second) => seen,
                e = self.pipeline.broken() => return Err(e),
            };
            match seen {
                Ok(_) => return self.pipeline.stop().await,
                Err(e) if began.elapsed().as_secs() > 120 => return Err(e),
                Err(_) => {}
            }
        }
    }

    /// A backlog between its marks.
    async fn backlog(&mut self, changes: u64) -> Result<()> {
        self.turn += 1;
        marks::set(self.stand, End::Head, self.turn).await?;
        load::backlog(self.stand, changes).await?;
        marks::set(self.stand, End::Tail, self.turn).await
    }

    /// Crossfade applies what there is, unmeasured.
    async fn drain(&self) -> Result<()> {
        let mut running = self.program.up()?;
        running.caught_up(&self.program).await?;
        running.stop().await
    }

    async fn crossfade(&self) -> Result<Caught> {
        let before = usage::cpu_seconds(self.server);
        let mut running = self.program.up()?;
        let began = running.since;
        let (head, tail) = tokio::select! {
            ends = marks::followed(self.stand, &self.own, self.turn) => ends?,
            e = running.ended() => return Err(e),
        };
        let (cpu, peak) = (running.cpu_seconds(), running.peak_mib());
        let server_cpu = grown(before, usage::cpu_seconds(self.server));
        running.caught_up(&self.program).await?;
        running.stop().await?;
        self.stand.same_copy(&self.own).await?;
        Ok(Caught { cpu, server_cpu, peak, ..Caught::between(began, head, tail) })
    }

    /// Debezium catches up: all of it, or the sink what stands in the topic.
    async fn debezium(&self, which: Which) -> Result<Caught> {
        let processes = self.pipeline.processes()?;
        processes.into_iter().for_each(usage::forget_peak);
        let before = (usage::all(&processes, usage::cpu_seconds), usage::cpu_seconds(self.server));
        let began = Instant::now();
        self.pipeline.resume(which).await?;
        let (head, tail) = tokio::select! {
            ends = marks::followed(self.stand, &self.target, self.turn) => ends?,
            e = self.pipeline.broken() => return Err(e),
        };
        let cpu = grown(before.0, usage::all(&processes, usage::cpu_seconds));
        let server_cpu = grown(before.1, usage::cpu_seconds(self.server));
        let peak = usage::all(&processes, usage::peak_mib);
        marks::same(self.stand, &self.target).await?;
        self.pipeline.stop().await?;
        Ok(Caught { cpu, server_cpu, peak, ..Caught::between(began, head, tail) })
    }
}

impl Caught {
    fn between(began: Instant, head: Instant, tail: Instant) -> Self {
        let seconds = tail.duration_since(began).as_secs_f64();
        let backlog = tail.duration_since(head).as_secs_f64().max(0.001);
        Self { seconds, backlog, cpu: None, server_cpu: None, peak: None }
    }
}

fn grown(before: Option<f64>, now: Option<f64>) -> Option<f64> {
    now.zip(before).map(|(now, before)| now - before)
}

/// A table of Debezium's schema with the rows of the legacy table as they are; nobody's binlog has to tell of it.
async fn copied(stand: &Stand, table: &str) -> Result<()> {
    stand.durable(false).await?;
    let sql = format!(
        "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} LIKE {COPY}.requests; \
         INSERT INTO {table} SELECT * FROM {COPY}.requests"
    );
    unlogged(stand, &sql).await?;
    stand.durable(true).await
}

async fn unlogged(stand: &Stand, sql: &str) -> Result<()> {
    let mut db = stand.session(TARGET).await?;
    statement(&mut db, "SET sql_log_bin = 0").await?;
    statement(&mut db, sql).await?;
    db.close().await;
    Ok(())
}

async fn stream(race: &mut Race<'_>, report: &mut Report) -> Result<()> {
    let mut all = Caughts::default();
    for round in 0..race.stand.settings.rounds {
        copied(race.stand, "requests_before").await?;
        let place = race.pipeline.place().await?;
        race.backlog(race.stand.settings.changes).await?;
        if round % 2 == 0 {
            ours(race, report, round, &mut all).await?;
            theirs(race, report, round, &place, &mut all).await?;
        } else {
            theirs(race, report, round, &place, &mut all).await?;
            ours(race, report, round, &mut all).await?;
        }
    }
    compare(race.stand.settings.changes as f64, report, &all);
    Ok(())
}

async fn ours(race: &Race<'_>, report: &Report, round: usize, all: &mut Caughts) -> Result<()> {
    let caught = race.crossfade().await.context(OURS)?;
    tell(race, report, OURS, round, &caught);
    all.ours.push(caught);
    Ok(())
}

/// The whole pipeline; then the sink once more, from the same place in the topic to the same end.
async fn theirs(
    race: &Race<'_>,
    report: &Report,
    round: usize,
    place: &Value,
    all: &mut Caughts,
) -> Result<()> {
    let caught = race.debezium(Which::Both).await.context(DEBEZIUM)?;
    tell(race, report, DEBEZIUM, round, &caught);
    all.whole.push(caught);
    unlogged(race.stand, "DROP TABLE requests_new; RENAME TABLE requests_before TO requests_new").await?;
    race.pipeline.rewind(place).await?;
    let caught = race.debezium(Which::Sink).await.context(FILLED)?;
    tell(race, report, FILLED, round, &caught);
    all.sink.push(caught);
    Ok(())
}

#[derive(Default)]
struct Caughts {
    ours: Vec<Caught>,
    whole: Vec<Caught>,
    sink: Vec<Caught>,
}

fn tell(race: &Race, report: &Report, by: &str, round: usize, caught: &Caught) {
    let changes = race.stand.settings.changes as f64;
    let million = |seconds: Option<f64>| seconds.map(|s| hundredths(s / changes * 1e6));
    report.figure(
        "stream",
        json!({ "by": by, "round": round, "seconds": hundredths(caught.seconds),
            "backlog_s": hundredths(caught.backlog), "changes_per_s": (changes / caught.seconds).round(),
            "changes_per_s_without_start": (changes / caught.backlog).round(), "cpu_s_per_million": million(caught.cpu),
            "mariadb_cpu_s_per_million": million(caught.server_cpu), "peak_rss_mib": caught.peak.map(f64::round) }),
    );
}

fn compare(changes: f64, report: &mut Report, Caughts { ours, whole, sink }: &Caughts) {
    let rates = |of: &[Caught]| of.iter().map(|c| changes / c.backlog).collect::<Vec<f64>>();
    let what = "stream, vs Debezium + JDBC sink";
    report.ratio(what, "changes/s", &rates(ours), DEBEZIUM, &rates(whole), Asked::AtLeast(2.0));
    report.ratio(what, "changes/s", &rates(ours), FILLED, &rates(sink), Asked::Nothing);
    let million = |of: &[Caught], cpu: fn(&Caught) -> Option<f64>| {
        of.iter().filter_map(cpu).map(|s| s / changes * 1e6).collect::<Vec<f64>>()
    };
    let unit = "s/million";
    for (what, cpu) in [
        ("processor time, its own", (|c| c.cpu) as fn(&Caught) -> Option<f64>),
        ("processor time, MariaDB's for it", |c| c.server_cpu),
    ] {
        report.ratio(what, unit, &million(ours, cpu), DEBEZIUM, &million(whole, cpu), Asked::Nothing);
    }
    let peaks = |of: &[Caught]| of.iter().filter_map(|c| c.peak).collect::<Vec<f64>>();
    report.ratio("peak resident memory", "MiB", &peaks(ours), DEBEZIUM, &peaks(whole), Asked::Nothing);
}

/// One after the other; what the first one's load makes is the second one's backlog, which is not timed.
async fn latencies(race: &mut Race<'_>, report: &mut Report) -> Result<()> {
    let stand = race.stand;
    let mut running = race.program.up()?;
    running.caught_up(&race.program).await?;
    let own = latency::measure(stand, report, OURS, &race.own, WARM_UP, -10_000_000).await;
    running.check()?;
    let own = own?;
    race.program.wait().await?;
    running.stop().await?;
    stand.same_copy(&race.own).await?;

    race.pipeline.tune(Tuned::Latency).await?;
    race.turn += 1;
    marks::set(stand, End::Head, race.turn).await?;
    marks::set(stand, End::Tail, race.turn).await?;
    race.pipeline.resume(Which::Both).await?;
    let theirs = tokio::select! {
        found = async {
            marks::followed(stand, &race.target, race.turn).await?;
            latency::measure(stand, report, DEBEZIUM, &race.target, WARM_UP, -20_000_000).await
        } => found?,
        e = race.pipeline.broken() => return Err(e),
    };
    marks::same(stand, &race.target).await?;
    for (own, theirs) in own.iter().zip(&theirs) {
        for (name, value, other) in [("p50", own.p50, theirs.p50), ("p99", own.p99, theirs.p99)] {
            let what = format!("latency {name} at {} changes/s", own.rate);
            report.ratio(&what, "ms", &[value], DEBEZIUM, &[other], Asked::Nothing);
        }
    }
    Ok(())
}
