//! The settings of every program: flags over `CROSSFADE_*` variables over `crossfade.yaml` over defaults.
//!
//! [`Args`] is what was written down; [`Settings`] is what was found to be right. Only the latter can be run.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mysql::DatabaseUrl;
use uuid::Uuid;

use crate::args::{Args, Value};

#[derive(Clone, Debug)]
pub struct Settings {
    pub database: DatabaseUrl,
    /// The file that `database` came from: read again for each connection, so that a password can be changed.
    pub database_file: Option<PathBuf>,
    pub control_schema: String,
    /// Name of the source in the control schema.
    pub source: String,
    /// The plan's folder.
    pub plan: PathBuf,
    /// Values of the plan's parameters.
    pub params: BTreeMap<String, String>,
    pub bus: BusChoice,
    pub topic_prefix: String,
    /// Partitions of every topic: lanes per target.
    pub lanes: u32,
    pub namespace: Uuid,
    pub include_deferred: bool,
    /// Longest time that rows of the application may stay locked.
    pub lock_budget: Duration,
    /// Longest time that a chunk may take.
    pub chunk_budget: Duration,
    /// Between the starts of two passes of the verifier over everything.
    pub verify_every: Duration,
    /// Share of one session's time that these passes may take, 0 to 1.
    pub verify_share: f64,
    /// Differences of one target that a verification repairs without asking.
    pub repair_limit: usize,
    pub throttle: mysql::Limits,
    /// Health and metrics. `None`: not served.
    pub listen: Option<SocketAddr>,
    /// The console and the API of the verifier. `None`: not served.
    pub console: Option<SocketAddr>,
    /// The console's tokens. `None`: it is read-only, for this machine.
    pub console_tokens: Option<PathBuf>,
    pub step_down: StepDown,
    /// Data on stdout is JSON.
    pub json: bool,
    pub log: Log,
    /// gRPC address of an OpenTelemetry collector. `None`: no traces.
    pub otlp: Option<String>,
    /// Tells this process apart from others of its kind.
    pub instance: String,
}

/// When a target whose verdict is no longer "ready" goes back to reading the legacy side by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDown {
    Never,
    /// When the verdict is a definite no.
    NotReady,
    /// Also when nothing is known.
    Unknown,
}

#[derive(Clone)]
pub enum BusChoice {
    InProcess,
    /// `kafka://broker:9092,…?property=value`, and properties of librdkafka, which may hold secrets.
    Kafka {
        url: String,
        properties: BTreeMap<String, String>,
        insecure: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub json: bool,
    /// As in `info,writer=debug`.
    pub filter: String,
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, thiserror::Error)]
#[error("these settings can't be used:\n{}", .0.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<String>);

impl fmt::Debug for BusChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusChoice::InProcess => f.write_str("in-process"),
            // The query may hold properties, and those a password.
            BusChoice::Kafka { url, .. } => f.write_str(url.split('?').next().unwrap_or_default()),
        }
    }
}

impl Settings {
    /// Reads the file and checks everything.
    pub fn resolve(args: Args) -> Result<Settings, SettingsError> {
        let mut problems = Problems::default();
        let args = match args.with_file() {
            Ok(args) => args,
            Err(problem) => return Err(SettingsError(vec![problem])),
        };
        let settings = build(args, &mut problems);
        match settings {
            Some(settings) if problems.0.is_empty() => Ok(settings),
            _ => Err(SettingsError(problems.0)),
        }
    }

    pub fn database(&self) -> mysql::Database {
        match &self.database_file {
            Some(file) => mysql::Database::from_file(self.database.clone(), file, &self.control_schema),
            None => mysql::Database::new(self.database.clone(), &self.control_schema),
        }
    }

    /// What `migrate` and every start compare with the control schema.
    pub fn deployment(&self, plan_digest: &str) -> mysql::Deployment {
        mysql::Deployment { plan_digest: plan_digest.into(), namespace: self.namespace }
    }
}

