//! One document that answers: can we cut over; if not, why and who acts; how fresh is that answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use mysql::control::flag::{self, Stored};
use mysql::control::lane::{self, Mode};
use mysql::{DbError, Session};
use plan::checked::{Target, TargetKind};
use serde_json::{Value, json};

use super::auth::{Caller, Role};
use super::{Api, ApiError, BEAT, Shared, now};
use crate::answer::Verdicts;
use crate::flags::{self, Standing};
use crate::status::{self, Status};
use crate::verdict::Answer;

pub async fn get(State(api): State<Shared>, caller: Caller) -> Result<impl IntoResponse, ApiError> {
    let document = api.overview().await?;
    Ok(Json(for_caller(&document, &caller)))
}

/// The document, about once a second while somebody listens. A document that can't be made ends the stream: silence is
/// what the console takes for "no answer".
pub async fn events(State(api): State<Shared>, caller: Caller) -> Result<impl IntoResponse, ApiError> {
    let first = api.overview().await?;
    let stream = stream::unfold((api, caller, Some(first)), async |(api, caller, ready)| {
        let document = match ready {
            Some(document) => document,
            None => {
                tokio::time::sleep(BEAT).await;
                api.overview().await.ok()?
            }
        };
        let event = Event::default().event("overview").data(for_caller(&document, &caller).to_string());
        Some((Ok::<_, Infallible>(event), (api, caller, None)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

fn for_caller(document: &Value, caller: &Caller) -> Value {
    let mut document = document.clone();
    document["can_act"] = json!(caller.role == Role::Operator);
    document
}

impl Api {
    /// The document, at most a second old.
    pub(super) async fn overview(&self) -> Result<Arc<Value>, ApiError> {
        let mut kept = self.overview.lock().await;
        if let Some((at, document)) = &*kept
            && at.elapsed() < BEAT / 2
        {
            return Ok(document.clone());
        }
        let made = self.with(async |session| self.make(session).await).await?;
        let document = Arc::new(made);
        *kept = Some((Instant::now(), document.clone()));
        Ok(document)
    }

    async fn make(&self, session: &mut Session) -> Result<Value, DbError> {
        let (db, plan) = (&self.context.database, &self.context.plan);
        let verdicts = Verdicts::read(session, db).await?;
        let overall = &verdicts.overall;
        let shown = overall.shown();
        let status = status::read(session, db, &self.context.source, overall.answer).await?;
        let (flags, modes) = (flag::all(session, db).await?, lane::modes(session, db).await?);
        let targets: Vec<Value> = plan
            .targets
            .iter()
            .map(|t| self.target(t, &status, &verdicts, flags.get(&t.table), modes.get(&t.table)))
            .collect();
        Ok(json!({
            "schema_version": 1,
            "now": now(),
            "source": self.context.source,
            "verdict": {
                "verdict": overall.answer.name(),
                "made_at": overall.made_at,
                "age_seconds": overall.age_seconds,
                "expires_in_seconds": overall.expires_in_seconds,
                "position": shown["position"],
                "reasons": shown["reasons"],
                "criteria": shown.get("criteria").cloned().unwrap_or(json!([])),
            },
            "fence": {
                "applied": status.applied,
                "lag_seconds": status.lag_seconds,
                "waits_for": status.waits_for,
            },
            "held": status.held,
            "targets": targets,
            "id_maps": shown.get("id_maps").cloned().unwrap_or(json!([])),
            "services": status.services,
        }))
    }

    fn target(
        &self,
        target: &Target,
        status: &Status,
        verdicts: &Verdicts,
        stored: Option<&Stored>,
        mode: Option<&Mode>,
    ) -> Value {
        let verdict = verdicts.of(&target.table);
        let shown = verdict.shown();
        let runs = self.context.include_deferred || target.defer.is_none();
        let backfill = status.backfill.iter().rfind(|b| b.target == target.table && b.kind == "rows");
        let phase = match backfill.map(|b| b.state.as_str()) {
            _ if !runs => "deferred",
            None | Some("pending") => "waiting",
            Some("running") => "backfilling",
            _ if verdict.answer == Answer::Ready => "ready",
            _ => "syncing",
        };
        // Of what no verdict speaks of, nothing is said: that is not zero.
        let number = |name: &str| shown.get(name).and_then(Value::as_u64);
        let count = |kind: &str| -> u64 {
            status
                .exceptions
                .iter()
                .filter(|e| e.target == target.table && e.kind == kind)
                .map(|e| e.count)
                .sum()
        };
        let flag = Standing::of(&target.table, stored, verdicts);
        json!({
            "target": target.table,
            "kind": if target.kind == TargetKind::Shadow { "shadow" } else { "columns" },
            "risk": format!("{:?}", target.risk).to_lowercase(),
            "deferred": target.defer.as_ref().filter(|_| !runs).map(|d| json!({
                "reason": d.reason, "review_by": d.review_by,
            })),
            "phase": phase,
            "verdict": verdict.answer.name(),
            "age_seconds": verdict.age_seconds,
            "wanted_rows": number("wanted_rows"),
            "present_rows": number("present_rows"),
            "found": number("found"),
            "confirmed": number("confirmed"),
            "unstable": number("unstable"),
            "strangers": number("strangers"),
            // Parked and reported now; waived when the pass looked.
            "parked": count("parked").saturating_sub(number("waived").unwrap_or_default()),
            "waived": number("waived"),
            "reports": count("report"),
            "mode": mode.map(|m| m.name()),
            "oldest_part_seconds": shown.get("oldest_part_seconds"),
            "reasons": if runs { shown["reasons"].clone() } else { json!([]) },
            "backfill": backfill,
            "flag": {
                "state": flag.state.name(),
                "since": stored.map(|s| &s.since),
                "by": stored.map(|s| &s.who),
                "allowed_up": flag.allowed_up.map(flags::State::name),
                "blocked_because": flag.blocked,
            },
        })
    }
}
