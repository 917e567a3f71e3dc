//! What the verdict says now, as numbers for the metrics page: read again and again, so it grows old as the verdict does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql::{Database, DbError, Session};
use service::{Context, Reading};
use tokio_util::sync::CancellationToken;

use crate::answer::Verdicts;
use crate::verdict::Answer;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
const ANSWERS: [Answer; 3] = [Answer::Ready, Answer::NotReady, Answer::Unknown];

/// Empty until the first look, and while the database does not answer: then nothing is known.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Vec<Reading>>);

impl Metrics {
    pub fn readings(&self) -> Vec<Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, readings: Vec<Reading>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = readings;
    }
}

/// Looks until `stop`. Its own errors stop nothing.
pub async fn follow(context: &Context, metrics: &Metrics, stop: &CancellationToken) {
    let mut held: Option<Session> = None;
    while !stop.is_cancelled() {
        match look(&context.database, &mut held).await {
            Ok(readings) => metrics.keep(readings),
            Err(e) => {
                tracing::debug!(error = %e, "the verdict's numbers are not known");
                metrics.keep(Vec::new());
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look(db: &Database, held: &mut Option<Session>) -> Result<Vec<Reading>, DbError> {
    let mut session = db.resume(held).await?;
    let verdicts = Verdicts::read(&mut session, db).await?;
    let sql = format!(
        "SELECT target, kind, COUNT(*) FROM {} WHERE closed_at IS NULL GROUP BY target, kind",
        db.control_table("finding")
    );
    let findings = session.rows(&sql).await?;
    let mut readings = answers(
        "crossfade_verdict",
        "1: the verdict over everything is this one",
        &[],
        verdicts.overall.answer,
    );
    for (target, current) in &verdicts.targets {
        let labels = [("target", target.as_str())];
        readings.extend(answers(
            "crossfade_target_verdict",
            "1: a target's verdict is this one",
            &labels,
            current.answer,
        ));
    }
    let shown = verdicts.overall.shown();
    for criterion in shown["criteria"].as_array().into_iter().flatten() {
        let (name, answer) = (criterion["name"].as_str(), criterion["answer"].as_str());
        let is = ANSWERS.into_iter().find(|a| Some(a.name()) == answer).unwrap_or(Answer::Unknown);
        let labels = [("criterion", name.unwrap_or_default())];
        readings.extend(answers("crossfade_criterion", "1: a criterion's answer is this one", &labels, is));
    }
    if let Some(age) = verdicts.overall.age_seconds {
        readings.push(Reading::gauge(
            "crossfade_verdict_age_seconds",
            "Since the last full pass ended",
            age as f64,
        ));
    }
    for row in &findings {
        let (target, kind) = (row.text(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default());
        let count = row.u64(2)?.unwrap_or_default() as f64;
        let help = "Findings that are not closed, by kind";
        readings.push(
            Reading::gauge("crossfade_open_findings", help, count)
                .label("target", target)
                .label("kind", kind),
        );
    }
    *held = Some(session);
    Ok(readings)
}

/// One of them is 1, the others are 0.
fn answers(
    name: &'static str,
    help: &'static str,
    labels: &[(&'static str, &str)],
    is: Answer,
) -> Vec<Reading> {
    let one = |answer: Answer| {
        let reading = Reading::gauge(name, help, f64::from(u8::from(answer == is)));
        labels.iter().fold(reading, |r, (n, v)| r.label(n, *v)).label("verdict", answer.name())
    };
    ANSWERS.map(one).into()
}
