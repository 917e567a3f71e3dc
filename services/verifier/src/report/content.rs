//! What the report says, and in which order. Pure.

use std::collections::BTreeMap;

use mysql::control::dual_write::Counts;
use serde_json::Value;

use super::facts::{Facts, Target};
use super::{Block, Document, Plot, PlotKind, Table};

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}

fn count(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

fn heading(text: &str) -> Block {
    Block::Heading(text.into())
}

fn table(caption: &str, head: &[&'static str], rows: Vec<Vec<String>>) -> Block {
    Block::Table(Table { caption: caption.into(), head: head.to_vec(), rows })
}

/// A table, or a sentence where there is nothing.
fn table_or(none: &str, caption: &str, head: &[&'static str], rows: Vec<Vec<String>>) -> Block {
    match rows.is_empty() {
        true => Block::Text(none.into()),
        false => table(caption, head, rows),
    }
}

/// `version`: of this program.
pub fn document(facts: &Facts, version: &str) -> Document {
    let answer = text(&facts.shown, "verdict");
    let mut blocks = verdict(facts, &answer);
    blocks.extend(criteria(facts));
    blocks.extend(targets(facts));
    blocks.extend(reads(facts));
    blocks.extend(exceptions(facts));
    blocks.extend(deferred(facts));
    blocks.extend(dual_writes(facts));
    blocks.extend(findings(facts));
    blocks.extend(id_maps(facts));
    blocks.extend(trail(facts));
    blocks.extend(provenance(facts, version));
    blocks.extend(sign_off(facts));
    Document {
        title: format!("Cutover report: {}", facts.legacy),
        summary: format!("Verdict: {answer}, as of {}", facts.now),
        blocks,
    }
}

fn verdict(facts: &Facts, answer: &str) -> Vec<Block> {
    let made = text(&facts.stored, "verdict");
    let mut known = vec![("Verdict now", answer.to_string())];
    if made != answer && !made.is_empty() {
        known.push(("Verdict when it was made", made));
    }
    let expires = match facts.shown["expires_in_seconds"].as_i64() {
        Some(left) if left >= 0 => format!("in {left} s"),
        Some(left) => format!("{} s ago", -left),
        None => "there is no verdict".into(),
    };
    known.extend([
        ("Made at", facts.made_at.clone().unwrap_or_else(|| "never".into())),
        ("Expires", expires),
        ("Everything is applied up to", text(&facts.stored, "position")),
    ]);
    let own = list(&facts.shown, "reasons").map(|r| (String::new(), r));
    let of_targets =
        list(&facts.shown, "targets").flat_map(|t| list(t, "reasons").map(move |r| (text(t, "target"), r)));
    let rows = own.chain(of_targets).map(|(target, r)| {
        vec![target, text(r, "criterion"), text(r, "answer"), text(r, "detail"), text(r, "next_step")]
    });
    vec![
        heading("Verdict"),
        Block::Facts(known),
        table_or(
            "Nothing stands against it.",
            "What stands against it",
            &["Target", "Criterion", "Answer", "What was seen", "Next step"],
            rows.collect(),
        ),
    ]
}

fn criteria(facts: &Facts) -> Vec<Block> {
    let age = facts.shown["age_seconds"].as_u64().map_or("never".into(), |s| format!("{s} s"));
    let rows = list(&facts.stored, "criteria").map(|c| {
        vec![
            text(c, "name"),
            text(c, "answer"),
            text(c, "evidence"),
            age.clone(),
            text(c, "who"),
            text(c, "next_step"),
        ]
    });
    vec![
        heading("Criteria"),
        table_or(
            "No pass has answered them yet.",
            "The criteria by name, as the last pass answered them",
            &["Criterion", "Answer", "Evidence", "Age", "Who acts", "Next step"],
            rows.collect(),
        ),
    ]
}

fn targets(facts: &Facts) -> Vec<Block> {
    let row = |t: &Target| {
        let flag = t.flag.as_ref();
        vec![
            t.name.clone(),
            t.answer.into(),
            text(&t.stored, "risk"),
            flag.map_or("legacy".into(), |f| f.state.clone()),
            flag.map_or(String::new(), |f| format!("{} by {}", f.since, f.who)),
            t.mode.map_or(String::new(), |m| m.name().into()),
            count(&t.stored, "wanted_rows").to_string(),
            count(&t.stored, "present_rows").to_string(),
            count(&t.stored, "confirmed").to_string(),
            count(&t.stored, "parked").to_string(),
            count(&t.stored, "waived").to_string(),
            count(&t.stored, "reports").to_string(),
            t.age_seconds.map_or("never".into(), |s| format!("{s} s ago")),
            t.digest.clone().unwrap_or_default(),
        ]
    };
    let lines: Vec<(String, Vec<u64>)> = facts
        .targets
        .iter()
        .map(|t| (t.name.clone(), vec![count(&t.stored, "wanted_rows"), count(&t.stored, "present_rows")]))
        .collect();
    let uneven = lines.iter().filter(|(_, n)| n[0] != n[1]).count();
    let plot = Plot {
        title: "Rows wanted and present".into(),
        text: format!(
            "{} targets, each on a scale of its own; in {uneven} of them the numbers differ. The table above has them.",
            lines.len()
        ),
        kind: PlotKind::Bars,
        series: vec!["wanted", "present"],
        lines,
    };
    let head = [
        "Target",
        "Verdict",
        "Risk",
        "Flag",
        "Since",
        "Lanes",
        "Wanted",
        "Present",
        "Differ",
        "Parked",
        "Waived",
        "Reports",
        "Compared",
        "SHA-256 of its verdict",
    ];
    let mut blocks = vec![
        heading("Targets"),
        table_or(
            "There is no target yet.",
            "Each target: verdict, flag, and what the last pass saw",
            &head,
            facts.targets.iter().map(row).collect(),
        ),
    ];
    if !plot.lines.is_empty() {
        blocks.push(Block::Plot(plot));
    }
    blocks
}

fn reads(facts: &Facts) -> Vec<Block> {
    let rows = facts.targets.iter().flat_map(|t| {
        list(&t.stored, "reads").map(move |r| {
            let time = |form: &str, of: &str| count(&r[form], of).to_string();
            vec![
                t.name.clone(),
                text(r, "read"),
                count(r, "keys").to_string(),
                count(r, "differ").to_string(),
                count(r, "unanswered").to_string(),
                time("legacy", "p50_us"),
                time("legacy", "p99_us"),
                time("new", "p50_us"),
                time("new", "p99_us"),
            ]
        })
    });
    let head = [
        "Target",
        "Read",
        "Scopes",
        "Differ",
        "No answer",
        "Legacy p50 µs",
        "Legacy p99 µs",
        "New p50 µs",
        "New p99 µs",
    ];
    let none = "The plan names no reads, or no pass has run them.";
    vec![
        heading("Reads in both forms"),
        table_or(none, "Queries of the application, compared and timed", &head, rows.collect()),
    ]
}

fn exceptions(facts: &Facts) -> Vec<Block> {
    let row = |c: &crate::status::Count| {
        vec![c.target.clone(), c.kind.clone(), c.reason.clone(), c.count.to_string()]
    };
    vec![
        heading("Exceptions"),
        table_or(
            "None is open.",
            "Open exceptions: parked scopes keep their rows, reports explain a NULL or an absent row",
            &["Target", "Kind", "Reason", "Scopes"],
            facts.status.exceptions.iter().map(row).collect(),
        ),
    ]
}

fn deferred(facts: &Facts) -> Vec<Block> {
    let row = |d: &Value| vec![text(d, "target"), text(d, "reason"), text(d, "review_by")];
    vec![
        heading("Deferred"),
        table_or(
            "Nothing is deferred.",
            "Targets that the plan leaves out, and until when",
            &["Target", "Reason", "Review by"],
            list(&facts.stored, "deferred").map(row).collect(),
        ),
    ]
}

fn dual_writes(facts: &Facts) -> Vec<Block> {
    let mut hours: BTreeMap<String, Counts> = BTreeMap::new();
    let mut rows = Vec::new();
    for t in facts.targets.iter().filter(|t| !t.hours.is_empty()) {
        let mut sum = Counts::default();
        for hour in &t.hours {
            sum.add(&hour.counts);
            hours.entry(hour.hour.clone()).or_default().add(&hour.counts);
        }
        rows.push(vec![
            t.name.clone(),
            t.hours.len().to_string(),
            t.hours.last().map_or(String::new(), |h| h.hour.clone()),
            t.hours.first().map_or(String::new(), |h| h.hour.clone()),
            sum.equal.to_string(),
            sum.filled.to_string(),
            sum.different.to_string(),
        ]);
    }
    let head = ["Target", "Hours", "First", "Last", "Equal", "Missing", "Different"];
    let none = "The writer has compared no dual writes.";
    let mut blocks = vec![
        heading("Dual writes"),
        table_or(
            none,
            "Rows that the application wrote on both sides, in the last 168 hours with any",
            &head,
            rows,
        ),
    ];
    if !hours.is_empty() {
        let lines: Vec<(String, Vec<u64>)> =
            hours.iter().map(|(hour, c)| (hour.clone(), vec![c.equal, c.filled, c.different])).collect();
        let caption = "All targets by hour (UTC)";
        let numbers = |n: &[u64]| n.iter().map(u64::to_string).collect::<Vec<_>>();
        let rows = lines.iter().map(|(hour, n)| [vec![hour.clone()], numbers(n)].concat()).collect();
        blocks.push(Block::Plot(Plot {
            title: "Dual writes by hour".into(),
            text: format!(
                "{} hours with dual writes, all targets together. The table below has the numbers.",
                lines.len()
            ),
            kind: PlotKind::Columns,
            series: vec!["equal", "missing", "different"],
            lines,
        }));
        blocks.push(table(caption, &["Hour", "Equal", "Missing", "Different"], rows));
    }
    blocks
}

fn findings(facts: &Facts) -> Vec<Block> {
    let rows = facts.targets.iter().flat_map(|t| {
        t.findings.iter().map(move |f| {
            let kind = match &f.read {
                Some(read) => format!("{}: {read}", f.kind),
                None => f.kind.clone(),
            };
            let digest = |d: &Option<String>| d.clone().unwrap_or_default();
            let closed = f.closed_at.clone().unwrap_or_else(|| "open".into());
            vec![
                t.name.clone(),
                f.scope.clone(),
                kind,
                digest(&f.wanted),
                digest(&f.present),
                f.seen_at.clone(),
                closed,
            ]
        })
    });
    let head = ["Target", "Scope", "Kind", "Wanted (digest)", "Present (digest)", "Seen", "Closed"];
    vec![
        heading("Findings and repairs"),
        table_or(
            "No difference ever outlived its proofs.",
            "The newest of each target; what is closed was equal again, repaired or looked behind",
            &head,
            rows.collect(),
        ),
    ]
}

fn id_maps(facts: &Facts) -> Vec<Block> {
    let row = |m: &Value| {
        let whole = if m["bijection"].as_bool() == Some(true) { "yes" } else { "no" };
        vec![
            text(m, "entity"),
            count(m, "entries").to_string(),
            whole.into(),
            count(m, "uncovered").to_string(),
        ]
    };
    vec![
        heading("Id maps"),
        table_or(
            "No pass has looked at them.",
            "Legacy ids and their UUIDs",
            &["Entity", "Entries", "One to one", "Rows without an entry"],
            list(&facts.stored, "id_maps").map(row).collect(),
        ),
    ]
}

fn trail(facts: &Facts) -> Vec<Block> {
    let rows = facts.trail.iter().map(|e| {
        let step = match (&e.was, &e.now_is) {
            (Some(was), Some(now)) => format!("{was} to {now}"),
            (_, now) => now.clone().unwrap_or_default(),
        };
        vec![
            e.id.to_string(),
            e.at.clone(),
            e.who.clone(),
            e.what.clone(),
            e.target.clone(),
            step,
            e.because.clone(),
            e.verdict_digest.clone().unwrap_or_default(),
        ]
    });
    let chain = match facts.broken_at {
        None => "whole".into(),
        Some(id) => format!("BROKEN at entry {id}: somebody changed or removed an entry"),
    };
    let last = facts.trail.last();
    vec![
        heading("Decisions"),
        Block::Facts(vec![
            ("Chain of digests", chain),
            ("Entries", last.map_or("0".into(), |e| e.id.to_string())),
            ("Digest of the last entry", last.map_or("none".into(), |e| e.digest.clone())),
        ]),
        table_or(
            "Nothing was decided yet.",
            "The newest entries of the audit trail",
            &["Entry", "At", "Who", "What", "Target", "Step", "Because", "SHA-256 of the verdict"],
            rows.collect(),
        ),
    ]
}

fn provenance(facts: &Facts, version: &str) -> Vec<Block> {
    let lag = facts.status.lag_seconds.map_or("unknown".into(), |s| format!("{s:.1} s"));
    let services = facts.status.services.iter().map(|s| {
        format!(
            "{} ({}): {}, seen {:.0} s before the report",
            s.name, s.instance, s.state, s.seen_seconds_ago
        )
    });
    vec![
        heading("Where this comes from"),
        Block::Facts(vec![
            ("Report made at", facts.now.clone()),
            ("Covers", format!("{} to {}", facts.since.clone().unwrap_or_else(|| "never".into()), facts.now)),
            ("Plan (digest)", facts.plan_digest.clone().unwrap_or_default()),
            ("Crossfade", version.into()),
            ("Server", facts.server.clone()),
            ("Legacy schema", facts.legacy.clone()),
            ("Control schema", facts.control.clone()),
            ("Source", facts.source.clone()),
            ("Applied up to", facts.status.applied.clone().unwrap_or_else(|| "nothing is proved".into())),
            ("That was proved", format!("{lag} before the report")),
            ("Waits for repair or redrive", format!("{} scopes", facts.status.redriven)),
        ]),
        Block::List(services.collect()),
    ]
}

fn sign_off(facts: &Facts) -> Vec<Block> {
    let digest = facts.verdict_digest.clone().unwrap_or_else(|| "there is no verdict to sign".into());
    vec![
        heading("Sign-off"),
        Block::Text(
            "The signatures below are for the verdict with this digest, and for no other. It is taken over the verdict as it is stored (`verdict.body` of the control schema)."
                .into(),
        ),
        Block::Facts(vec![
            ("SHA-256 of the verdict", digest),
            ("Digest of the last decision", facts.trail.last().map_or("none".into(), |e| e.digest.clone())),
        ]),
        Block::Signatures(vec!["Name", "Role", "Date", "Decision", "Signature"]),
    ]
}
