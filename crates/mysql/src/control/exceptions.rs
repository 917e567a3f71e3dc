//! Exceptions: reports (a value is NULL or a row is absent, and we say why) and parked scopes.

use std::collections::BTreeMap;

use change::{Cell, Fold, Key};
use plan::quote;

use super::audit::{self, Decision};
use super::{key_from_json, key_to_json};
use crate::{Database, DbError, Session};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Report,
    Parked,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Report => "report",
            Kind::Parked => "parked",
        }
    }
}

/// Something to say about a scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    pub scope: Key,
    pub kind: Kind,
    /// `None`: the whole row.
    pub column: Option<String>,
    pub reason: String,
    pub missing: Option<Missing>,
    pub detail: Option<String>,
}

/// The parent that was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub entity: String,
    pub id: String,
    /// Fold of the parent's key, by which its arrival is found.
    pub fold: Fold,
}

/// An open row.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub id: u64,
    pub exception: Exception,
}

impl Exception {
    /// Do two say the same? Scopes compare by their fold.
    pub fn same(&self, other: &Exception, folds: &[Fold]) -> bool {
        self.kind == other.kind
            && self.column == other.column
            && self.reason == other.reason
            && self.detail == other.detail
            && self.missing.as_ref().map(|m| (&m.entity, &m.id))
                == other.missing.as_ref().map(|m| (&m.entity, &m.id))
            && identity(folds, &self.scope) == identity(folds, &other.scope)
    }
}

/// The scope's fold for look-ups here. A column that cannot be folded counts as it is spelled: two spellings then are two
/// entries, of which the verifier closes the one that is no longer spelled so.
pub fn identity(folds: &[Fold], scope: &Key) -> Vec<u8> {
    let mut fold = Fold::spelled(folds, scope);
    fold.truncate(512);
    fold
}

/// The fold of a missing id. Unfoldable ids are all one: an arrival then finds more than it must, never less.
fn missing_fold(missing: &Missing) -> Vec<u8> {
    let mut fold = Fold::key(&[missing.fold], &Key(vec![Cell::Text(missing.id.clone())]));
    fold.truncate(255);
    fold
}

/// Open exceptions of these scopes.
pub async fn of_scopes(
    session: &mut Session,
    db: &Database,
    target: &str,
    folds: &[Fold],
    scopes: impl IntoIterator<Item = &Key>,
) -> Result<Vec<Open>, DbError> {
    let list: Vec<String> = scopes.into_iter().map(|s| quote::bytes(&identity(folds, s))).collect();
    let mut found = Vec::new();
    for some in list.chunks(1000) {
        let condition = format!("scope_fold IN ({})", some.join(","));
        found.extend(read(session, db, target, &condition).await?);
    }
    Ok(found)
}

/// Open exceptions whose scope fulfils a condition over `columns`, SQL expressions of the scope's cells.
pub async fn where_scope(
    session: &mut Session,
    db: &Database,
    target: &str,
    condition: &str,
) -> Result<Vec<Open>, DbError> {
    read(session, db, target, condition).await
}

/// SQL expressions of the scope's cells in this table, typed and collated as the legacy columns are: a range of scopes must
/// be the same range here.
pub fn scope_cells(columns: &[plan::catalog::Column]) -> Vec<String> {
    let cell = |(i, c): (usize, &plan::catalog::Column)| {
        let text = format!("JSON_UNQUOTE(JSON_EXTRACT(scope, '$[{i}]'))");
        let bare = c.column_type.trim_end_matches(" zerofill").trim_end_matches(" unsigned");
        match (&c.charset, &c.collation) {
            _ if matches!(c.data_type.as_str(), "binary" | "varbinary") => {
                format!("UNHEX(JSON_UNQUOTE(JSON_EXTRACT(scope, '$[{i}].hex')))")
            }
            _ if matches!(c.data_type.as_str(), "decimal" | "date" | "datetime" | "time") => {
                format!("CAST({text} AS {bare})")
            }
            _ if c.data_type == "timestamp" => format!("CAST({text} AS DATETIME(6))"),
            _ if matches!(c.data_type.as_str(), "uuid" | "inet4" | "inet6") => {
                format!("CAST({text} AS {})", c.data_type)
            }
            _ if c.is_integer() && c.is_unsigned() => format!("CAST({text} AS UNSIGNED)"),
            _ if c.is_integer() => format!("CAST({text} AS SIGNED)"),
            (Some(charset), Some(collation)) => {
                format!("CONVERT({text} USING {charset}) COLLATE {collation}")
            }
            _ => text,
        }
    };
    columns.iter().enumerate().map(cell).collect()
}

