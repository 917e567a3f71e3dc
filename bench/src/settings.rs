//! What a run measures and how much of it, from variables.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

const PARTS: [&str; 6] = ["backfill", "stream", "latency", "memory", "detection", "debezium"];

#[derive(Clone, Debug)]
pub struct Settings {
    /// `CROSSFADE_BIN`: the program; default: `crossfade` beside this one.
    pub program: PathBuf,
    /// `BENCH_ROWS` (300000): rows of the legacy table. The full size is 2000000.
    pub rows: u64,
    /// `BENCH_CHANGES` (100000): row changes of the stream's backlog.
    pub changes: u64,
    /// `BENCH_ROUNDS` (3): each comparison alternates so often; medians are compared.
    pub rounds: usize,
    /// `BENCH_RATES` (100,500): row changes a second under which latency is measured.
    pub rates: Vec<u64>,
    /// `BENCH_SECONDS` (10): how long each rate lasts.
    pub seconds: u64,
    /// `BENCH_ONLY` (all): `backfill,stream,latency,memory,detection,debezium`.
    pub only: Vec<String>,
    /// `BENCH_BUFFER_POOL` (2G): of the private MariaDB.
    pub buffer_pool: String,
}

impl Settings {
    pub fn read() -> Result<Self> {
        let settings = Self {
            program: std::env::var_os("CROSSFADE_BIN").map_or_else(beside, PathBuf::from),
            rows: setting("BENCH_ROWS", 300_000)?,
            changes: setting("BENCH_CHANGES", 100_000)?,
            rounds: setting("BENCH_ROUNDS", 3)?,
            rates: list("BENCH_RATES", "100,500")?,
            seconds: setting("BENCH_SECONDS", 10)?,
            only: list("BENCH_ONLY", &PARTS.join(","))?,
            buffer_pool: setting("BENCH_BUFFER_POOL", "2G".to_string())?,
        };
        if let Some(unknown) = settings.only.iter().find(|p| !PARTS.contains(&p.as_str())) {
            bail!("BENCH_ONLY: `{unknown}` is none of {}", PARTS.join(", "));
        }
        if settings.rounds == 0 || settings.rows < 10_000 || settings.seconds == 0 || settings.changes == 0 {
            bail!(
                "BENCH_ROUNDS, BENCH_SECONDS and BENCH_CHANGES must be at least 1, BENCH_ROWS at least 10000"
            );
        }
        if !settings.program.is_file() {
            bail!(
                "{} is not there: build it (`make build`) or set CROSSFADE_BIN",
                settings.program.display()
            );
        }
        Ok(settings)
    }

    pub fn wants(&self, part: &str) -> bool {
        self.only.iter().any(|p| p == part)
    }
}

fn beside() -> PathBuf {
    let mut own = std::env::current_exe().unwrap_or_default();
    own.set_file_name("crossfade");
    own
}

fn setting<T: FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| anyhow!("{name}: `{text}` cannot be used")),
        Err(_) => Ok(default),
    }
}

fn list<T: FromStr>(name: &str, default: &str) -> Result<Vec<T>> {
    let text = setting(name, default.to_string())?;
    let parts = text.split(',').map(|p| p.trim().parse());
    parts.collect::<Result<_, _>>().map_err(|_| anyhow!("{name}: `{text}` cannot be used"))
}
