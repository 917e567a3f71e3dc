//! The verdict: from evidence to an answer. Pure, and never optimistic (P11): what was not seen is "unknown".

use serde::{Deserialize, Serialize};

use mysql::control::dual_write::Counts;
use mysql::control::lane::Mode;

use crate::canary::Canary;
use crate::criteria::{self, Criterion};
use crate::flags::State;
use crate::identity::MapEvidence;
use crate::replay::Replay;
use crate::shadow::{self, ReadEvidence};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Ready,
    Unknown,
    NotReady,
}

impl Answer {
    pub fn name(self) -> &'static str {
        match self {
            Answer::Ready => "ready",
            Answer::Unknown => "unknown",
            Answer::NotReady => "not_ready",
        }
    }
}

/// Why the answer is not "ready", and who has to do what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    pub criterion: String,
    pub answer: Answer,
    pub detail: String,
    pub next_step: String,
}

/// What was seen of one target in a full pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetEvidence {
    pub target: String,
    pub risk: String,
    /// Every row pass that was ordered is done.
    pub backfilled: bool,
    pub wanted_rows: u64,
    pub present_rows: u64,
    /// Differences that outlived two proofs, before any repair.
    pub found: u64,
    /// Of these, those that differ still.
    pub confirmed: u64,
    pub unstable: u64,
    /// Rows that no scope leads to.
    pub strangers: u64,
    pub parked: u64,
    /// Parked scopes that somebody accepted as they are.
    #[serde(default)]
    pub waived: u64,
    /// Missing parents, values that do not fit, ambiguous rows: explained, and not counted against the target.
    pub reports: u64,
    /// A batch target: scopes that differ and whose schedule has not come since.
    pub waiting: u64,
    /// Transactions of others that wrote into the target while the pass ran.
    #[serde(default)]
    pub direct_writes: u64,
    /// The pass covered every scope.
    pub complete: bool,
    /// What the writer does with its rows.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// How far the application has moved to it.
    #[serde(default)]
    pub flag: Option<State>,
    /// What the writer found in mode `compare` over the representative period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual_write: Option<DualWrite>,
    /// More differ than may be repaired without asking: the pass stopped there.
    #[serde(default)]
    pub too_many: bool,
    /// References of the target that were followed to their parents.
    #[serde(default)]
    pub references: u64,
    /// Rows in which one leads nowhere.
    #[serde(default)]
    pub dangling: u64,
    /// Of the differences found, those that nothing in the binlog explains.
    #[serde(default)]
    pub unlogged: u64,
    /// Random scopes that were compared beside all others.
    #[serde(default)]
    pub sampled: u64,
    /// Seconds since the part that was compared longest ago.
    #[serde(default)]
    pub oldest_part_seconds: Option<u64>,
    /// What was applied again, to see that it changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// The pipeline has not applied what was committed when the pass began: what it needs, and where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Rows that the last repeated backfill changed; none: it was never repeated.
    #[serde(default)]
    pub rerun_changed: Option<u64>,
    /// Queries of the application that were run in both forms.
    #[serde(default)]
    pub reads: Vec<ReadEvidence>,
}

