//! The settings as they are written down: one list of names for flags, variables and the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file that is read if no other is named and it exists.
const DEFAULT_FILE: &str = "crossfade.yaml";

/// A flag `--lock-budget-ms` is the variable `CROSSFADE_LOCK_BUDGET_MS` and the file's key `lock_budget_ms`.
#[derive(Clone, Debug, Default, clap::Args, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
pub struct Args {
    /// File with settings (YAML); crossfade.yaml in the working directory if that exists.
    #[arg(long, env = "CROSSFADE_CONFIG", global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// mysql://user:password@host:port/schema?ssl-mode=…&ssl-ca=… Prefer the variable: flags can be seen by others.
    #[arg(long, env = "CROSSFADE_DATABASE", hide_env_values = true, global = true, value_name = "URL")]
    pub database: Option<Value>,

    /// File that holds the database's URL; read again for each new connection.
    #[arg(long, env = "CROSSFADE_DATABASE_FILE", global = true, value_name = "FILE")]
    pub database_file: Option<PathBuf>,

    /// Schema of Crossfade's own tables [default: crossfade]
    #[arg(long, env = "CROSSFADE_CONTROL_SCHEMA", global = true, value_name = "NAME")]
    pub control_schema: Option<Value>,

    /// Name of the source in the control schema [default: default]
    #[arg(long, env = "CROSSFADE_SOURCE", global = true, value_name = "NAME")]
    pub source: Option<Value>,

    /// Folder of the plan [default: plan]
    #[arg(long, env = "CROSSFADE_PLAN", global = true, value_name = "DIR")]
    pub plan: Option<PathBuf>,

    /// A parameter of the plan; may be repeated.
    #[arg(long, env = "CROSSFADE_PARAMS", value_delimiter = ',', global = true, value_name = "NAME=VALUE")]
    #[serde(skip)]
    pub param: Vec<String>,

    /// The plan's parameters in the file.
    #[arg(skip)]
    pub params: BTreeMap<String, Value>,

    /// in-process, or kafka://broker:9092,broker:9092 [default: in-process]
    #[arg(long, env = "CROSSFADE_BUS", hide_env_values = true, global = true, value_name = "URL")]
    pub bus: Option<Value>,

    /// File with properties of librdkafka (name=value), for what should not stand in the URL.
    #[arg(long, env = "CROSSFADE_KAFKA_PROPERTIES_FILE", global = true, value_name = "FILE")]
    pub kafka_properties_file: Option<PathBuf>,

    /// Allow Kafka properties that turn off the check of the brokers' identity.
    #[arg(long, env = "CROSSFADE_INSECURE", global = true, num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<Value>,

    /// What the topics' names begin with [default: crossfade]
    #[arg(long, env = "CROSSFADE_TOPIC_PREFIX", global = true, value_name = "NAME")]
    pub topic_prefix: Option<Value>,

    /// Partitions of every topic: lanes per target [default: 4]
    #[arg(long, env = "CROSSFADE_LANES", global = true, value_name = "N")]
    pub lanes: Option<Value>,

    /// Namespace in which ids are derived [default: UUIDv5 of the DNS namespace and `crossfade`]
    #[arg(long, env = "CROSSFADE_NAMESPACE", global = true, value_name = "UUID")]
    pub namespace: Option<Value>,

    /// Run the targets that the plan defers, too.
    #[arg(long, env = "CROSSFADE_INCLUDE_DEFERRED", global = true, num_args = 0..=1, default_missing_value = "true")]
    pub include_deferred: Option<Value>,

    /// Longest time that rows of the application may stay locked, in milliseconds [default: 50]
    #[arg(long, env = "CROSSFADE_LOCK_BUDGET_MS", global = true, value_name = "MS")]
    pub lock_budget_ms: Option<Value>,

    /// Longest time that a chunk of the backfill may take, in milliseconds [default: 100]
    #[arg(long, env = "CROSSFADE_CHUNK_BUDGET_MS", global = true, value_name = "MS")]
    pub chunk_budget_ms: Option<Value>,

    /// Between two verifications of everything [default: 10m]
    #[arg(long, env = "CROSSFADE_VERIFY_EVERY", global = true, value_name = "TIME")]
    pub verify_every: Option<Value>,

    /// Share of one session's time that these verifications may take, in percent [default: 5]
    #[arg(long, env = "CROSSFADE_VERIFY_SHARE", global = true, value_name = "PERCENT")]
    pub verify_share: Option<Value>,

    /// Differences of one target that a verification repairs without asking [default: 20000]
    #[arg(long, env = "CROSSFADE_REPAIR_LIMIT", global = true, value_name = "N")]
    pub repair_limit: Option<Value>,

