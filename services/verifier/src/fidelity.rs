//! Is what the reader decodes from the binlog what a session reads? Samples of the watched tables go through the binlog
//! like every change; the reader compares them, and here stands what that says about the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql::control::{applied, fidelity, sample};
use mysql::{Class, Database, DbError, Session};
use plan::checked::Checked;
use service::Context;
use tokio_util::sync::CancellationToken;

use crate::criteria::Criterion;
use crate::verdict::{Answer, Reason, Verdict};

/// The name of the reason, and of the criterion.
pub(crate) const FIDELITY: &str = "fidelity";
pub(crate) const REFUSED: &str = "the reader's error says what to do with such a column: `crossfade status`, and code FIDELITY in the operator's manual";

/// What was compared, over all watched tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FidelityEvidence {
    /// Tables every column of which was compared.
    pub tables: u64,
    /// Tables without a row to compare.
    pub empty: u64,
    pub columns: u64,
    /// Rows of the newest samples that were compared.
    pub rows: u64,
    /// `table.column`, where the binlog says something else than a SELECT.
    pub disagree: Vec<String>,
    /// Tables with rows that were not compared yet.
    pub unseen: Vec<String>,
}

/// Takes a new sample of every watched table. One that cannot be taken is said, and counts as never compared.
pub async fn take(session: &mut Session, db: &Database, plan: &Checked) -> Result<(), DbError> {
    for table in plan.watched.keys() {
        match sample::take(session, db, plan, table).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(table, "its sample stays"),
            Err(e) if e.class == Class::Connection => return Err(e),
            Err(e) => tracing::warn!(table, error = %e, "no sample could be taken"),
        }
    }
    Ok(())
}

/// At the start of the service: samples, as soon as the reader has its place before them.
pub async fn onboard(context: &Context, stop: &CancellationToken) {
    let onboard = async {
        let mut session = context.database.session().await?;
        while applied::published(&mut session, &context.database, &context.source).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        take(&mut session, &context.database, &context.plan).await?;
        session.close().await;
        Ok::<_, DbError>(())
    };
    if let Some(Err(e)) = stop.run_until_cancelled(onboard).await {
        tracing::warn!(error = %e, "the first samples wait for the next pass");
    }
}

/// What is known now. What agrees is taken out of the samples: no value stays there longer than it must.
pub async fn read(session: &mut Session, db: &Database, plan: &Checked) -> Result<FidelityEvidence, DbError> {
    let samples: BTreeMap<String, Option<u64>> = fidelity::samples(session, db).await?.into_iter().collect();
    let mut compared: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for found in fidelity::all(session, db).await? {
        compared.insert((found.table, found.column), (found.rows, found.differ));
    }
    let mut evidence = FidelityEvidence::default();
    for (table, watched) in &plan.watched {
        let columns = sample::columns(watched);
        let of = |c: &&plan::catalog::Column| compared.get(&(table.clone(), c.name.clone()));
        let found: Vec<_> = columns.iter().filter_map(|c| Some((c, of(c)?))).collect();
        let disagree = found.iter().filter(|(_, (_, differ))| *differ > 0);
        evidence.disagree.extend(disagree.map(|(c, _)| format!("{table}.{}", c.name)));
        if found.len() == columns.len() {
            evidence.tables += 1;
            evidence.columns += found.len() as u64;
            evidence.rows += found.iter().map(|(_, (rows, _))| *rows).max().unwrap_or_default();
        } else if samples.get(table) == Some(&Some(0)) {
            evidence.empty += 1;
        } else {
            evidence.unseen.push(table.clone());
        }
        sample::clear(session, db, plan, table).await?;
    }
    Ok(evidence)
}

impl FidelityEvidence {
    pub fn answer(&self) -> Answer {
        match (self.disagree.is_empty(), self.unseen.is_empty()) {
            (false, _) => Answer::NotReady,
            (true, false) => Answer::Unknown,
            (true, true) => Answer::Ready,
        }
    }

    fn detail(&self) -> String {
        match self.answer() {
            Answer::NotReady => disagree(&self.disagree.join(", ")),
            Answer::Unknown => {
                format!("not compared with the binlog yet: {}", self.unseen.join(", "))
            }
            Answer::Ready => format!(
                "{} sampled rows of {} tables: the binlog says of {} columns what a SELECT says; {} tables are empty",
                self.rows, self.tables, self.columns, self.empty
            ),
        }
    }

    fn next_step(&self) -> &'static str {
        match self.answer() {
            Answer::NotReady => REFUSED,
            Answer::Unknown => {
                "`crossfade verify --once`; if it stays, the log says why no sample is taken or compared"
            }
            Answer::Ready => "",
        }
    }

    pub fn criterion(&self) -> Criterion {
        let who = if self.answer() == Answer::Ready { "nobody" } else { "operator" };
        Criterion {
            name: FIDELITY,
            answer: self.answer(),
            evidence: self.detail(),
            who,
            next_step: self.next_step(),
        }
    }

    /// Enters it into a verdict: what is decoded wrongly leads changes to wrong scopes, in every target.
    pub fn enter(&self, verdict: &mut Verdict) {
        verdict.criteria.push(self.criterion());
        if self.answer() != Answer::Ready {
            verdict.verdict = verdict.verdict.max(self.answer());
            verdict.reasons.push(Reason {
                criterion: FIDELITY.into(),
                answer: self.answer(),
                detail: self.detail(),
                next_step: self.next_step().into(),
            });
        }
    }
}

/// `columns`: their names.
pub(crate) fn disagree(columns: &str) -> String {
    format!("the binlog says of {columns} something else than a SELECT of the same rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_disagrees_is_named_and_a_table_that_was_not_seen_is_unknown() {
        let seen = FidelityEvidence { tables: 2, columns: 5, rows: 60, empty: 1, ..Default::default() };
        let unseen = FidelityEvidence { unseen: vec!["users".into()], ..seen.clone() };
        let wrong = FidelityEvidence { disagree: vec!["users.role".into()], ..unseen.clone() };
        for (evidence, answer, names) in [
            (&seen, Answer::Ready, "60 sampled rows of 2 tables"),
            (&unseen, Answer::Unknown, "users"),
            (&wrong, Answer::NotReady, "users.role"),
        ] {
            let criterion = evidence.criterion();
            assert_eq!((criterion.name, criterion.answer), (FIDELITY, answer));
            assert!(criterion.evidence.contains(names), "{criterion:?}");
            let mut verdict = crate::verdict::of_all(
                String::new(),
                crate::canary::Canary { damaged: 1, found: 1, ..Default::default() },
                vec![],
                vec![],
                vec![],
            );
            verdict.verdict = Answer::Ready;
            evidence.enter(&mut verdict);
            assert_eq!(verdict.verdict, answer);
            assert_eq!(verdict.reasons.len(), usize::from(answer != Answer::Ready));
        }
    }
}