async fn read(
    session: &mut Session,
    db: &Database,
    target: &str,
    condition: &str,
) -> Result<Vec<Open>, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT id, scope, kind, column_name, reason, missing_entity, missing_id, detail FROM {} WHERE target_table = {} AND closed_at IS NULL AND {condition}",
            db.control_table("exceptions"),
            quote::text(target),
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let missing = match (r.text(5)?, r.text(6)?) {
                (Some(entity), Some(id)) => {
                    Some(Missing { entity: entity.into(), id: id.into(), fold: Fold::Exact })
                }
                _ => None,
            };
            Ok(Open {
                id: r.u64(0)?.unwrap_or_default(),
                exception: Exception {
                    scope: key_from_json(r.text(1)?.unwrap_or_default())?,
                    kind: if r.text(2)? == Some("parked") { Kind::Parked } else { Kind::Report },
                    column: r.text(3)?.map(Into::into),
                    reason: r.text(4)?.unwrap_or_default().into(),
                    missing,
                    detail: r.text(7)?.map(Into::into),
                },
            })
        })
        .collect()
}

pub async fn open(
    session: &mut Session,
    db: &Database,
    target: &str,
    folds: &[Fold],
    new: &[Exception],
) -> Result<(), DbError> {
    let optional = |t: Option<&str>| t.map_or("NULL".into(), quote::text);
    for some in new.chunks(200) {
        let rows: Vec<String> = some
            .iter()
            .map(|e| {
                let key = super::finding::kept(&e.scope.text());
                format!(
                    "({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, NOW(6))",
                    quote::text(target),
                    quote::text(&key),
                    quote::bytes(&identity(folds, &e.scope)),
                    quote::text(&key_to_json(&e.scope)),
                    quote::text(e.kind.name()),
                    optional(e.column.as_deref()),
                    quote::text(&e.reason),
                    optional(e.missing.as_ref().map(|m| m.entity.as_str())),
                    optional(e.missing.as_ref().map(|m| m.id.as_str())),
                    e.missing.as_ref().map_or("NULL".into(), |m| quote::bytes(&missing_fold(m))),
                    optional(e.detail.as_deref()),
                )
            })
            .collect();
        session
            .execute(&format!(
                "INSERT INTO {} (target_table, scope_key, scope_fold, scope, kind, column_name, reason, missing_entity, missing_id, missing_fold, detail, since) VALUES {}",
                db.control_table("exceptions"),
                rows.join(", ")
            ))
            .await?;
    }
    Ok(())
}

pub async fn close(session: &mut Session, db: &Database, ids: &[u64]) -> Result<(), DbError> {
    for some in ids.chunks(1000) {
        let list: Vec<String> = some.iter().map(u64::to_string).collect();
        session
            .execute(&format!(
                "UPDATE {} SET closed_at = NOW(6) WHERE id IN ({}) AND closed_at IS NULL",
                db.control_table("exceptions"),
                list.join(",")
            ))
            .await?;
    }
    Ok(())
}

/// Scopes that wait for these parents: `(target, scope)`. This is the route of a parent's arrival, whatever indexes the
/// legacy tables have.
pub async fn waiting_for(
    session: &mut Session,
    db: &Database,
    entity: &str,
    fold: Fold,
    ids: &[Cell],
) -> Result<Vec<(String, Key)>, DbError> {
    let mut found = Vec::new();
    for some in ids.chunks(1000) {
        let list: Vec<String> = some
            .iter()
            .map(|id| {
                let missing = Missing { entity: entity.into(), id: id.to_string(), fold };
                quote::bytes(&missing_fold(&missing))
            })
            .collect();
        let rows = session
            .rows(&format!(
                "SELECT DISTINCT target_table, scope FROM {} WHERE missing_entity = {} AND missing_fold IN ({}) AND closed_at IS NULL",
                db.control_table("exceptions"),
                quote::text(entity),
                list.join(",")
            ))
            .await?;
        for r in &rows {
            found.push((
                r.text(0)?.unwrap_or_default().into(),
                key_from_json(r.text(1)?.unwrap_or_default())?,
            ));
        }
    }
    Ok(found)
}

/// The reason of scopes that are parked because another row of the target has the value of a unique key.
pub const DUPLICATE: &str = "duplicate";
/// The row is locked by somebody else.
pub const BUSY: &str = "busy";
/// A parent exists and has no entry in its map yet.
pub const ID_MISSING: &str = "id_missing";
/// The condition of scopes that are parked and that time alone can heal.
pub const RETURNING: &str = "kind = 'parked' AND reason IN ('busy', 'id_missing')";

/// Some scopes that are parked for this reason, in order, from behind an id: (id, target, scope).
pub async fn parked(
    session: &mut Session,
    db: &Database,
    reason: &str,
    behind: u64,
    limit: u32,
) -> Result<Vec<(u64, String, Key)>, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT id, target_table, scope FROM {} FORCE INDEX (ix_exceptions_reason) WHERE closed_at IS NULL AND kind = 'parked' AND reason = {} AND id > {behind} \
             ORDER BY id LIMIT {limit}",
            db.control_table("exceptions"),
            quote::text(reason),
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let (target, scope) = (r.text(1)?.unwrap_or_default(), r.text(2)?.unwrap_or_default());
            Ok((r.u64(0)?.unwrap_or_default(), target.into(), key_from_json(scope)?))
        })
        .collect()
}