    /// Replicas whose lag throttles the backfill (URLs as for --database); may be repeated.
    #[arg(
        long = "replica",
        env = "CROSSFADE_REPLICAS",
        hide_env_values = true,
        value_delimiter = ',',
        global = true
    )]
    pub replicas: Vec<Value>,

    /// Throttle the backfill above this lag of a replica.
    #[arg(long, env = "CROSSFADE_MAX_REPLICA_LAG", global = true, value_name = "TIME")]
    pub max_replica_lag: Option<Value>,

    /// Throttle the backfill above this number of running threads.
    #[arg(long, env = "CROSSFADE_MAX_THREADS_RUNNING", global = true, value_name = "N")]
    pub max_threads_running: Option<Value>,

    /// Throttle the backfill above this length of InnoDB's history list.
    #[arg(long, env = "CROSSFADE_MAX_HISTORY_LENGTH", global = true, value_name = "N")]
    pub max_history_length: Option<Value>,

    /// Address of health and metrics, such as 127.0.0.1:9300; not served without.
    #[arg(long, env = "CROSSFADE_LISTEN", global = true, value_name = "ADDRESS")]
    pub listen: Option<Value>,

    /// Address of the verifier's console and API, such as 127.0.0.1:9301; not served without.
    #[arg(long, env = "CROSSFADE_CONSOLE", global = true, value_name = "ADDRESS")]
    pub console: Option<Value>,

    /// File with the console's tokens, lines of `role name token`; role is viewer or operator.
    #[arg(long, env = "CROSSFADE_CONSOLE_TOKENS", global = true, value_name = "FILE")]
    pub console_tokens: Option<PathBuf>,

    /// When reads go back to the legacy side by themselves: never, not-ready or unknown verdict [default: not-ready]
    #[arg(long, env = "CROSSFADE_STEP_DOWN", global = true, value_name = "WHEN")]
    pub step_down: Option<Value>,

    /// What data looks like on stdout: text or json [default: text]
    #[arg(long, env = "CROSSFADE_OUTPUT", global = true, value_name = "FORMAT")]
    pub output: Option<Value>,

    /// text or json [default: text]
    #[arg(long, env = "CROSSFADE_LOG_FORMAT", global = true, value_name = "FORMAT")]
    pub log_format: Option<Value>,

    /// What is logged, as in info,writer=debug [default: info]
    #[arg(long, env = "CROSSFADE_LOG", global = true, value_name = "FILTER")]
    pub log_filter: Option<Value>,

    /// gRPC address of an OpenTelemetry collector for traces.
    #[arg(long, env = "CROSSFADE_OTLP_ENDPOINT", global = true, value_name = "URL")]
    pub otlp_endpoint: Option<Value>,

    /// Name of this process [default: host and process id]
    #[arg(long, env = "CROSSFADE_INSTANCE", global = true, value_name = "NAME")]
    pub instance: Option<Value>,
}

impl Args {
    /// These, and what the file says of the others.
    pub(crate) fn with_file(self) -> Result<Args, String> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None if Path::new(DEFAULT_FILE).exists() => DEFAULT_FILE.into(),
            None => return Ok(self),
        };
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: can't be read: {e}", path.display()))?;
        // A settings file that holds nothing but comments is an empty one.
        let blank = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
        let file = if blank { Ok(Args::default()) } else { serde_saphyr::from_str(&text) };
        Ok(self.or(file.map_err(|e| format!("{}: {e}", path.display()))?))
    }

    fn or(self, file: Args) -> Args {
        // A URL in a flag or variable stands against the file's way of giving it, whichever that is.
        let own_database = self.database.is_some() || self.database_file.is_some();
        let (database, database_file) = if own_database {
            (self.database, self.database_file)
        } else {
            (file.database, file.database_file)
        };
        Args {
            config: self.config,
            database,
            database_file,
            control_schema: self.control_schema.or(file.control_schema),
            source: self.source.or(file.source),
            plan: self.plan.or(file.plan),
            param: self.param,
            params: file.params,
            bus: self.bus.or(file.bus),
            kafka_properties_file: self.kafka_properties_file.or(file.kafka_properties_file),
            insecure: self.insecure.or(file.insecure),
            topic_prefix: self.topic_prefix.or(file.topic_prefix),
            lanes: self.lanes.or(file.lanes),
            namespace: self.namespace.or(file.namespace),
            include_deferred: self.include_deferred.or(file.include_deferred),
            lock_budget_ms: self.lock_budget_ms.or(file.lock_budget_ms),
            chunk_budget_ms: self.chunk_budget_ms.or(file.chunk_budget_ms),
            verify_every: self.verify_every.or(file.verify_every),
            verify_share: self.verify_share.or(file.verify_share),
            repair_limit: self.repair_limit.or(file.repair_limit),
            replicas: if self.replicas.is_empty() { file.replicas } else { self.replicas },
            max_replica_lag: self.max_replica_lag.or(file.max_replica_lag),
            max_threads_running: self.max_threads_running.or(file.max_threads_running),
            max_history_length: self.max_history_length.or(file.max_history_length),
            listen: self.listen.or(file.listen),
            console: self.console.or(file.console),
            console_tokens: self.console_tokens.or(file.console_tokens),
            step_down: self.step_down.or(file.step_down),
            output: self.output.or(file.output),
            log_format: self.log_format.or(file.log_format),
            log_filter: self.log_filter.or(file.log_filter),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            instance: self.instance.or(file.instance),
        }
    }
}

/// A text, number or truth value as it was written; it may be a secret, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(pub(crate) String);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Value {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl serde::de::Visitor<'_> for Scalar {
            type Value = Value;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, number or truth value")
            }

            fn visit_str<E>(self, v: &str) -> Result<Value, E> {
                Ok(Value(v.to_owned()))
            }

            fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
                Ok(Value(v.to_string()))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value(v.to_string()))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(Value(v.to_string()))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                Ok(Value(v.to_string()))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}
