//! The control schema: made and brought up to date by an account that may, looked at by every service.

use plan::catalog::Catalog;
use plan::quote::{ident, text};

use crate::catalog;
use crate::database::Database;
use crate::error::{Class, DbError};
use crate::session::Session;

/// In order; the version of the control schema is their number.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_control.sql")];

/// The version that this program needs.
pub const CONTROL_VERSION: usize = MIGRATIONS.len();

/// How long a second starter waits for the first.
const LOCK_SECONDS: u32 = 30;

/// What the control schema must have been made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// [`plan::checked::Checked::digest`].
    pub plan_digest: String,
    /// UUIDs of ids are derived in it, so it is for ever.
    pub namespace: uuid::Uuid,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("the control schema `{0}` doesn't exist or is older than this program: run `crossfade migrate`")]
    Old(String),
    #[error(
        "the control schema `{schema}` has version {found}, this program knows {CONTROL_VERSION}: a newer Crossfade has \
         been here; start that one"
    )]
    Newer { schema: String, found: usize },
    #[error(
        "the control schema `{schema}` belongs to plan {found}, this is plan {expected}: give every service the same plan \
         folder and parameters; if the plan was changed on purpose, `crossfade migrate --accept-plan` takes it over, and \
         `crossfade backfill` must then run for what was changed"
    )]
    OtherPlan { schema: String, found: String, expected: String },
    #[error(
        "the control schema `{schema}` belongs to the deployment namespace {found}, the setting is {expected}: ids were \
         derived in {found}; set `namespace` to it (or choose another control schema for another deployment)"
    )]
    OtherNamespace { schema: String, found: String, expected: String },
    #[error(
        "another program has been migrating `{0}` for {LOCK_SECONDS} s: wait for it, or end it, and try again"
    )]
    Busy(String),
    #[error(
        "the schema `{schema}` has the character set {found}, Crossfade needs utf8mb4: \
         ALTER DATABASE `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    )]
    Charset { schema: String, found: String },
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// 0: there was no control schema.
    pub from: usize,
    pub to: usize,
}

/// Makes the control schema what this program needs and enters the deployment into it. `accept_plan` takes over another
/// plan; another namespace or a newer version is always refused.
pub async fn migrate(
    database: &Database,
    deployment: &Deployment,
    accept_plan: bool,
) -> Result<Migrated, ControlError> {
    let mut session = database.session().await?;
    let control = database.control();
    let lock = text(&format!("crossfade migrate {control}").chars().take(64).collect::<String>());
    let row = session.row(&format!("SELECT GET_LOCK({lock}, {LOCK_SECONDS})")).await?;
    if row.map(|r| r.u64(0)).transpose()?.flatten() != Some(1) {
        return Err(ControlError::Busy(control.into()));
    }
    // The lock goes with the session, whatever happens below.
    let migrated = locked(&mut session, control, deployment, accept_plan).await;
    session.close().await;
    migrated
}

async fn locked(
    session: &mut Session,
    control: &str,
    deployment: &Deployment,
    accept_plan: bool,
) -> Result<Migrated, ControlError> {
    let from = version(session, control).await?.unwrap_or(0);
    if from > CONTROL_VERSION {
        return Err(ControlError::Newer { schema: control.into(), found: from });
    }
    if from > 0 {
        compare(session, control, deployment, accept_plan).await?;
    }
    if from == 0 && !exists(session, control).await? {
        let sql = format!("CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ident(control));
        session.execute(&sql).await.map_err(|e| e.doing("create the control schema"))?;
    }
    charset(session, control).await?;
    session.execute(&format!("USE {}", ident(control))).await?;
    for (number, sql) in (1..).zip(MIGRATIONS).skip(from) {
        session
            .execute(sql)
            .await
            .map_err(|e| e.doing(format!("migrate the control schema to version {number}")))?;
        enter(session, "version", &number.to_string()).await?;
    }
    enter(session, "plan_digest", &deployment.plan_digest).await?;
    enter(session, "namespace", &deployment.namespace.to_string()).await?;
    Ok(Migrated { from, to: CONTROL_VERSION })
}

/// What a service asks at its start: is the control schema the one that I was made for?
pub async fn check_control(
    session: &mut Session,
    control: &str,
    deployment: &Deployment,
) -> Result<(), ControlError> {
    match version(session, control).await? {
        Some(CONTROL_VERSION) => compare(session, control, deployment, false).await,
        Some(found) if found > CONTROL_VERSION => Err(ControlError::Newer { schema: control.into(), found }),
        _ => Err(ControlError::Old(control.into())),
    }
}

/// Refreshes the catalog that the services go by. Returns it.
pub async fn refresh_catalog(session: &mut Session, database: &Database) -> Result<Catalog, DbError> {
    let catalog = catalog::load(session, database.schema()).await?;
    catalog::store(session, database.control(), &catalog).await?;
    Ok(catalog)
}

async fn compare(
    session: &mut Session,
    control: &str,
    deployment: &Deployment,
    accept_plan: bool,
) -> Result<(), ControlError> {
    let schema = || control.to_owned();
    let expected = deployment.namespace.to_string();
    match meta(session, control, "namespace").await? {
        Some(found) if found != expected => {
            return Err(ControlError::OtherNamespace { schema: schema(), found, expected });
        }
        _ => {}
    }
    match meta(session, control, "plan_digest").await? {
        Some(found) if found != deployment.plan_digest && !accept_plan => {
            Err(ControlError::OtherPlan { schema: schema(), found, expected: deployment.plan_digest.clone() })
        }
        _ => Ok(()),
    }
}

/// The version that stands in the control schema; `None` without one.
pub async fn version(session: &mut Session, control: &str) -> Result<Option<usize>, DbError> {
    match meta(session, control, "version").await {
        Ok(version) => Ok(version.and_then(|v| v.parse().ok())),
        Err(e) if e.class == Class::Missing => Ok(None),
        Err(e) => Err(e.doing("read the version of the control schema")),
    }
}

/// One entry of the control schema's `meta`.
pub async fn meta(session: &mut Session, control: &str, name: &str) -> Result<Option<String>, DbError> {
    let row = session
        .row(&format!("SELECT value FROM {}.meta WHERE name = {}", ident(control), text(name)))
        .await?;
    Ok(match row {
        Some(row) => row.text(0)?.map(str::to_owned),
        None => None,
    })
}

async fn exists(session: &mut Session, schema: &str) -> Result<bool, DbError> {
    let sql = format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {}", text(schema));
    Ok(session.row(&sql).await?.is_some())
}

async fn charset(session: &mut Session, control: &str) -> Result<(), ControlError> {
    let sql = format!(
        "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = {}",
        text(control)
    );
    let found =
        session.row(&sql).await?.map(|r| r.text(0).map(|t| t.unwrap_or_default().to_owned())).transpose()?;
    match found.unwrap_or_default() {
        found if found == "utf8mb4" => Ok(()),
        found => Err(ControlError::Charset { schema: control.into(), found }),
    }
}

/// Into the `meta` of the default schema.
async fn enter(session: &mut Session, name: &str, value: &str) -> Result<(), DbError> {
    let (name, value) = (text(name), text(value));
    session
        .execute(&format!(
            "INSERT INTO meta (name, value) VALUES ({name}, {value}) ON DUPLICATE KEY UPDATE value = {value}"
        ))
        .await
        .map(drop)
        .map_err(|e| e.doing("enter the deployment into the control schema"))
}
