//! `crossfade verdict`: may reads move? The last pass's answer, as long as it holds.

use anyhow::bail;
use mysql::{Class, Database};
use plan::quote;
use serde_json::{Value, json};
use verifier::verdict::Answer;

use crate::output::{self, Exit, Format};

pub async fn run(db: &Database, target: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    let sql = format!(
        "SELECT body, CAST(made_at AS CHAR), TIMESTAMPDIFF(SECOND, made_at, NOW(6)), expires_at < NOW(6) FROM {} WHERE target = {}",
        db.control_table("verdict"),
        quote::text(target.unwrap_or_default())
    );
    let row = match session.row(&sql).await {
        Err(e) if e.class == Class::Missing => None,
        other => other?,
    };
    if let Some(target) = target.filter(|_| row.is_none()) {
        let known =
            format!("SELECT target FROM {} WHERE target <> '' ORDER BY 1", db.control_table("verdict"));
        let known = match session.rows(&known).await {
            Err(e) if e.class == Class::Missing => Vec::new(),
            other => other?,
        };
        let known: Vec<&str> = known.iter().filter_map(|r| r.text(0).ok().flatten()).collect();
        if !known.is_empty() {
            bail!("the last pass had no target `{target}`; it had {}", known.join(", "));
        }
    }
    let mut body = match &row {
        None => unknown("no verification pass has ended yet", "`crossfade verify --once`"),
        Some(row) if row.bool(3)?.unwrap_or(true) => unknown(
            "the last verdict has expired: nobody has looked since",
            "is the verifier running? `crossfade verify --once`",
        ),
        Some(row) => serde_json::from_str(row.text(0)?.unwrap_or_default())?,
    };
    if let (Some(row), Some(body)) = (&row, body.as_object_mut()) {
        body.entry("schema_version").or_insert(json!(1));
        body.insert("made_at".into(), json!(row.text(1)?));
        body.insert("age_seconds".into(), json!(row.u64(2)?));
    }
    show(&body, format)?;
    Ok(exit(&body))
}

fn unknown(detail: &str, next_step: &str) -> Value {
    json!({
        "schema_version": 1,
        "verdict": Answer::Unknown.name(),
        "reasons": [{ "criterion": "verification", "answer": "unknown", "detail": detail, "next_step": next_step }],
    })
}

pub fn exit(body: &Value) -> Exit {
    match body["verdict"].as_str() {
        Some("ready") => Exit::Yes,
        Some("not_ready") => Exit::No,
        _ => Exit::NoAnswer,
    }
}

/// Prints a verdict.
pub fn show(body: &Value, format: Format) -> anyhow::Result<()> {
    output::print(format, body, |body| {
        let mut text = format!("verdict: {}\n", body["verdict"].as_str().unwrap_or("unknown"));
        let number = |t: &Value, key: &str| t[key].as_u64().unwrap_or_default().to_string();
        if let Some(targets) = body["targets"].as_array() {
            let rows = targets.iter().map(|t| {
                vec![
                    t["target"].as_str().unwrap_or_default().to_string(),
                    t["verdict"].as_str().unwrap_or_default().to_string(),
                    number(t, "wanted_rows"),
                    number(t, "present_rows"),
                    number(t, "found"),
                    number(t, "confirmed"),
                    number(t, "parked"),
                    number(t, "reports"),
                ]
            });
            let header = ["target", "verdict", "wanted", "present", "found", "left", "parked", "reports"];
            text += &output::table(&header, rows.collect());
            text.push('\n');
        }
        let own = body["reasons"].as_array().into_iter().flatten().map(|r| (String::new(), r));
        let of_targets = body["targets"].as_array().into_iter().flatten().flat_map(|t| {
            let name = t["target"].as_str().unwrap_or_default().to_string();
            t["reasons"].as_array().into_iter().flatten().map(move |r| (name.clone(), r))
        });
        for (target, reason) in own.chain(of_targets) {
            let part = |key: &str| reason[key].as_str().unwrap_or_default().to_string();
            let of = if target.is_empty() { String::new() } else { format!("{target}: ") };
            text +=
                &format!("- {of}{}: {}. Next: {}\n", part("criterion"), part("detail"), part("next_step"));
        }
        for d in body["deferred"].as_array().into_iter().flatten() {
            let part = |key: &str| d[key].as_str().unwrap_or_default().to_string();
            text += &format!(
                "- {} is deferred until {}: {}\n",
                part("target"),
                part("review_by"),
                part("reason")
            );
        }
        text
    })
}
