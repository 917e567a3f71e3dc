//! What the console shows beside the overview.

use axum::Json;
use axum::extract::{Path, Query, State};
use mysql::control::{audit, dual_write, exceptions, finding, sweep};
use plan::quote;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::{ApiError, Shared};
use crate::answer::Verdicts;

/// Rows of one answer at most.
const MOST: u32 = 1000;

/// The verdict as `crossfade verdict --output json` prints it.
pub async fn verdict(State(api): State<Shared>, _: Caller) -> Result<Json<Value>, ApiError> {
    let shown = api
        .with(async |session| {
            Ok::<_, ApiError>(Verdicts::read(session, &api.context.database).await?.overall.shown())
        })
        .await?;
    Ok(Json(shown))
}

pub async fn target(
    State(api): State<Shared>,
    _: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let overview = api.overview().await?;
    let all = overview["targets"].as_array();
    let Some(target) = all.into_iter().flatten().find(|t| t["target"] == name.as_str()) else {
        return Err(ApiError::not_found(format!("the plan has no target `{name}`")));
    };
    let db = &api.context.database;
    let (findings, open, history, coverage, dual_writes) = api
        .with(async |session| {
            let condition = format!("closed_at IS NULL AND target_table = {}", quote::text(&name));
            Ok::<_, ApiError>((
                finding::list(session, db, Some(&name), false, 100).await?,
                exceptions::list(session, db, &condition, "id DESC", 100).await?,
                audit::entries(session, db, Some(&name), 0, MOST).await?,
                sweep::covered(session, db, &name).await?,
                dual_write::hours(session, db, &name, 48).await?,
            ))
        })
        .await?;
    Ok(Json(json!({
        "target": target,
        "lag": api.lag(),
        "findings": findings,
        "exceptions": open.iter().map(shown).collect::<Vec<_>>(),
        "coverage": coverage,
        "dual_writes": dual_writes,
        "history": history.iter().filter(|e| e.what == "flag").collect::<Vec<_>>(),
    })))
}

#[derive(Debug, Deserialize)]
pub struct Select {
    target: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

pub async fn exceptions(
    State(api): State<Shared>,
    _: Caller,
    Query(select): Query<Select>,
) -> Result<Json<Value>, ApiError> {
    let limit = select.limit.unwrap_or(100).clamp(1, MOST);
    let mut condition = format!("closed_at IS NULL AND id > {}", select.after);
    for (column, value) in [("target_table", &select.target), ("kind", &select.kind)] {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            condition += &format!(" AND {column} = {}", quote::text(value));
        }
    }
    let db = &api.context.database;
    let found = api
        .with(async |session| {
            Ok::<_, ApiError>(exceptions::list(session, db, &condition, "id", limit + 1).await?)
        })
        .await?;
    let here = &found[..found.len().min(limit as usize)];
    let next = (found.len() > here.len()).then(|| here.last().map(|e| e.id)).flatten();
    Ok(Json(json!({ "exceptions": here.iter().map(shown).collect::<Vec<_>>(), "next": next })))
}

fn shown(e: &exceptions::Listed) -> Value {
    json!({
        "id": e.id, "target": e.target, "scope": e.scope_key, "kind": e.kind, "column": e.column,
        "reason": e.reason, "missing_entity": e.missing_entity, "missing_id": e.missing_id,
        "detail": e.detail, "since": format!("{}Z", e.since.replace(' ', "T")),
        "waived_by": e.waived_by, "waived_because": e.waived_because,
    })
}

#[derive(Debug, Deserialize)]
pub struct After {
    #[serde(default)]
    after: u64,
}

pub async fn audit(
    State(api): State<Shared>,
    _: Caller,
    Query(After { after }): Query<After>,
) -> Result<Json<Value>, ApiError> {
    let db = &api.context.database;
    let (entries, broken) = api
        .with(async |session| {
            Ok::<_, ApiError>((
                audit::entries(session, db, None, after, MOST).await?,
                audit::broken_at(session, db).await?,
            ))
        })
        .await?;
    let chain = broken.map_or("intact".into(), |id| format!("broken at {id}"));
    Ok(Json(json!({ "entries": entries, "chain": chain })))
}
