//! What must hold before anything starts, as data: setting, expected, actual, and how to mend it.

use plan::catalog::{Catalog, Flavour};
use plan::checked::Checked;
use plan::quote::{ident, text};

use crate::database::Database;
use crate::error::{Class, DbError};
use crate::grants::{self, Rights, Role};
use crate::migrate::{CONTROL_VERSION, ControlError, Deployment, check_control};
use crate::privileges::Held;
use crate::server::Server;
use crate::session::Session;
use crate::way_back;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the reader's information.
    Info,
    /// It works, but not well or not safely.
    Warn,
    /// Nothing may start.
    Refuse,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Group: `server`, `binlog`, `plan`, `control`, `rights`.
    pub name: &'static str,
    pub setting: String,
    pub expected: String,
    pub actual: String,
    pub ok: bool,
    /// How bad it is if it is not ok.
    pub severity: Severity,
    /// What to do if it is not ok.
    pub mend: String,
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    pub plan: &'a Checked,
    pub catalog: &'a Catalog,
    pub deployment: &'a Deployment,
    /// Whose rights the account must have.
    pub roles: &'a [Role],
    pub include_deferred: bool,
}

/// How long the binlog should be kept at least, in seconds: a long weekend.
const RETENTION: u64 = 3 * 86_400;

/// Everything that can be asked, in the order in which it is to be mended. Errors are only those of the connection.
pub async fn preflight(database: &Database, inquiry: &Inquiry<'_>) -> Result<Vec<Check>, DbError> {
    let mut session = database.session().await?;
    let mut report = Report::default();
    let server = Server::identify(&mut session).await?;
    let secure = database.url().is_secure();
    let mend = "add ssl-mode=verify-identity and ssl-ca=… to the database's URL";
    report
        .add(
            "server",
            "connection",
            "verified TLS, or loopback",
            if secure { "verified" } else { "unverified" },
            secure,
        )
        .warn(mend);
    version(&mut report, &server);
    settings(&mut report, &mut session, &server).await?;
    binlog_filters(&mut report, &mut session, database.control(), &server).await?;
    engines(&mut report, inquiry);
    required_rows(&mut report, &mut session, inquiry).await?;
    way_back(&mut report, &mut session, database, inquiry).await?;
    control(&mut report, &mut session, database, inquiry).await?;
    rights(&mut report, &mut session, database, inquiry).await?;
    session.close().await;
    Ok(report.0)
}

/// Nothing that refuses a start.
pub fn passes(checks: &[Check]) -> bool {
    checks.iter().all(|c| c.ok || c.severity != Severity::Refuse)
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    /// A check that refuses a start unless it is said to be milder.
    fn add(
        &mut self,
        name: &'static str,
        setting: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        ok: bool,
    ) -> &mut Check {
        self.0.push(Check {
            name,
            setting: setting.into(),
            expected: expected.into(),
            actual: actual.into(),
            ok,
            severity: Severity::Refuse,
            mend: String::new(),
        });
        self.0.last_mut().expect("it was just pushed")
    }
}

impl Check {
    fn mend(&mut self, how: impl Into<String>) {
        self.mend = how.into();
    }

    fn warn(&mut self, how: impl Into<String>) {
        self.severity = Severity::Warn;
        self.mend = how.into();
    }

    fn info(&mut self) {
        self.severity = Severity::Info;
    }
}

fn version(report: &mut Report, server: &Server) {
    match server.flavour {
        Flavour::MariaDb => report
            .add("server", "version", "MariaDB 10.6 or later", &server.text, server.version >= (10, 6, 0))
            .mend("upgrade the server: SKIP LOCKED came with 10.6"),
        Flavour::MySql => report
            .add("server", "version", "MariaDB 10.6 or later", format!("MySQL {}", server.text), false)
            .mend("MySQL's binlog is not supported yet: Crossfade streams from MariaDB only"),
    }
}

