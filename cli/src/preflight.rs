//! `crossfade preflight`: settings and rights, each failure with what is there, what must be, and how to mend it.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mysql::{Check, Inquiry, Severity, passes, preflight};
use mysql::{Rights, Role};
use plan::catalog::Catalog;
use plan::checked::Checked;
use serde::Serialize;
use service::Settings;

use crate::output::{self, Exit, Format};

#[derive(Debug, Args)]
pub struct Options {
    /// Print the smallest grants, per service
    #[arg(long)]
    print_grants: bool,
    /// Check the rights of these roles only: admin, or a service's name; for its own account
    #[arg(long = "role", value_delimiter = ',', value_parser = role())]
    roles: Vec<Role>,
    /// Host part of the accounts in the grants
    #[arg(long, default_value = "%")]
    host: String,
    /// What the accounts' names begin with
    #[arg(long, default_value = "crossfade-")]
    accounts: String,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).map(|name| {
        Role::ALL.into_iter().find(|role| role.name() == name).expect("one of the possible values")
    })
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    ok: bool,
    /// Ids are derived in it, for ever.
    namespace: String,
    checks: Vec<Check>,
}

pub async fn run(settings: &Settings, options: &Options, format: Format) -> anyhow::Result<Exit> {
    let (plan, catalog) = read(settings).await?;
    if options.print_grants {
        let rights = Rights {
            plan: &plan,
            catalog: &catalog,
            control: &settings.control_schema,
            include_deferred: settings.include_deferred,
        };
        let account = |role: Role| {
            let name = plan::quote::text(&format!("{}{}", options.accounts, role.name()));
            format!("{name}@{}", plan::quote::text(&options.host))
        };
        let text = mysql::print_grants(&rights, account);
        output::print(format, &serde_json::json!({ "schema_version": 1, "grants": text }), |_| text.clone())?;
        return Ok(Exit::Yes);
    }
    let roles = if options.roles.is_empty() { &Role::ALL[..] } else { &options.roles };
    let checks = checks(settings, &plan, &catalog, roles).await?;
    let report =
        Report { schema_version: 1, ok: passes(&checks), namespace: settings.namespace.to_string(), checks };
    output::print(format, &report, |r| {
        let lines = r.checks.iter().map(|c| {
            let sign = match (c.ok, c.severity) {
                (true, _) => "ok  ",
                (false, Severity::Refuse) => "FAIL",
                (false, Severity::Warn) => "warn",
                (false, Severity::Info) => "info",
            };
            let mend =
                if c.ok || c.mend.is_empty() { String::new() } else { format!("\n       mend: {}", c.mend) };
            format!("{sign} {}: {} (expected {}){mend}", c.setting, c.actual, c.expected)
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        format!("{text}\nids are derived in the namespace {}", r.namespace)
    })?;
    Ok(if report.ok { Exit::Yes } else { Exit::No })
}

/// Refuses to start what cannot be right.
pub async fn must_pass(settings: &Settings) -> anyhow::Result<()> {
    let (plan, catalog) = read(settings).await?;
    let mut checks = checks(settings, &plan, &catalog, &Role::ALL).await?;
    // What is wrong with a control schema is said, with more words, where it is made or opened next.
    checks.retain(|c| !c.ok && c.name != "control");
    for c in checks.iter().filter(|c| c.severity == Severity::Warn) {
        tracing::warn!(setting = %c.setting, actual = %c.actual, expected = %c.expected, mend = %c.mend, "preflight");
    }
    let failed = checks.iter().filter(|c| c.severity == Severity::Refuse);
    let lines: Vec<String> = failed
        .map(|c| format!("  {}: is {}, must be {}\n    mend: {}", c.setting, c.actual, c.expected, c.mend))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    anyhow::bail!("the preflight failed:\n{}", lines.join("\n"))
}

async fn read(settings: &Settings) -> anyhow::Result<(Checked, Catalog)> {
    let db = settings.database();
    let mut session = db.session().await?;
    crate::deployment::checked_plan(settings, &mut session, &db).await
}

async fn checks(
    settings: &Settings,
    plan: &Checked,
    catalog: &Catalog,
    roles: &[Role],
) -> anyhow::Result<Vec<Check>> {
    let inquiry = Inquiry {
        plan,
        catalog,
        deployment: &settings.deployment(&plan.digest),
        roles,
        include_deferred: settings.include_deferred,
    };
    Ok(preflight(&settings.database(), &inquiry).await?)
}