/// Rows that the application wrote on both sides, as the writer found them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DualWrite {
    #[serde(flatten)]
    pub counts: Counts,
    /// Hours of the period in which anything was compared.
    pub hours: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct TargetVerdict {
    pub verdict: Answer,
    #[serde(flatten)]
    pub evidence: TargetEvidence,
    pub reasons: Vec<Reason>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Deferred {
    pub target: String,
    pub reason: String,
    pub review_by: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub schema_version: u32,
    pub verdict: Answer,
    pub canary: Canary,
    /// Everything up to here was applied when the pass ended.
    pub position: String,
    pub targets: Vec<TargetVerdict>,
    pub id_maps: Vec<MapEvidence>,
    pub deferred: Vec<Deferred>,
    pub reasons: Vec<Reason>,
    pub criteria: Vec<Criterion>,
}

/// The reason that stands against a target into which somebody else writes.
pub(crate) const DIRECT_WRITES: &str = "no direct writes";
/// The reason that stands against all targets: a map is no bijection, or has holes.
pub(crate) const ID_MAPS: &str = "id maps";
/// The reason that stands against everything: the verifier does not see what it damaged itself.
pub(crate) const AWAKE: &str = "verifier awake";
pub(crate) const WHO_WROTE: &str = "find who writes it (`finding` has key, position and time), or say that it is dual-written: `crossfade flags set`; then `crossfade verify --once`";

fn reason(criterion: &str, answer: Answer, detail: String, next_step: &str) -> Reason {
    Reason { criterion: criterion.into(), answer, detail, next_step: next_step.into() }
}

pub fn of_target(evidence: TargetEvidence) -> TargetVerdict {
    use Answer::{NotReady, Unknown};
    let e = &evidence;
    let mut reasons = Vec::new();
    if e.mode == Some(Mode::Off) {
        // Whatever differs there is not ours to judge.
        reasons.push(reason(
            "mode",
            Unknown,
            "its lanes are off: what legacy says is not written".into(),
            "after cutover that is as it must be; to come back: `crossfade mode set … write`",
        ));
        return TargetVerdict { verdict: Unknown, evidence, reasons };
    }
    if !e.backfilled {
        reasons.push(reason(
            "backfill",
            NotReady,
            "the backfill is not done".into(),
            "wait: `crossfade status --watch`",
        ));
    }
    if let Some(pending) = &e.pending {
        reasons.push(reason(
            "applied",
            Unknown,
            format!("nothing can be proved: {pending}"),
            "wait for the service that it names: `crossfade status`",
        ));
    } else if e.too_many {
        reasons.push(reason(
            "rows equal",
            NotReady,
            format!(
                "more than {} scopes differ: the pass stopped, and repaired nothing",
                e.found.saturating_sub(1)
            ),
            "find out why first (`crossfade findings`); then `crossfade verify --once --repair-limit N`",
        ));
    } else if !e.complete {
        reasons.push(reason(
            "coverage",
            Unknown,
            "the pass did not cover every scope".into(),
            "`crossfade verify --once`",
        ));
    }
    if (e.mode, e.flag) == (Some(Mode::Compare), Some(State::Legacy)) {
        reasons.push(reason(
            "mode",
            NotReady,
            "the writer only compares, and the application does not write it".into(),
            "`crossfade mode set … write`",
        ));
    }
    if let Some(replay) = e.replay.as_ref().filter(|r| r.changed() > 0) {
        let detail =
            format!("{} rows changed again and again when they were applied again", replay.changed());
        let next = "is the plan deterministic? does a trigger, or somebody else, write these columns?";
        // A chunk also writes what legacy has changed meanwhile; marks are compared with what legacy says.
        let answer = if replay.marks_changed > 0 { NotReady } else { Unknown };
        reasons.push(reason("zero-change re-run", answer, detail, next));
    }
    if e.confirmed > 0 && !e.too_many {
        let detail = format!("{} scopes differ and stay different", e.confirmed);
        reasons.push(reason(
            "rows equal",
            NotReady,
            detail,
            "find who writes these columns; then `crossfade verify --once`",
        ));
    }
    if e.waiting > 0 {
        let detail = format!("{} scopes wait for the batch's next run", e.waiting);
        reasons.push(reason("rows equal", Unknown, detail, "verify again after the next run"));
    }
    if e.waiting == 0
        && e.confirmed == 0
        && e.unstable == 0
        && e.parked + e.waived == 0
        && e.complete
        && e.wanted_rows != e.present_rows
    {
        let detail =
            format!("{} rows wanted, {} present while rows were changing", e.wanted_rows, e.present_rows);
        reasons.push(reason("counts", Unknown, detail, "`crossfade verify --once`"));
    }
    if e.dangling > e.parked + e.waived {
        let detail = format!("in {} rows a reference leads to no parent", e.dangling);
        let next = "find who writes these columns, or who deleted the parents unlogged; then `crossfade verify --once`";
        reasons.push(reason("referential integrity", NotReady, detail, next));
    }
    if e.strangers > 0 {
        let detail = format!("{} rows that no legacy row leads to", e.strangers);
        reasons.push(reason("no extra rows", NotReady, detail, "delete them, or find who writes the table"));
    }
    if e.direct_writes > 0 {
        let detail = format!("{} transactions of others wrote into it meanwhile", e.direct_writes);
        reasons.push(reason(DIRECT_WRITES, Unknown, detail, WHO_WROTE));
    }
    if e.unstable > 0 {
        let detail = format!("{} scopes changed in every round", e.unstable);
        reasons.push(reason("rows equal", Unknown, detail, "verify again when they change less often"));
    }
    if e.parked > 0 {
        let detail = format!("{} scopes are parked", e.parked);
        reasons.push(reason(
            "no open exceptions",
            NotReady,
            detail,
            "`crossfade exceptions list --parked`, then redrive or waive",
        ));
    }
    reasons.extend(shadow::reasons(&e.reads));
    let verdict = reasons.iter().map(|r| r.answer).max().unwrap_or(Answer::Ready);
    TargetVerdict { verdict, evidence, reasons }
}

pub fn of_all(
    position: String,
    canary: Canary,
    targets: Vec<TargetVerdict>,
    id_maps: Vec<MapEvidence>,
    deferred: Vec<Deferred>,
) -> Verdict {
    let mut reasons = Vec::new();
    if !canary.is_awake() {
        let detail = canary.trouble.clone().unwrap_or_else(|| {
            format!(
                "of {} rows damaged on purpose {} were found, {} others were called different, in {} ms",
                canary.damaged, canary.found, canary.false_alarms, canary.milliseconds
            )
        });
        reasons.push(reason(
            AWAKE,
            Answer::Unknown,
            detail,
            "look at the control tables `canary` and `canary_new`: nobody else may write them",
        ));
    }
    for map in &id_maps {
        if !map.bijection {
            let detail = format!("the map of {} is not a bijection", map.entity);
            reasons.push(reason(
                ID_MAPS,
                Answer::NotReady,
                detail,
                "find who wrote into the map; it must be mended by hand",
            ));
        }
        if !map.stable {
            let detail = format!(
                "of {} entries of {} that were seen before, some have changed or gone",
                map.seen, map.entity
            );
            reasons.push(reason(
                ID_MAPS,
                Answer::NotReady,
                detail,
                "entries are for ever: put them back, or, if it was meant, forget the picture: DELETE FROM map_seen in the control schema",
            ));
        }
        if map.uncovered > 0 {
            let detail = format!("{} rows of {} have no UUID", map.uncovered, map.entity);
            // Where the pipeline is behind they may be on their way.
            let behind = targets.iter().any(|t| t.evidence.pending.is_some());
            let answer = if behind { Answer::Unknown } else { Answer::NotReady };
            reasons.push(reason(ID_MAPS, answer, detail, "wait, or `crossfade backfill --again`"));
        }
    }
    let worst = targets.iter().map(|t| t.verdict).chain(reasons.iter().map(|r| r.answer)).max();
    let verdict = worst.unwrap_or(Answer::Unknown);
    let criteria = criteria::of(&targets, &id_maps, &deferred);
    Verdict { schema_version: 1, verdict, canary, position, targets, id_maps, deferred, reasons, criteria }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> TargetEvidence {
        TargetEvidence {
            target: "t".into(),
            backfilled: true,
            complete: true,
            wanted_rows: 3,
            present_rows: 3,
            ..TargetEvidence::default()
        }
    }

    #[test]
    fn only_complete_and_equal_is_ready() {
        assert_eq!(of_target(good()).verdict, Answer::Ready);
        for (evidence, answer) in [
            (TargetEvidence { backfilled: false, ..good() }, Answer::NotReady),
            (TargetEvidence { complete: false, ..good() }, Answer::Unknown),
            (TargetEvidence { confirmed: 1, ..good() }, Answer::NotReady),
            (TargetEvidence { strangers: 1, ..good() }, Answer::NotReady),
            (TargetEvidence { references: 1, dangling: 1, ..good() }, Answer::NotReady),
            (TargetEvidence { too_many: true, complete: false, ..good() }, Answer::NotReady),
            (
                TargetEvidence { pending: Some("needs 0-1-9".into()), complete: false, ..good() },
                Answer::Unknown,
            ),
            (
                TargetEvidence { replay: Some(Replay { marks_changed: 1, ..Replay::default() }), ..good() },
                Answer::NotReady,
            ),
            (
                TargetEvidence { replay: Some(Replay { rows_changed: 1, ..Replay::default() }), ..good() },
                Answer::Unknown,
            ),
            (TargetEvidence { mode: Some(Mode::Off), confirmed: 1, parked: 1, ..good() }, Answer::Unknown),
            (TargetEvidence { unstable: 1, ..good() }, Answer::Unknown),
            (TargetEvidence { direct_writes: 1, ..good() }, Answer::Unknown),
            (TargetEvidence { parked: 1, ..good() }, Answer::NotReady),
            (TargetEvidence { mode: Some(Mode::Off), ..good() }, Answer::Unknown),
            (
                TargetEvidence { mode: Some(Mode::Compare), flag: Some(State::Legacy), ..good() },
                Answer::NotReady,
            ),
            (TargetEvidence { parked: 1, unstable: 1, ..good() }, Answer::NotReady),
            (TargetEvidence { present_rows: 2, ..good() }, Answer::Unknown),
        ] {
            let verdict = of_target(evidence.clone());
            assert_eq!(verdict.verdict, answer, "{evidence:?}");
            assert!(!verdict.reasons.is_empty());
        }
        let waived = TargetEvidence { waived: 1, present_rows: 2, ..good() };
        assert_eq!(of_target(waived).verdict, Answer::Ready, "a waived scope keeps its rows as they are");
        assert_eq!(of_target(TargetEvidence { reports: 9, found: 2, ..good() }).verdict, Answer::Ready);
    }

    fn awake() -> Canary {
        Canary { damaged: 4, found: 4, false_alarms: 0, milliseconds: 20, trouble: None }
    }

    #[test]
    fn a_verifier_that_does_not_see_says_nothing() {
        for canary in [
            Canary::default(),
            Canary { found: 3, ..awake() },
            Canary { false_alarms: 1, ..awake() },
            Canary { milliseconds: 60_000, ..awake() },
            Canary { trouble: Some("no such table".into()), ..Canary::default() },
        ] {
            let all = of_all(String::new(), canary, vec![of_target(good())], vec![], vec![]);
            assert_eq!((all.verdict, all.reasons[0].criterion.as_str()), (Answer::Unknown, AWAKE));
        }
    }

    #[test]
    fn nothing_seen_is_unknown() {
        assert_eq!(of_all(String::new(), awake(), vec![], vec![], vec![]).verdict, Answer::Unknown);
    }

    #[test]
    fn a_map_with_holes_is_not_ready() {
        let good_map = || MapEvidence {
            entity: "users".into(),
            entries: 1,
            bijection: true,
            uncovered: 0,
            seen: 1,
            stable: true,
        };
        let all = |map| of_all(String::new(), awake(), vec![of_target(good())], vec![map], vec![]).verdict;
        assert_eq!(all(good_map()), Answer::Ready);
        assert_eq!(all(MapEvidence { uncovered: 1, ..good_map() }), Answer::NotReady);
        assert_eq!(all(MapEvidence { bijection: false, ..good_map() }), Answer::NotReady);
        assert_eq!(all(MapEvidence { stable: false, ..good_map() }), Answer::NotReady);
    }
}