/// Global variables: name, expected value, how to mend it, whether it refuses.
async fn settings(report: &mut Report, session: &mut Session, server: &Server) -> Result<(), DbError> {
    let file = |line: &str| format!("set `{line}` in the server's configuration and restart it");
    let mut wanted = vec![
        ("log_bin", "ON", file("log_bin = ON"), true),
        ("binlog_format", "ROW", "SET GLOBAL binlog_format = 'ROW', and in the configuration".into(), true),
        (
            "binlog_row_image",
            "FULL",
            "SET GLOBAL binlog_row_image = 'FULL', and in the configuration".into(),
            true,
        ),
        (
            "binlog_row_metadata",
            "FULL",
            "SET GLOBAL binlog_row_metadata = 'FULL', and in the configuration".into(),
            true,
        ),
        ("read_only", "OFF", "use the primary's address: a replica takes no writes".into(), true),
    ];
    if server.flavour == Flavour::MariaDb {
        let scheduling = file("binlog_optimize_thread_scheduling = ON");
        wanted.push(("binlog_optimize_thread_scheduling", "ON", scheduling, true));
        let strict =
            "SET GLOBAL gtid_strict_mode = ON, so that a replica that is promoted has the same GTIDs".into();
        wanted.push(("gtid_strict_mode", "ON", strict, false));
    } else {
        wanted.push(("binlog_order_commits", "ON", "SET GLOBAL binlog_order_commits = ON".into(), true));
    }
    for (name, expected, mend, refuses) in wanted {
        let actual = variable(session, name).await?;
        let ok = actual.as_deref().is_some_and(|a| same(a, expected));
        let check = report.add(
            "server",
            name,
            expected,
            actual.unwrap_or_else(|| "unknown to the server".into()),
            ok,
        );
        if refuses { check.mend(mend) } else { check.warn(mend) }
    }
    let seconds = variable(session, "binlog_expire_logs_seconds").await?;
    let days = variable(session, "expire_logs_days").await?;
    let number = |v: &Option<String>| v.as_deref().and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    let kept = if number(&seconds) > 0.0 { number(&seconds) } else { number(&days) * 86_400.0 };
    let actual = if kept > 0.0 { format!("{kept} s") } else { "for ever".into() };
    report
        .add(
            "binlog",
            "retention",
            format!("at least {RETENTION} s"),
            actual,
            kept == 0.0 || kept >= RETENTION as f64,
        )
        .warn(
            "raise binlog_expire_logs_seconds: an outage longer than that means a full pass over everything",
        );
    let packet = variable(session, "max_allowed_packet").await?;
    report
        .add(
            "server",
            "max_allowed_packet",
            "at least 16777216",
            packet.clone().unwrap_or_default(),
            number(&packet) >= 16_777_216.0,
        )
        .warn("SET GLOBAL max_allowed_packet = 67108864, and in the configuration");
    Ok(())
}

fn same(actual: &str, expected: &str) -> bool {
    let switch = |v: &str| match v.to_ascii_uppercase().as_str() {
        "1" | "ON" => "ON".to_owned(),
        "0" | "OFF" => "OFF".to_owned(),
        other => other.to_owned(),
    };
    switch(actual) == switch(expected)
}

async fn variable(session: &mut Session, name: &str) -> Result<Option<String>, DbError> {
    let row = session.row(&format!("SHOW GLOBAL VARIABLES LIKE {}", text(name))).await?;
    row.map(|r| r.text(1).map(|t| t.unwrap_or_default().to_owned())).transpose()
}

