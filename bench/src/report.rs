//! The figures: one JSON object a line as they come, and a table at the end.

use anyhow::Result;
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::stand::Stand;

/// A line of the table.
struct Line {
    what: String,
    value: String,
    against: String,
    ratio: String,
    asked: String,
}

#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

/// What was asked of a figure.
#[derive(Clone, Copy)]
pub enum Asked {
    Nothing,
    AtLeast(f64),
    AtMost(f64),
}

impl Asked {
    fn judge(self, value: f64) -> String {
        let (text, good) = match self {
            Self::Nothing => return String::new(),
            Self::AtLeast(limit) => (format!(">= {limit}"), value >= limit),
            Self::AtMost(limit) => (format!("<= {limit}"), value <= limit),
        };
        format!("{text} {}", if good { "yes" } else { "NO" })
    }
}

impl Report {
    /// Under what the figures were made.
    pub async fn setting(&mut self, settings: &Settings, stand: &Stand) -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        emit(json!({
            "figure": "setting",
            "rows": settings.rows,
            "changes": settings.changes,
            "rounds": settings.rounds,
            "buffer_pool": settings.buffer_pool,
            "server": stand.server.sql("SELECT VERSION()").await?,
            "cores": cores,
            "load": load(),
            "program": settings.program.display().to_string(),
        }));
        Ok(())
    }

    /// One measurement; `fields` is an object.
    pub fn figure(&self, name: &str, fields: Value) {
        let mut line = json!({ "figure": name, "load": load() });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        emit(line);
    }

    /// A rate of ours against another's of the same run: medians, and their ratio. Where both alternated, the ratio of each
    /// round is told as well: it suffers less when the load of the machine drifts.
    pub fn ratio(&mut self, what: &str, unit: &str, ours: &[f64], other: &str, theirs: &[f64], asked: Asked) {
        let (own, their) = (median(ours), median(theirs));
        let ratio = own / their;
        let each: Vec<f64> = match ours.len() == theirs.len() {
            true => ours.iter().zip(theirs).map(|(own, their)| hundredths(own / their)).collect(),
            false => Vec::new(),
        };
        self.figure(
            "ratio",
            json!({ "what": what, "unit": unit, "crossfade": own.round(), "other": other, "others": their.round(),
                "ratio": hundredths(ratio), "of_each_round": each }),
        );
        self.lines.push(Line {
            what: what.into(),
            value: format!("{own:.0} {unit}"),
            against: format!("{other}: {their:.0}"),
            ratio: format!("{ratio:.2}"),
            asked: asked.judge(ratio),
        });
    }

    /// A figure that stands by itself. The asked value is of the same unit.
    pub fn value(&mut self, what: &str, value: f64, unit: &str, note: &str, asked: Asked) {
        self.lines.push(Line {
            what: what.into(),
            value: format!("{value:.1} {unit}"),
            against: note.into(),
            ratio: String::new(),
            asked: asked.judge(value),
        });
    }

    /// A part that this machine cannot run.
    pub fn skipped(&mut self, part: &str, reason: &str) {
        self.figure("skipped", json!({ "part": part, "reason": reason }));
        self.lines.push(Line {
            what: format!("{part}: skipped"),
            value: String::new(),
            against: reason.into(),
            ratio: String::new(),
            asked: String::new(),
        });
    }

    pub fn table(&self) {
        println!("\n{:42} {:>18}  {:42} {:>6}  asked", "figure", "crossfade", "against", "ratio");
        for l in &self.lines {
            println!("{:42} {:>18}  {:42} {:>6}  {}", l.what, l.value, l.against, l.ratio, l.asked);
        }
    }
}

fn emit(line: Value) {
    println!("{line}");
}

/// Jobs that ran or waited on this machine in the last minute: above the number of cores, somebody else was at it.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

pub fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share lies; values of an empty list are no number.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.99), 100.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn what_was_asked_is_judged() {
        assert_eq!(Asked::AtLeast(0.8).judge(0.8), ">= 0.8 yes");
        assert_eq!(Asked::AtMost(200.0).judge(201.0), "<= 200 NO");
        assert_eq!(Asked::Nothing.judge(1.0), "");
    }
}
