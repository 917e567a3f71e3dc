//! `crossfade verdict`: may reads move? The last pass's answer, as long as it holds.

use anyhow::bail;
use mysql::Database;
use serde_json::Value;
use verifier::answer::Verdicts;

use crate::output::{self, Exit, Format};

pub async fn run(db: &Database, target: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    let verdicts = Verdicts::read(&mut session, db).await?;
    if let Some(target) = target.filter(|t| !verdicts.targets.contains_key(*t)) {
        let known: Vec<&str> = verdicts.targets.keys().map(String::as_str).collect();
        if !known.is_empty() {
            bail!("the last pass had no target `{target}`; it had {}", known.join(", "));
        }
    }
    let body = target.map_or(&verdicts.overall, |t| verdicts.of(t)).shown();
    show(&body, format)?;
    Ok(exit(&body))
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