fn build(args: Args, problems: &mut Problems) -> Option<Settings> {
    let (database, database_file) = database(&args, problems);
    let bus = bus(&args, problems);
    let throttle = mysql::Limits {
        replicas: args.replicas.iter().filter_map(|r| problems.take("replicas", r.0.parse())).collect(),
        replica_lag: problems.maybe("max-replica-lag", &args.max_replica_lag, duration),
        threads_running: problems.maybe("max-threads-running", &args.max_threads_running, number),
        history_length: problems.maybe("max-history-length", &args.max_history_length, number),
    };
    if throttle.replica_lag.is_some() && args.replicas.is_empty() {
        problems.add("max-replica-lag", "needs the addresses of the replicas in `replicas`");
    }
    let listen = problems.maybe("listen", &args.listen, address);
    let console = problems.maybe("console", &args.console, address);
    if listen.is_some() && listen == console {
        problems.add("console", "must differ from `listen`: the metrics port serves nothing else");
    }
    if console.is_some_and(|a| !a.ip().is_loopback()) && args.console_tokens.is_none() {
        problems.add("console", "others can reach this address: give a file with tokens as `console-tokens`, or listen on 127.0.0.1");
    }
    if let Some(Err(e)) = args.console_tokens.as_ref().map(std::fs::read) {
        problems.add("console-tokens", format!("the file can't be read: {e}"));
    }
    let step_down = match text(&args.step_down, "not-ready").as_str() {
        "never" => StepDown::Never,
        "not-ready" => StepDown::NotReady,
        "unknown" => StepDown::Unknown,
        other => {
            problems.add("step-down", format!("`{other}` is none of never, not-ready, unknown"));
            StepDown::NotReady
        }
    };
    let filter = text(&args.log_filter, "info");
    if let Err(e) = filter.parse::<tracing_subscriber::EnvFilter>() {
        problems.add("log-filter", format!("`{filter}` is no filter: {e} (an example: `info,writer=debug`)"));
    }
    let log_json = json(problems, "log-format", &args.log_format);
    let otlp = args.otlp_endpoint.as_ref().map(|v| v.0.clone());
    if otlp.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        problems.add("otlp-endpoint", "begins with http:// or https://, as in http://collector:4317");
    }
    let control_schema = name(problems, "control-schema", &args.control_schema, "crossfade");
    if database.as_ref().is_some_and(|d| d.schema() == control_schema) {
        problems.add("control-schema", "must differ from the legacy schema in `database`");
    }
    let namespace = match &args.namespace {
        None => ids::default_namespace(),
        Some(v) => problems.take("namespace", Uuid::try_parse(&v.0)).unwrap_or_default(),
    };
    Some(Settings {
        source: name(problems, "source", &args.source, "default"),
        topic_prefix: name(problems, "topic-prefix", &args.topic_prefix, "crossfade"),
        plan: args.plan.clone().unwrap_or_else(|| PathBuf::from("plan")),
        params: params(&args, problems),
        lanes: lanes(&args, problems),
        include_deferred: flag(problems, "include-deferred", &args.include_deferred),
        lock_budget: budget(problems, "lock-budget-ms", &args.lock_budget_ms, 50),
        chunk_budget: budget(problems, "chunk-budget-ms", &args.chunk_budget_ms, 100),
        verify_every: problems
            .maybe("verify-every", &args.verify_every, duration)
            .unwrap_or(Duration::from_secs(600)),
        verify_share: f64::from(problems.maybe("verify-share", &args.verify_share, percent).unwrap_or(5))
            / 100.0,
        repair_limit: problems
            .maybe("repair-limit", &args.repair_limit, number)
            .map_or(20_000, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        instance: args.instance.as_ref().map_or_else(instance, |v| v.0.chars().take(64).collect()),
        json: json(problems, "output", &args.output),
        log: Log { json: log_json, filter },
        database: database?,
        bus: bus?,
        database_file,
        control_schema,
        namespace,
        throttle,
        listen,
        console,
        console_tokens: args.console_tokens.clone(),
        step_down,
        otlp,
    })
}

fn database(args: &Args, problems: &mut Problems) -> (Option<DatabaseUrl>, Option<PathBuf>) {
    match (&args.database, &args.database_file) {
        (Some(_), Some(_)) => {
            problems.add("database", "is given, and `database-file` too; give one of them");
            (None, None)
        }
        (Some(url), None) => (problems.take("database", url.0.parse()), None),
        (None, Some(file)) => match std::fs::read_to_string(file) {
            Ok(url) => (problems.take("database-file", url.parse()), Some(file.clone())),
            Err(e) => {
                problems.add("database-file", format!("`{}` can't be read: {e}", file.display()));
                (None, None)
            }
        },
        (None, None) => {
            problems.add(
                "database",
                "is missing: give it as CROSSFADE_DATABASE=mysql://user:password@host:3306/schema, or a file that \
                 holds it as `database-file`",
            );
            (None, None)
        }
    }
}

