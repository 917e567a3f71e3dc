//! One verification pass: every range of every target, confirmation, repair by marks, and the verdict.
//!
//! It needs the database only: the fence's proof is read from the control schema. So `crossfade verify --once` runs
//! anywhere, beside the service.

use std::collections::BTreeMap;
use std::time::Duration;

use change::Position;
use mysql::control::dual_write::{self, Counts};
use mysql::control::flag::{self, Stored};
use mysql::control::lane::{self, Mode};
use mysql::control::pass::{self, Kind};
use mysql::control::{finding, sweep};
use mysql::{Database, DbError, Session};
use plan::checked::{Checked, RouteBy, Target};
use plan::quote;
use plan::sql::TargetSql;

use crate::canary;
use crate::compare::Difference;
use crate::confirm::{self, Confirmed, PATIENCE};
use crate::error::VerifierError;
use crate::fidelity;
use crate::findings::{self, Cause};
use crate::flags::State;
use crate::shadow;
use crate::verdict::{self, Deferred, DualWrite, TargetEvidence, TargetVerdict, Verdict};

/// How long scopes that are on their way back are waited for.
const RETURNS: Duration = Duration::from_secs(5);
/// How often, at the end of a pass.
const ROUNDS: u32 = 3;
/// The representative period of dual writes.
const PERIOD: Duration = Duration::from_secs(24 * 3600);