/// The reader's barrier stands in the control schema: it must come back through the binlog.
async fn binlog_filters(
    report: &mut Report,
    session: &mut Session,
    control: &str,
    server: &Server,
) -> Result<(), DbError> {
    const NAME: &str = "binlog_do_db, binlog_ignore_db";
    let new = server.flavour == Flavour::MySql && server.version >= (8, 4, 0);
    let sql = if new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    match session.row(sql).await {
        Ok(Some(row)) => {
            let read = |name| row.place(name).map_or(Ok(None), |i| row.text(i));
            let list = |v: Option<&str>| -> Vec<String> {
                v.unwrap_or_default().split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
            };
            let (only, ignored) = (list(read("Binlog_Do_DB")?), list(read("Binlog_Ignore_DB")?));
            let ok = ignored.is_empty() && only.is_empty();
            let actual = if ok { "no filter".into() } else { format!("do: {only:?}, ignore: {ignored:?}") };
            report.add("binlog", NAME, "no filter", actual, ok).mend(format!(
                "remove the filters: {} and the legacy schema must be in the binlog whatever schema a session is in",
                ident(control)
            ));
        }
        Ok(None) => {
            let check = report.add("binlog", NAME, "no filter", "the binlog is off", false);
            check.mend("see log_bin");
        }
        Err(e) if e.class == Class::Privilege => {
            let check = report.add("binlog", NAME, "no filter", "this account may not see it", true);
            check.info();
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

fn engines(report: &mut Report, inquiry: &Inquiry<'_>) {
    let planned = inquiry.plan.watched.keys().chain(inquiry.plan.targets.iter().map(|t| &t.table));
    let mut other: Vec<String> = planned
        .filter_map(|t| inquiry.catalog.tables.get(t))
        .filter(|t| t.engine != "InnoDB")
        .map(|t| format!("{} ({})", t.name, t.engine))
        .collect();
    other.sort();
    other.dedup();
    let actual = if other.is_empty() { "InnoDB".to_owned() } else { other.join(", ") };
    report
        .add("plan", "engine of the plan's tables", "InnoDB", actual, other.is_empty())
        .mend("ALTER TABLE … ENGINE = InnoDB: without transactions and row locks nothing here holds");
}

/// Rows that parameters name, such as the system administrator.
async fn required_rows(
    report: &mut Report,
    session: &mut Session,
    inquiry: &Inquiry<'_>,
) -> Result<(), DbError> {
    for row in &inquiry.plan.required_rows {
        let table = format!("{}.{}", ident(&inquiry.plan.schema), ident(&row.table));
        let sql = format!("SELECT 1 FROM {table} WHERE {} = {}", ident(&row.key.name), row.value);
        let found = match session.row(&sql).await {
            Ok(found) => found.is_some(),
            Err(e) if e.class == Class::Connection => return Err(e),
            Err(_) => false,
        };
        let place = format!("parameter {}", row.parameter);
        let expected = format!("a row of {} with {} = {}", row.table, row.key.name, row.value);
        let actual = if found { "it is there" } else { "there is no such row (or it can't be read)" };
        report
            .add("plan", place, expected, actual, found)
            .mend(format!("set the parameter to the key of a row that exists: --param {}=…", row.parameter));
    }
    Ok(())
}

/// A plan for the way back: what the deployment that it belongs to does meanwhile.
async fn way_back(
    report: &mut Report,
    session: &mut Session,
    database: &Database,
    inquiry: &Inquiry<'_>,
) -> Result<(), DbError> {
    let Some(of) = &inquiry.plan.reverse_of else { return Ok(()) };
    let obstacles = way_back::obstacles(session, database, inquiry.plan).await?;
    let expected = "its targets in mode off, their flags above legacy, no parked scopes";
    let actual = if obstacles.is_empty() { expected.into() } else { obstacles.join("; ") };
    report
        .add("plan", format!("reverse of {}", of.control_schema), expected, actual, obstacles.is_empty())
        .mend(way_back::MEND);
    Ok(())
}

async fn control(
    report: &mut Report,
    session: &mut Session,
    database: &Database,
    inquiry: &Inquiry<'_>,
) -> Result<(), DbError> {
    report
        .add(
            "control",
            "deployment namespace",
            "the same for ever",
            inquiry.deployment.namespace.to_string(),
            true,
        )
        .info();
    let setting = format!("schema {}", ident(database.control()));
    let expected = format!("version {CONTROL_VERSION}, this plan, this namespace");
    match check_control(session, database.control(), inquiry.deployment).await {
        Ok(()) => report.add("control", setting, &expected, &expected, true).info(),
        Err(ControlError::Database(e)) if e.class == Class::Connection => return Err(e),
        Err(ControlError::Old(_)) => {
            report.add("control", setting, expected, "not there, or older", false).warn(
                "`crossfade up` makes it; with Kafka `crossfade topics --create`, alone `crossfade migrate`",
            )
        }
        Err(e) => {
            report.add("control", setting, expected, e.to_string(), false).mend("run `crossfade migrate`")
        }
    }
    Ok(())
}

async fn rights(
    report: &mut Report,
    session: &mut Session,
    database: &Database,
    inquiry: &Inquiry<'_>,
) -> Result<(), DbError> {
    let held = Held::by(session).await?;
    let account = session.row("SELECT CURRENT_USER()").await?;
    let account = account.and_then(|r| r.text(0).ok().flatten().map(str::to_owned)).unwrap_or_default();
    let account = match account.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", text(user), text(host)),
        None => text(&account),
    };
    let made = crate::migrate::version(session, database.control()).await.is_ok_and(|v| v.is_some());
    let rights = Rights {
        plan: inquiry.plan,
        catalog: inquiry.catalog,
        control: database.control(),
        include_deferred: inquiry.include_deferred,
    };
    for role in inquiry.roles {
        let missing: Vec<String> = grants::required(*role, &rights)
            .iter()
            .filter_map(|needed| held.missing(needed))
            .map(|grant| grant.statement(&account))
            .collect();
        let first = "-- after the admin's rights and `crossfade migrate`, which makes the tables that are named here:\n";
        let first = if made || missing.is_empty() || *role == Role::Admin { "" } else { first };
        let actual = if missing.is_empty() { "held".into() } else { format!("{} missing", missing.len()) };
        report
            .add("rights", format!("of the {}", role.name()), "held", actual, missing.is_empty())
            .mend(format!("{first}{}", missing.join("\n")));
    }
    let excessive = held.excessive();
    let actual = if excessive.is_empty() { "none".to_owned() } else { excessive.join(", ") };
    report
        .add("rights", "rights that no service needs", "none", actual, excessive.is_empty())
        .warn("give each service an account of its own: `crossfade preflight --print-grants`");
    Ok(())
}