fn bus(args: &Args, problems: &mut Problems) -> Option<BusChoice> {
    let insecure = flag(problems, "insecure", &args.insecure);
    let properties = match &args.kafka_properties_file {
        None => BTreeMap::new(),
        Some(file) => match std::fs::read_to_string(file) {
            Ok(lines) => properties(&lines),
            Err(e) => {
                problems.add("kafka-properties-file", format!("`{}` can't be read: {e}", file.display()));
                BTreeMap::new()
            }
        },
    };
    match text(&args.bus, "in-process") {
        url if url == "in-process" => {
            if args.kafka_properties_file.is_some() {
                problems.add("kafka-properties-file", "has no use with the in-process bus");
            }
            Some(BusChoice::InProcess)
        }
        url if url.starts_with("kafka://") => Some(BusChoice::Kafka { url, properties, insecure }),
        _ => {
            problems.add("bus", "is `in-process` or `kafka://broker:9092,broker:9092`");
            None
        }
    }
}

fn json(problems: &mut Problems, key: &'static str, value: &Option<Value>) -> bool {
    match text(value, "text").as_str() {
        "text" => false,
        "json" => true,
        other => problems.add(key, format!("`{other}` is none of text, json")).is_some(),
    }
}

/// Lines `name=value`; `#` begins a comment line.
fn properties(lines: &str) -> BTreeMap<String, String> {
    let lines = lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.filter_map(|l| l.split_once('=')).map(|(n, v)| (n.trim().into(), v.trim().into())).collect()
}

fn params(args: &Args, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut params: BTreeMap<_, _> = args.params.iter().map(|(n, v)| (n.clone(), v.0.clone())).collect();
    for pair in &args.param {
        match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                params.insert(name.trim().into(), value.into());
            }
            _ => drop(problems.add("param", "is written name=value, as in --param system_admin=1")),
        }
    }
    params
}

fn lanes(args: &Args, problems: &mut Problems) -> u32 {
    let lanes = problems.maybe("lanes", &args.lanes, number).unwrap_or(4);
    u32::try_from(lanes).ok().filter(|n| (1..=1000).contains(n)).unwrap_or_else(|| {
        problems.add("lanes", "is a number from 1 to 1000");
        1
    })
}

fn budget(problems: &mut Problems, key: &'static str, value: &Option<Value>, default: u64) -> Duration {
    let ms = problems.maybe(key, value, number).unwrap_or(default);
    if !(1..=60_000).contains(&ms) {
        problems.add(key, "is a number of milliseconds from 1 to 60000");
    }
    Duration::from_millis(ms)
}

/// A name that stands in a schema, a topic or a key of 64 characters.
fn name(problems: &mut Problems, key: &'static str, value: &Option<Value>, default: &str) -> String {
    let name = text(value, default);
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > 60 || !name.chars().all(legal) {
        problems.add(key, "has 1 to 60 letters, digits, `_`, `-` or `.`");
    }
    name
}

fn flag(problems: &mut Problems, key: &'static str, value: &Option<Value>) -> bool {
    match value.as_ref().map(|v| v.0.as_str()) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => problems.add(key, "is true or false").is_some(),
    }
}

fn text(value: &Option<Value>, default: &str) -> String {
    value.as_ref().map_or_else(|| default.to_owned(), |v| v.0.clone())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|n| (1..=100).contains(n));
    number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to 100"))
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("`{text}` is not a time such as 10s or 5m: {e}"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address and port such as 127.0.0.1:9300"))
}

/// Host and process.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host: String = host.unwrap_or_default().trim().chars().take(48).collect();
    format!("{host}.{}", std::process::id())
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    /// `None`, to stand for the value that is missing.
    fn add(&mut self, key: &str, problem: impl fmt::Display) -> Option<()> {
        self.0.push(format!("{key}: {problem}"));
        None
    }

    fn take<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.add(key, e)).ok()
    }

    fn maybe<T>(
        &mut self,
        key: &str,
        value: &Option<Value>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        value.as_ref().and_then(|v| self.take(key, parse(v.0.trim())))
    }
}