/// An exception as an operator reads it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    #[serde(skip)]
    pub id: u64,
    pub target: String,
    pub scope_key: String,
    pub kind: String,
    pub column: Option<String>,
    pub reason: String,
    pub missing_entity: Option<String>,
    pub missing_id: Option<String>,
    pub detail: Option<String>,
    pub since: String,
    pub waived_by: Option<String>,
    #[serde(skip)]
    pub waived_because: Option<String>,
}

/// Exceptions that fulfil a condition; `order` as in ORDER BY.
pub async fn list(
    session: &mut Session,
    db: &Database,
    condition: &str,
    order: &str,
    limit: u32,
) -> Result<Vec<Listed>, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT id, target_table, scope_key, kind, column_name, reason, missing_entity, missing_id, detail, CAST(since AS CHAR), waived_by, waived_because FROM {} WHERE {condition} ORDER BY {order} LIMIT {limit}",
            db.control_table("exceptions"),
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let text = |i: usize| r.text(i).map(|t| t.map(String::from));
            Ok(Listed {
                id: r.u64(0)?.unwrap_or_default(),
                target: text(1)?.unwrap_or_default(),
                scope_key: text(2)?.unwrap_or_default(),
                kind: text(3)?.unwrap_or_default(),
                column: text(4)?,
                reason: text(5)?.unwrap_or_default(),
                missing_entity: text(6)?,
                missing_id: text(7)?,
                detail: text(8)?,
                since: text(9)?.unwrap_or_default(),
                waived_by: text(10)?,
                waived_because: text(11)?,
            })
        })
        .collect()
}

/// Sends the scopes of exceptions that fulfil a condition through the pipeline again; gives their number.
pub async fn redrive(
    session: &mut Session,
    db: &Database,
    condition: &str,
    limit: u32,
) -> Result<usize, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT target_table, scope FROM {} WHERE closed_at IS NULL AND {condition} LIMIT {limit}",
            db.control_table("exceptions"),
        ))
        .await?;
    for r in &rows {
        let (target, scope) =
            (r.text(0)?.unwrap_or_default(), key_from_json(r.text(1)?.unwrap_or_default())?);
        super::redrive::ask(session, db, target, [&scope], "operator", 0).await?;
    }
    Ok(rows.len())
}

/// Accepts parked scopes as they are.
pub struct Waiver<'a> {
    /// Which of the parked scopes that nobody has waived yet, and how many at most.
    pub condition: &'a str,
    pub limit: u32,
    pub who: &'a str,
    pub because: &'a str,
}

/// Waives, and writes that down; gives the number of exceptions.
pub async fn waive(session: &mut Session, db: &Database, waiver: &Waiver<'_>) -> Result<u64, DbError> {
    let mut tries = 0;
    loop {
        session.begin().await?;
        let done = try_waive(session, db, waiver).await;
        if let Some(waived) = audit::end(session, done, &mut tries).await? {
            return Ok(waived);
        }
    }
}

async fn try_waive(session: &mut Session, db: &Database, waiver: &Waiver<'_>) -> Result<u64, DbError> {
    let Waiver { condition, limit, who, because } = waiver;
    let because: String = because.chars().take(400).collect();
    let table = db.control_table("exceptions");
    let chosen = format!(
        "SELECT id, target_table FROM {table} WHERE closed_at IS NULL AND kind = 'parked' AND waived_at IS NULL AND {condition} ORDER BY id LIMIT {limit}"
    );
    let (mut ids, mut targets) = (Vec::new(), BTreeMap::<String, u64>::new());
    for r in &session.rows(&chosen).await? {
        ids.push(r.u64(0)?.unwrap_or_default().to_string());
        *targets.entry(r.text(1)?.unwrap_or_default().to_owned()).or_default() += 1;
    }
    if ids.is_empty() {
        return Ok(0);
    }
    let waived = session
        .execute(&format!(
            "UPDATE {table} SET waived_at = NOW(6), waived_by = {}, waived_because = {} WHERE id IN ({}) AND waived_at IS NULL",
            quote::text(who),
            quote::text(&because),
            ids.join(","),
        ))
        .await?;
    for (target, scopes) in &targets {
        let scopes = format!("{scopes} scopes waived");
        let decision = Decision {
            who,
            what: "waive",
            target,
            was: None,
            now_is: Some(&scopes),
            because: &because,
            verdict: None,
        };
        audit::add(session, db, &decision).await?;
    }
    Ok(waived)
}
