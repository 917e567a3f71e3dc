//! What an operator with a token may do.

use axum::Json;
use axum::extract::{Path, State};
use mysql::control::exceptions::{self, Waiver};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::{ApiError, Shared};
use crate::flags::{self, FlagError, Move};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    ids: Vec<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    ids: Vec<u64>,
    because: String,
}

/// Exceptions of one request at most.
const MOST: usize = 1000;

fn condition(ids: &[u64]) -> Result<String, ApiError> {
    if ids.is_empty() || ids.len() > MOST {
        return Err(ApiError::bad_request(format!("name 1 to {MOST} exceptions by their ids")));
    }
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    Ok(format!("id IN ({})", ids.join(",")))
}

pub async fn redrive(
    State(api): State<Shared>,
    caller: Caller,
    Json(Chosen { ids }): Json<Chosen>,
) -> Result<Json<Value>, ApiError> {
    caller.may_act()?;
    let condition = condition(&ids)?;
    let db = &api.context.database;
    let redriven = api
        .with(async |session| {
            Ok::<_, ApiError>(exceptions::redrive(session, db, &condition, MOST as u32).await?)
        })
        .await?;
    Ok(Json(json!({ "redriven": redriven })))
}

pub async fn waive(
    State(api): State<Shared>,
    caller: Caller,
    Json(Accepted { ids, because }): Json<Accepted>,
) -> Result<Json<Value>, ApiError> {
    caller.may_act()?;
    let condition = condition(&ids)?;
    if because.trim().is_empty() {
        return Err(FlagError::NoReason.into());
    }
    let db = &api.context.database;
    let waiver = Waiver { condition: &condition, limit: MOST as u32, who: &caller.name, because: &because };
    let waived =
        api.with(async |session| Ok::<_, ApiError>(exceptions::waive(session, db, &waiver).await?)).await?;
    Ok(Json(json!({ "waived": waived })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    to: String,
    because: String,
}

pub async fn flag(
    State(api): State<Shared>,
    caller: Caller,
    Path(target): Path<String>,
    Json(Step { to, because }): Json<Step>,
) -> Result<Json<Value>, ApiError> {
    caller.may_act()?;
    if api.context.plan.target(&target).is_none() {
        return Err(FlagError::NoTarget(target).into());
    }
    let to = flags::State::parse(&to).ok_or(FlagError::NoState(to))?;
    let order = Move { target: &target, to, who: &caller.name, because: &because, only_down: false };
    let db = &api.context.database;
    api.with_flags(async |session| flags::set(session, db, &order).await.map_err(ApiError::from)).await?;
    Ok(Json(json!({ "flag": { "state": to.name(), "by": caller.name } })))
}
