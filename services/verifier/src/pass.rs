//! One verification pass: every range of every target, confirmation, repair by marks, and the verdict.
//!
//! It needs the database only: the fence's proof is read from the control schema. So `crossfade verify --once` runs
//! anywhere, beside the service.

use std::collections::BTreeMap;
use std::time::Duration;

use change::Key;
use mysql::control::dual_write::{self, Counts};
use mysql::control::finding;
use mysql::control::flag::{self, Stored};
use mysql::control::lane::{self, Mode};
use mysql::control::pass::Kind;
use mysql::{Database, DbError, Session};
use plan::checked::{Checked, RouteBy, Target};
use plan::quote;
use plan::sql::{Range, Scopes, TargetSql};

use crate::compare::{self, Difference};
use crate::confirm::{self, Confirmed};
use crate::error::VerifierError;
use crate::flags::State;
use crate::identity;
use crate::shadow;
use crate::verdict::{self, Deferred, DualWrite, TargetEvidence, Verdict};

/// Scopes in one comparison.
const SIZE: u64 = 2000;
/// Differences of one target that a pass repairs; more is a finding about the pipeline, not about rows.
const REPAIRS: usize = 20_000;
/// How long scopes that are on their way back are waited for.
const RETURNS: Duration = Duration::from_secs(5);
/// The representative period of dual writes.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pass<'a> {
    pub db: &'a Database,
    pub plan: &'a Checked,
    pub source: &'a str,
    pub include_deferred: bool,
    /// Only these targets; the overall verdict then stays as it was.
    pub only: Vec<String>,
    pub repair: bool,
    /// Rest between two comparisons, as a multiple of the time that the last one took.
    pub rest: f64,
    /// How long the verdict holds.
    pub valid: Duration,
}

