//! Flags for applications, as the OpenFeature Remote Evaluation Protocol (OFREP 0.3) has it.
//!
//! For each target `t` there are `t` (the state's name) and the booleans `t.write_new`, `t.shadow_read`, `t.read_new`. A
//! client that gets no answer falls back to its default, which is to be the legacy side.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mysql::DbError;
use mysql::control::flag;
use mysql::control::lane::{self, Mode};
use serde_json::{Value, json};

use super::auth::Caller;
use super::{Api, ApiError, Shared};
use crate::flags::State as FlagState;

impl Api {
    async fn flags(&self) -> Result<Vec<(String, Value)>, ApiError> {
        let db = &self.context.database;
        let (stored, modes) = self
            .with_flags(async |session| {
                Ok::<_, DbError>((flag::all(session, db).await?, lane::modes(session, db).await?))
            })
            .await?;
        let fresh = self.is_fresh();
        let of = |t: &plan::checked::Target| {
            let state = FlagState::of(stored.get(&t.table));
            // Of a target whose lanes are off the new side is the application's own.
            let served =
                if fresh || modes.get(&t.table) == Some(&Mode::Off) { state } else { held_back(state) };
            evaluated(&t.table, state, served)
        };
        Ok(self.context.plan.targets.iter().flat_map(of).collect())
    }
}

/// What is served while the new side is behind: nobody reads it.
fn held_back(state: FlagState) -> FlagState {
    state.min(FlagState::DualWrite)
}

fn evaluated(target: &str, stored: FlagState, state: FlagState) -> Vec<(String, Value)> {
    let metadata = match stored == state {
        true => json!({}),
        false => json!({ "stored": stored.name(), "held_back": "the new side is behind" }),
    };
    let said = |key: String, variant: &str, value: Value| {
        let body = json!({ "key": key, "reason": "STATIC", "variant": variant, "value": value, "metadata": metadata });
        (key, body)
    };
    let boolean =
        |name: &str, on: bool| said(format!("{target}.{name}"), if on { "on" } else { "off" }, json!(on));
    vec![
        said(target.to_owned(), state.name(), json!(state.name())),
        boolean("write_new", state.writes_new()),
        boolean("shadow_read", state.compares_reads()),
        boolean("read_new", state.reads_new()),
    ]
}

pub async fn one(
    State(api): State<Shared>,
    _: Caller,
    Path(key): Path<String>,
) -> Result<Response, ApiError> {
    let found = api.flags().await?.into_iter().find(|(name, _)| *name == key);
    Ok(match found {
        Some((_, flag)) => Json(flag).into_response(),
        None => {
            let details = format!("the plan has no target for the flag `{key}`");
            let body = json!({ "key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": details });
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    })
}

pub async fn all(State(api): State<Shared>, _: Caller, headers: HeaderMap) -> Result<Response, ApiError> {
    let flags: Vec<Value> = api.flags().await?.into_iter().map(|(_, flag)| flag).collect();
    let body = json!({ "flags": flags, "metadata": {} });
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let caching = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".into())];
    Ok(match known {
        Some(known) if known.split(',').any(|t| t.trim().trim_start_matches("W/") == tag) => {
            (StatusCode::NOT_MODIFIED, caching).into_response()
        }
        _ => (StatusCode::OK, caching, Json(body)).into_response(),
    })
}