pub struct Pass<'a> {
    pub db: &'a Database,
    pub plan: &'a Checked,
    pub source: &'a str,
    pub include_deferred: bool,
    /// Only these targets; the overall verdict then stays as it was.
    pub only: Vec<String>,
    pub repair: bool,
    /// Differences of one target that are repaired without asking; more is a finding about the pipeline, not about rows.
    pub limit: usize,
    /// Sweeps that were begun within this time go on where they were; `None`: begin anew, and leave no place behind.
    pub resume: Option<Duration>,
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
        let control = VerifierError::Control;
        let world = World::read(session, self.db).await.map_err(control)?;
        fidelity::take(session, self.db, self.plan).await.map_err(control)?;
        // The reader has written down every direct write that was committed before this.
        match confirm::settle(session, self.db, self.source, PATIENCE).await {
            Err(VerifierError::NotApplied { wanted, at, now, .. }) => {
                return self.pending(session, &world, wanted, &at, now).await;
            }
            settled => settled?,
        };
        let canary = canary::look(session, self.db).await.map_err(control)?;
        let known = finding::last(session, self.db).await.map_err(control)?;
        let mut seen = Vec::new();
        for target in self.targets() {
            let (mut evidence, known) = self.target(session, target, world.of(target), known).await?;
            let sql = TargetSql::new(self.plan, target, self.db.control());
            let repair = self.repair && evidence.mode == Some(Mode::Write);
            evidence.reads = shadow::run(session, self.db, self.source, &sql, self.rest, repair).await?;
            seen.push((evidence, known));
        }
        if self.repair {
            self.replays(session, &mut seen).await?;
        }
        let position = self.at_rest(session, &mut seen).await?;
        for (evidence, known) in &mut seen {
            // Those that came while the pass ran: the next one looks behind them.
            let came = finding::direct_writes(session, self.db, &evidence.target, *known).await;
            evidence.direct_writes = came.map_err(control)?;
        }
        let looked_behind: BTreeMap<String, u64> =
            seen.iter().filter(|(e, _)| e.complete).map(|(e, known)| (e.target.clone(), *known)).collect();
        let targets = seen.into_iter().map(|(evidence, _)| verdict::of_target(evidence)).collect();
        let maps = self.maps(session, true).await?;
        let mut all = verdict::of_all(position.to_string(), canary, targets, maps, self.deferred());
        let fidelity = fidelity::read(session, self.db, self.plan).await.map_err(control)?;
        fidelity.enter(&mut all);
        self.store(session, &all, &looked_behind).await.map_err(control)?;
        Ok(all)
    }

    /// The position that the verdict is of: everything up to it is applied. Also counts what was parked, or ordered, while the pass ran;
    /// scopes that come back by themselves are waited for.
    async fn at_rest(
        &self,
        session: &mut Session,
        seen: &mut [(TargetEvidence, u64)],
    ) -> Result<Position, VerifierError> {
        let control = VerifierError::Control;
        let mut round = 0;
        loop {
            round += 1;
            let position = confirm::settle(session, self.db, self.source, PATIENCE).await?;
            // A look-up follows the rows of now: what a later change took from an earlier one's path is right behind its own mark.
            confirm::settle(session, self.db, self.source, PATIENCE).await?;
            for (evidence, _) in seen.iter_mut() {
                self.counts(session, evidence).await.map_err(control)?;
            }
            let parked: Vec<&str> =
                seen.iter().filter(|(e, _)| e.parked > 0).map(|(e, _)| e.target.as_str()).collect();
            if parked.is_empty() || round == ROUNDS {
                return Ok(position);
            }
            for target in parked {
                confirm::returned(session, self.db, target, RETURNS).await.map_err(control)?;
            }
        }
    }

    fn deferred(&self) -> Vec<Deferred> {
        let deferred = self.plan.targets.iter().filter(|_| !self.include_deferred);
        deferred
            .filter_map(|t| t.defer.as_ref().map(|d| (t, d)))
            .map(|(t, d)| Deferred {
                target: t.table.clone(),
                reason: d.reason.clone(),
                review_by: d.review_by.clone(),
            })
            .collect()
    }

    /// The pipeline is behind, so nothing can be proved of any target: that is the verdict.
    async fn pending(
        &self,
        session: &mut Session,
        world: &World,
        wanted: String,
        at: &str,
        now: Option<String>,
    ) -> Result<Verdict, VerifierError> {
        let control = VerifierError::Control;
        let applied = now.unwrap_or_else(|| "nothing yet".into());
        let pending = format!("needs {wanted}, applied up to {applied}; it waits for {at}");
        let mut targets = Vec::new();
        for target in self.targets() {
            let mut evidence = TargetEvidence { pending: Some(pending.clone()), ..world.of(target) };
            self.counts(session, &mut evidence).await.map_err(control)?;
            targets.push(verdict::of_target(evidence));
        }
        let canary = canary::look(session, self.db).await.map_err(control)?;
        let maps = self.maps(session, false).await?;
        let all = verdict::of_all(applied, canary, targets, maps, self.deferred());
        self.store(session, &all, &BTreeMap::new()).await.map_err(control)?;
        Ok(all)
    }

    /// `evidence`: what is known of it beforehand. Gives with it the newest finding that it has looked behind.
    async fn target(
        &self,
        session: &mut Session,
        target: &Target,
        mut evidence: TargetEvidence,
        known: u64,
    ) -> Result<(TargetEvidence, u64), VerifierError> {
        let failed = |source| VerifierError::Compare { target: target.table.clone(), source };
        let (db, table) = (self.db, &target.table);
        let sql = TargetSql::new(self.plan, target, db.control());
        let swept = self.sweep(session, &sql, known).await?;
        let known = swept.at.known;
        evidence.wanted_rows = swept.at.wanted;
        evidence.present_rows = swept.at.present;
        evidence.sampled = swept.at.sampled;
        evidence.complete = swept.complete;
        evidence.too_many = swept.too_many;
        evidence.found = swept.confirmed.len() as u64;
        evidence.unstable = swept.unstable.len() as u64;
        if let Some(query) = sql.strangers() {
            evidence.strangers = session.rows(&query).await.map_err(failed)?.len() as u64;
        }
        if matches!(target.sync, plan::checked::Sync::Batch { .. }) {
            // Its lanes stand still between two runs: a difference proves nothing, and a repair would only wait with it.
            evidence.waiting = evidence.found;
        } else if evidence.mode == Some(Mode::Off) {
            // Somebody else keeps both sides alike, where that can be: a difference says nothing of us.
        } else {
            let Confirmed { differences: left, unstable, .. } =
                self.repair(session, &sql, &mut evidence, swept.confirmed).await?;
            evidence.confirmed = left.len() as u64;
            evidence.unstable += unstable.len() as u64;
            if evidence.complete {
                let open = left.iter().map(|d| &d.scope).chain(&unstable).chain(&swept.unstable);
                findings::close(session, db, table, open).await.map_err(failed)?;
            }
            confirm::returned(session, db, table, RETURNS).await.map_err(failed)?;
        }
        if evidence.mode != Some(Mode::Off) {
            (evidence.references, evidence.dangling) = self.references(session, &sql).await?;
        }
        self.counts(session, &mut evidence).await.map_err(failed)?;
        if evidence.complete && self.resume.is_some() {
            sweep::end(session, db, table).await.map_err(failed)?;
        }
        let parts = sweep::covered(session, db, table).await.map_err(failed)?;
        evidence.oldest_part_seconds = parts.iter().map(|p| p.age_seconds).max();
        if evidence.found > 0 && evidence.confirmed + evidence.unstable + evidence.waiting == 0 {
            // The rows that were repaired count now.
            evidence.present_rows = evidence.wanted_rows;
        }
        Ok((evidence, known))
    }

    /// Applies a little of each target again that is written and backfilled.
    async fn replays(
        &self,
        session: &mut Session,
        seen: &mut [(TargetEvidence, u64)],
    ) -> Result<(), VerifierError> {
        let mode = |e: &TargetEvidence| e.mode.filter(|m| e.backfilled && e.complete && *m != Mode::Off);
        let fit: Vec<(&str, Mode)> =
            seen.iter().filter_map(|(e, _)| Some((e.target.as_str(), mode(e)?))).collect();
        let targets: Vec<(&Target, Mode)> =
            fit.iter().filter_map(|(name, mode)| Some((self.plan.target(name)?, *mode))).collect();
        let mut replays = self.replay(session, &targets).await?;
        for (evidence, _) in seen {
            evidence.replay = replays.remove(&evidence.target);
        }
        Ok(())
    }

    /// Sends what differs through the pipeline again; gives what differs still.
    async fn repair(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
        evidence: &mut TargetEvidence,
        found: Vec<Difference>,
    ) -> Result<Confirmed, VerifierError> {
        if found.is_empty() {
            return Ok(Confirmed::default());
        }
        let failed = |source| VerifierError::Compare { target: sql.target.table.clone(), source };
        let cause = Cause::of(session, self.db, sql, evidence.mode).await.map_err(failed)?;
        if cause == Cause::Unlogged {
            evidence.unlogged = found.len() as u64;
        }
        findings::record(session, self.db, &sql.target.table, cause, &found).await.map_err(failed)?;
        // A mark changes nothing where the writer does not write.
        if !self.repair || evidence.too_many || evidence.mode != Some(Mode::Write) {
            return Ok(Confirmed { differences: found, ..Confirmed::default() });
        }
        let by_us = sql.target.routes.iter().filter(|r| matches!(r.by, RouteBy::ByVerifier));
        let by_us: Vec<&str> = by_us.map(|r| r.from.as_str()).collect();
        tracing::warn!(
            target = %sql.target.table,
            scopes = found.len(),
            cause = cause.name(),
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
            "SELECT COUNT(*) > 0 AND SUM(state <> 'done') = 0 FROM {} WHERE target = {target} AND kind = '{}' AND {}",
            self.db.control_table("pass"),
            Kind::Rows.name(),
            pass::ORDERED,
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
    async fn store(
        &self,
        session: &mut Session,
        all: &Verdict,
        looked_behind: &BTreeMap<String, u64>,
    ) -> Result<(), DbError> {
        // Of some targets only the whole is not stored: what stands against it stands against each of them.
        let own = all.reasons.iter().map(|r| r.answer).max().filter(|_| !self.only.is_empty());
        let answer = |t: &TargetVerdict| own.map_or(t.verdict, |own| own.max(t.verdict));
        let mut rows: Vec<(String, &str, String)> =
            all.targets.iter().map(|t| (t.evidence.target.clone(), answer(t).name(), json(t))).collect();
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
        for (target, known) in looked_behind {
            finding::close_direct_writes(session, self.db, target, *known).await?;
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
            flag: Some(State::of(self.flags.get(name))),
            dual_write: dual.map(|(counts, hours)| DualWrite { counts: *counts, hours: *hours }),
            ..TargetEvidence::default()
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| unreachable!("evidence is always JSON: {e}"))
}