impl Pass<'_> {
    fn targets(&self) -> impl Iterator<Item = &Target> {
        let runs = |t: &&Target| self.include_deferred || t.defer.is_none();
        let asked = |t: &&Target| self.only.is_empty() || self.only.contains(&t.table);
        self.plan.targets.iter().filter(runs).filter(asked)
    }

    /// Runs the pass and stores the verdicts.
    pub async fn run(&self, session: &mut Session) -> Result<Verdict, VerifierError> {
        // The reader has written down every direct write that was committed before this.
        confirm::settle(session, self.db, self.source, PATIENCE).await?;
        let known = finding::last(session, self.db).await.map_err(VerifierError::Control)?;
        let world = World::read(session, self.db).await.map_err(VerifierError::Control)?;
        let mut seen = Vec::new();
        for target in self.targets() {
            let mut evidence = self.target(session, target, world.of(target)).await?;
            let sql = TargetSql::new(self.plan, target, self.db.control());
            evidence.reads = shadow::run(session, self.db, self.source, &sql, self.rest, self.repair).await?;
            seen.push(evidence);
        }
        let position = confirm::settle(session, self.db, self.source, PATIENCE).await?;
        for evidence in &mut seen {
            // Those that came while the pass ran: the next one looks behind them.
            let came = finding::direct_writes(session, self.db, &evidence.target, known).await;
            evidence.direct_writes = came.map_err(VerifierError::Control)?;
        }
        let targets = seen.into_iter().map(verdict::of_target).collect();
        let maps = identity::judge(session, self.plan).await.map_err(VerifierError::Control)?;
        let deferred = self.plan.targets.iter().filter(|t| !self.include_deferred && t.defer.is_some());
        let deferred = deferred
            .filter_map(|t| t.defer.as_ref().map(|d| (t, d)))
            .map(|(t, d)| Deferred {
                target: t.table.clone(),
                reason: d.reason.clone(),
                review_by: d.review_by.clone(),
            })
            .collect();
        let all = verdict::of_all(position.to_string(), targets, maps, deferred);
        self.store(session, &all, known).await.map_err(VerifierError::Control)?;
        Ok(all)
    }

    /// `evidence`: what is known of it beforehand.
    async fn target(
        &self,
        session: &mut Session,
        target: &Target,
        mut evidence: TargetEvidence,
    ) -> Result<TargetEvidence, VerifierError> {
        let failed = |source| VerifierError::Compare { target: target.table.clone(), source };
        let sql = TargetSql::new(self.plan, target, self.db.control());
        let candidates = self.compare(session, &sql, &mut evidence).await.map_err(failed)?;
        let confirmed = confirm::confirm(session, self.db, self.source, &sql, candidates).await?;
        evidence.found = confirmed.differences.len() as u64;
        evidence.unstable = confirmed.unstable.len() as u64;
        if let Some(query) = sql.strangers() {
            evidence.strangers = session.rows(&query).await.map_err(failed)?.len() as u64;
        }
        if matches!(target.sync, plan::checked::Sync::Batch { .. }) {
            // Its lanes stand still between two runs: a difference proves nothing, and a repair would only wait with it.
            evidence.waiting = evidence.found;
            self.counts(session, &mut evidence).await.map_err(failed)?;
            return Ok(evidence);
        }
        let Confirmed { differences: left, unstable } =
            self.repair(session, &sql, &evidence, confirmed.differences).await?;
        evidence.confirmed = left.len() as u64;
        evidence.unstable += unstable.len() as u64;
        confirm::close_findings(session, self.db, &target.table, &left).await.map_err(failed)?;
        confirm::returned(session, self.db, &target.table, RETURNS).await.map_err(failed)?;
        self.counts(session, &mut evidence).await.map_err(failed)?;
        if evidence.found > 0 && evidence.confirmed + evidence.unstable == 0 {
            // The rows that were repaired count now.
            evidence.present_rows = evidence.wanted_rows;
        }
        Ok(evidence)
    }

    /// Walks all ranges; gives what differed at first sight.
    async fn compare(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
        evidence: &mut TargetEvidence,
    ) -> Result<Vec<Difference>, DbError> {
        let table = sql.scope_table();
        let mut candidates = Vec::new();
        let mut low: Option<Key> = None;
        loop {
            let end = session.row(&table.boundary(&self.plan.schema, low.as_ref(), SIZE)).await?;
            let high = match end {
                Some(row) => {
                    let cells = table.columns.iter().enumerate().map(|(i, c)| row.cell(i, c));
                    Some(Key(cells.collect::<Result<_, _>>()?))
                }
                None => None,
            };
            let range = Range { low: low.take(), high: high.clone() };
            let began = std::time::Instant::now();
            let compared = compare::range(session, sql, Scopes::Range(&range)).await?;
            evidence.wanted_rows += compared.wanted;
            evidence.present_rows += compared.present;
            candidates.extend(compared.differences);
            if high.is_none() {
                evidence.complete = true;
                return Ok(candidates);
            }
            low = high;
            if self.rest > 0.0 {
                tokio::time::sleep(began.elapsed().mul_f64(self.rest)).await;
            }
        }
    }

    /// Sends what differs through the pipeline again; gives what differs still.
    async fn repair(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
        evidence: &TargetEvidence,
        found: Vec<Difference>,
    ) -> Result<Confirmed, VerifierError> {
        if found.is_empty() {
            return Ok(Confirmed::default());
        }
        let failed = |source| VerifierError::Compare { target: sql.target.table.clone(), source };
        confirm::record(session, self.db, sql, &found).await.map_err(failed)?;
        // A mark changes nothing where the writer does not write.
        if !self.repair || found.len() > REPAIRS || evidence.mode != Some(Mode::Write) {
            return Ok(Confirmed { differences: found, unstable: Vec::new() });
        }
        let by_us = sql.target.routes.iter().filter(|r| matches!(r.by, RouteBy::ByVerifier));
        let by_us: Vec<&str> = by_us.map(|r| r.from.as_str()).collect();
        tracing::warn!(
            target = %sql.target.table,
            scopes = found.len(),
            changes_found_by_verification_only = by_us.join(", "),
            "differences are repaired by marks"
        );
        confirm::repair(session, self.db, sql, &found).await.map_err(failed)?;
        confirm::drained(session, self.db, PATIENCE).await?;
        confirm::confirm(session, self.db, self.source, sql, found).await
    }

    async fn counts(&self, session: &mut Session, evidence: &mut TargetEvidence) -> Result<(), DbError> {
        let target = quote::text(&evidence.target);
        let sql = format!(
            "SELECT COALESCE(SUM(kind = 'parked' AND waived_at IS NULL), 0), COALESCE(SUM(kind = 'report'), 0), COALESCE(SUM(kind = 'parked' AND waived_at IS NOT NULL), 0) FROM {} WHERE target_table = {target} AND closed_at IS NULL",
            self.db.control_table("exceptions"),
        );
        if let Some(row) = session.row(&sql).await? {
            evidence.parked = row.u64(0)?.unwrap_or_default();
            evidence.reports = row.u64(1)?.unwrap_or_default();
            evidence.waived = row.u64(2)?.unwrap_or_default();
        }
        let sql = format!(
            "SELECT COUNT(*) > 0 AND SUM(state <> 'done') = 0 FROM {} WHERE target = {target} AND kind = '{}'",
            self.db.control_table("pass"),
            Kind::Rows.name(),
        );
        let done = session.row(&sql).await?;
        evidence.backfilled = done.map(|r| r.bool(0)).transpose()?.flatten().unwrap_or(false);
        let sql = format!(
            "SELECT changed FROM {} WHERE target = {target} AND kind = '{}' AND reason = 'again' AND state = 'done' ORDER BY id DESC LIMIT 1",
            self.db.control_table("pass"),
            Kind::Rows.name(),
        );
        evidence.rerun_changed = session.row(&sql).await?.map(|r| r.u64(0)).transpose()?.flatten();
        Ok(())
    }

    /// Stores the verdicts, and closes the direct writes that the pass has looked behind: both or neither.
    async fn store(&self, session: &mut Session, all: &Verdict, known: u64) -> Result<(), DbError> {
        let mut rows: Vec<(String, &str, String)> =
            all.targets.iter().map(|t| (t.evidence.target.clone(), t.verdict.name(), json(t))).collect();
        if self.only.is_empty() {
            rows.push((String::new(), all.verdict.name(), json(all)));
        }
        let values: Vec<String> = rows
            .iter()
            .map(|(target, verdict, body)| {
                format!(
                    "({}, '{verdict}', {}, {}, NOW(6), NOW(6) + INTERVAL {} SECOND)",
                    quote::text(target),
                    quote::text(body),
                    quote::text(&all.position),
                    self.valid.as_secs()
                )
            })
            .collect();
        session.begin().await?;
        session
            .execute(&format!(
                "REPLACE INTO {} (target, verdict, body, position, made_at, expires_at) VALUES {}",
                self.db.control_table("verdict"),
                values.join(", ")
            ))
            .await?;
        for target in &all.targets {
            finding::close_direct_writes(session, self.db, &target.evidence.target, known).await?;
        }
        session.commit().await
    }
}

/// What stands in the control schema about the targets beforehand.
struct World {
    modes: BTreeMap<String, Mode>,
    flags: BTreeMap<String, Stored>,
    dual_writes: BTreeMap<String, (Counts, u64)>,
}

impl World {
    async fn read(session: &mut Session, db: &Database) -> Result<Self, DbError> {
        Ok(Self {
            modes: lane::modes(session, db).await?,
            flags: flag::all(session, db).await?,
            dual_writes: dual_write::sums(session, db, PERIOD).await?,
        })
    }

    fn of(&self, target: &Target) -> TargetEvidence {
        let name = &target.table;
        let dual = self.dual_writes.get(name);
        TargetEvidence {
            target: name.clone(),
            risk: format!("{:?}", target.risk).to_lowercase(),
            mode: self.modes.get(name).copied(),
            flag: Some(self.flags.get(name).map_or(State::Legacy, |s| State::stored(&s.state))),
            dual_write: dual.map(|(counts, hours)| DualWrite { counts: *counts, hours: *hours }),
            ..TargetEvidence::default()
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| unreachable!("evidence is always JSON: {e}"))
}
