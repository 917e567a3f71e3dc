//! The verdict as it stands in the control schema, and what it says now: one that has expired says nothing.

use std::collections::BTreeMap;

use mysql::control::{self, fidelity, finding};
use mysql::{Class, Database, DbError, Row, Session};
use serde_json::{Value, json};

use crate::fidelity::{FIDELITY, REFUSED, disagree};
use crate::verdict::{self, Answer};

/// A stored verdict, read at a moment.
#[derive(Clone, Debug)]
pub struct Current {
    /// What it says now.
    pub answer: Answer,
    /// What was stored, word for word.
    pub body: Option<String>,
    pub made_at: Option<String>,
    pub age_seconds: Option<u64>,
    /// Seconds until it says nothing any more; negative: it has expired.
    pub expires_in_seconds: Option<i64>,
    /// Transactions of others that wrote into a target, and that no pass has looked behind.
    pub direct_writes: u64,
    /// Columns that the binlog tells otherwise than a SELECT does; it stands against everything.
    pub disagree: Option<String>,
    expired: bool,
}

impl Current {
    /// Nobody has looked yet.
    pub fn none() -> Self {
        Self {
            answer: Answer::Unknown,
            body: None,
            made_at: None,
            age_seconds: None,
            expires_in_seconds: None,
            direct_writes: 0,
            disagree: None,
            expired: false,
        }
    }

    fn of_row(row: &Row) -> Result<(String, Self), DbError> {
        let expired = row.bool(6)?.unwrap_or(true);
        let direct_writes = row.u64(7)?.unwrap_or_default();
        let disagree: Option<String> = row.text(8)?.map(Into::into);
        let answer = match row.text(2)? {
            _ if disagree.is_some() => Answer::NotReady,
            Some("ready") if !expired && direct_writes == 0 => Answer::Ready,
            Some("not_ready") if !expired => Answer::NotReady,
            _ => Answer::Unknown,
        };
        let current = Self {
            answer,
            body: row.text(1)?.map(Into::into),
            made_at: row.text(3)?.map(Into::into),
            // A clock that was set back makes no verdict older than new.
            age_seconds: row.i64(4)?.map(|s| s.max(0).unsigned_abs()),
            expires_in_seconds: row.i64(5)?,
            direct_writes,
            disagree,
            expired,
        };
        Ok((row.text(0)?.unwrap_or_default().into(), current))
    }

    /// What an operator is shown: the stored verdict, or why nothing is known.
    pub fn shown(&self) -> Value {
        let mut body = match &self.body {
            None => unknown("no verification pass has ended yet", "`crossfade verify --once`"),
            Some(_) if self.expired => unknown(
                "the last verdict has expired: nobody has looked since",
                "is the verifier running? `crossfade verify --once`",
            ),
            Some(body) => serde_json::from_str(body).unwrap_or_else(|_| {
                unknown("the stored verdict cannot be read", "`crossfade verify --once`")
            }),
        };
        if self.body.is_some() {
            body["verdict"] = json!(self.answer.name());
        }
        if self.direct_writes > 0 && !self.expired {
            let detail = format!("{} transactions of others wrote into targets since", self.direct_writes);
            if let Some(reasons) = body["reasons"].as_array_mut() {
                reasons.push(json!({
                    "criterion": verdict::DIRECT_WRITES, "answer": Answer::Unknown.name(),
                    "detail": detail, "next_step": verdict::WHO_WROTE,
                }));
            }
        }
        if let Some(columns) = &self.disagree
            && let Some(reasons) = body["reasons"].as_array_mut()
            && !reasons.iter().any(|r| r["criterion"] == FIDELITY)
        {
            reasons.push(json!({
                "criterion": FIDELITY, "answer": Answer::NotReady.name(),
                "detail": disagree(columns), "next_step": REFUSED,
            }));
        }
        if let (Some(made_at), Some(body)) = (&self.made_at, body.as_object_mut()) {
            body.entry("schema_version").or_insert(json!(1));
            body.insert("made_at".into(), json!(made_at));
            body.insert("age_seconds".into(), json!(self.age_seconds));
            body.insert("expires_in_seconds".into(), json!(self.expires_in_seconds));
        }
        body
    }
}

/// All verdicts, of one moment.
pub struct Verdicts {
    /// Over everything.
    pub overall: Current,
    pub targets: BTreeMap<String, Current>,
    /// What stands against all targets, since it belongs to none: the id maps, a verifier that does not see.
    pub against_all: Answer,
    none: Current,
}

impl Verdicts {
    pub async fn read(session: &mut Session, db: &Database) -> Result<Self, DbError> {
        let sql = format!(
            "SELECT target, body, verdict, {}, TIMESTAMPDIFF(SECOND, made_at, NOW(6)), TIMESTAMPDIFF(SECOND, NOW(6), expires_at), expires_at < NOW(6), (SELECT COUNT(*) FROM {} AS f WHERE f.kind = '{}' AND f.closed_at IS NULL AND v.target IN ('', f.target)), {} FROM {} AS v",
            control::utc("made_at"),
            db.control_table("finding"),
            finding::DIRECT_WRITE,
            fidelity::names_of_disagreeing(db),
            db.control_table("verdict")
        );
        let mut targets: BTreeMap<String, Current> = match session.rows(&sql).await {
            // There is no control schema yet.
            Err(e) if e.class == Class::Missing => BTreeMap::new(),
            rows => rows?.iter().map(Current::of_row).collect::<Result<_, _>>()?,
        };
        let mut overall = targets.remove("").unwrap_or_else(Current::none);
        // A target that was looked at since and is worse makes the whole worse.
        let later = targets.values().filter(|t| t.made_at > overall.made_at).map(|t| t.answer).max();
        overall.answer = later.map_or(overall.answer, |later| later.max(overall.answer));
        let shown = overall.shown();
        let own = shown["reasons"].as_array().into_iter().flatten();
        // Of a verdict that is missing or has expired that is its one reason.
        let against =
            own.filter(|r| r["criterion"] != verdict::DIRECT_WRITES).map(|r| match r["answer"].as_str() {
                Some("ready") => Answer::Ready,
                Some("not_ready") => Answer::NotReady,
                _ => Answer::Unknown,
            });
        let against_all = against.max().unwrap_or(Answer::Ready);
        Ok(Self { overall, targets, against_all, none: Current::none() })
    }

    /// Of a target; if nobody has looked at it, that.
    pub fn of(&self, target: &str) -> &Current {
        self.targets.get(target).unwrap_or(&self.none)
    }
}

fn unknown(detail: &str, next_step: &str) -> Value {
    json!({
        "schema_version": 1,
        "verdict": Answer::Unknown.name(),
        "reasons": [{ "criterion": "verification", "answer": "unknown", "detail": detail, "next_step": next_step }],
    })
}
