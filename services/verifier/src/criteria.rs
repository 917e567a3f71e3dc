//! The strategy's criteria by name (its sections Phase-2.3 and 2.4), answered from the evidence of a pass. Pure.

use serde::Serialize;

use mysql::control::dual_write::Counts;

use crate::identity::MapEvidence;
use crate::replay::Replay;
use crate::shadow;
use crate::verdict::{Answer, Deferred, TargetVerdict};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criterion {
    pub name: &'static str,
    pub answer: Answer,
    /// What was seen: numbers, never values of rows.
    pub evidence: String,
    /// Who has to act; "nobody" if it is fulfilled.
    pub who: &'static str,
    pub next_step: &'static str,
}

const OPERATOR: &str = "operator";
pub(crate) const APPLICATION: &str = "application team";

pub(crate) fn criterion(
    name: &'static str,
    answer: Answer,
    evidence: String,
    who: &'static str,
    next_step: &'static str,
) -> Criterion {
    let fulfilled = answer == Answer::Ready;
    let (who, next_step) = if fulfilled { ("nobody", "") } else { (who, next_step) };
    Criterion { name, answer, evidence, who, next_step }
}

/// The worst answer of the reasons with these names; "ready" if there is none.
pub(crate) fn worst(targets: &[TargetVerdict], names: &[&str]) -> Answer {
    let reasons = targets.iter().flat_map(|t| &t.reasons).filter(|r| names.contains(&r.criterion.as_str()));
    let seen = if targets.is_empty() { Answer::Unknown } else { Answer::Ready };
    reasons.map(|r| r.answer).max().unwrap_or(seen)
}

pub fn of(targets: &[TargetVerdict], maps: &[MapEvidence], deferred: &[Deferred]) -> Vec<Criterion> {
    let sum = |of: fn(&TargetVerdict) -> u64| targets.iter().map(of).sum::<u64>();
    let (wanted, present) = (sum(|t| t.evidence.wanted_rows), sum(|t| t.evidence.present_rows));
    let (differ, reports) = (sum(|t| t.evidence.confirmed), sum(|t| t.evidence.reports));
    let coverage = worst(targets, &["backfill", "coverage"]);
    let equal = worst(targets, &["rows equal"]).max(coverage);
    let mut all = vec![
        criterion(
            "counts",
            worst(targets, &["counts", "no extra rows"]).max(equal),
            format!("{} targets: {wanted} rows wanted, {present} present", targets.len()),
            OPERATOR,
            "see the targets that differ: `crossfade verdict`",
        ),
        criterion(
            "samples and hashes",
            equal,
            format!(
                "every row of both sides was hashed, and {} random scopes besides: {differ} scopes differ",
                sum(|t| t.evidence.sampled)
            ),
            OPERATOR,
            "find who writes these columns; then `crossfade verify --once`",
        ),
        criterion(
            "explained exceptions",
            worst(targets, &["no open exceptions"]),
            format!(
                "{} scopes parked, {} waived, {reports} reported with a reason",
                sum(|t| t.evidence.parked),
                sum(|t| t.evidence.waived)
            ),
            OPERATOR,
            "`crossfade exceptions list --parked`, then redrive or waive",
        ),
        criterion(
            "referential integrity",
            worst(targets, &["referential integrity"]).max(coverage),
            format!(
                "{} references followed to their parents: {} rows lead nowhere; {reports} values without a parent are NULL and reported",
                sum(|t| t.evidence.references),
                sum(|t| t.evidence.dangling)
            ),
            APPLICATION,
            "find who writes these columns; `crossfade exceptions list` names the parents that legacy itself misses",
        ),
    ];
    all.push(rerun(targets));
    all.push(shadow::criterion(targets));
    all.push(dual_writes(targets));
    all.push(mappings(maps));
    all.push(high_risk(targets, deferred));
    all
}

fn rerun(targets: &[TargetVerdict]) -> Criterion {
    let replays: Vec<_> = targets.iter().filter_map(|t| t.evidence.replay.as_ref()).collect();
    let sum = |of: fn(&Replay) -> u64| replays.iter().map(|r| of(r)).sum::<u64>();
    let (marks, rows, changed) =
        (sum(|r| r.marks), sum(|r| r.rows.unwrap_or_default()), sum(Replay::changed));
    let whole = replays.len() == targets.len() && replays.iter().all(|r| r.rows.is_some());
    let answer = match (sum(|r| r.marks_changed), changed == 0 && whole && !targets.is_empty()) {
        (1.., _) => Answer::NotReady,
        (0, true) => Answer::Ready,
        (0, false) => Answer::Unknown,
    };
    let again = targets.iter().filter_map(|t| t.evidence.rerun_changed);
    let (runs, by_runs) = again.fold((0, 0), |(n, sum), changed| (n + 1, sum + changed));
    criterion(
        "zero-change re-run",
        answer,
        format!(
            "{marks} marks and {rows} rows of the backfill applied again in {} of {} targets: {changed} rows changed; whole passes again in {runs} targets: {by_runs}",
            replays.len(),
            targets.len()
        ),
        OPERATOR,
        "wait for a pass of the verifier with the backfill done and not held; what changes again and again is a fault of the plan",
    )
}

fn dual_writes(targets: &[TargetVerdict]) -> Criterion {
    let mut sum = Counts::default();
    let (mut compared, mut hours) = (0, None::<u64>);
    for dual in targets.iter().filter_map(|t| t.evidence.dual_write.as_ref()) {
        compared += 1;
        hours = Some(hours.map_or(dual.hours, |h| h.min(dual.hours)));
        sum.add(&dual.counts);
    }
    let answer = match (sum.different + sum.filled, compared == targets.len() && compared > 0) {
        (1.., _) => Answer::NotReady,
        (0, true) => Answer::Ready,
        (0, false) => Answer::Unknown,
    };
    criterion(
        "identical dual writes",
        answer,
        format!(
            "{compared} of {} targets were compared (each in {} hours or more of the period): {} rows equal, {} missing, {} different",
            targets.len(),
            hours.unwrap_or_default(),
            sum.equal,
            sum.filled,
            sum.different
        ),
        APPLICATION,
        "write both sides in one transaction, with the flag at dual_write and `crossfade mode set … compare`",
    )
}

fn mappings(maps: &[MapEvidence]) -> Criterion {
    let good = maps.iter().all(MapEvidence::is_good);
    let uncovered: u64 = maps.iter().map(|m| m.uncovered).sum();
    let moved = maps.iter().filter(|m| !m.stable).count();
    let torn = maps.iter().filter(|m| !m.bijection).count();
    criterion(
        "mappings complete",
        if good { Answer::Ready } else { Answer::NotReady },
        format!(
            "{} maps with {} entries: {uncovered} rows without an entry, {torn} maps that are no bijection, {moved} in which entries have changed",
            maps.len(),
            maps.iter().map(|m| m.entries).sum::<u64>()
        ),
        OPERATOR,
        "find who wrote into the map; rows without an entry get one by `crossfade backfill --again`",
    )
}

fn high_risk(targets: &[TargetVerdict], deferred: &[Deferred]) -> Criterion {
    let high: Vec<&TargetVerdict> = targets.iter().filter(|t| t.evidence.risk == "high").collect();
    let answer = high.iter().map(|t| t.verdict).max().unwrap_or(Answer::Ready);
    criterion(
        "high-risk items",
        answer,
        format!("{} compared, {} deferred with a reason and a date", high.len(), deferred.len()),
        OPERATOR,
        "see these targets, or defer them in the plan with a reason",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{DualWrite, TargetEvidence, of_target};

    fn good() -> TargetEvidence {
        TargetEvidence {
            target: "t".into(),
            risk: "high".into(),
            backfilled: true,
            complete: true,
            wanted_rows: 3,
            present_rows: 3,
            replay: Some(Replay { marks: 3, rows: Some(3), rounds: 1, ..Replay::default() }),
            reads: vec![shadow::ReadEvidence { read: "by_id".into(), keys: 3, ..Default::default() }],
            dual_write: Some(DualWrite { counts: Counts { equal: 4, ..Counts::default() }, hours: 2 }),
            ..TargetEvidence::default()
        }
    }

    fn answers(evidence: TargetEvidence) -> Vec<(&'static str, Answer)> {
        of(&[of_target(evidence)], &[], &[]).into_iter().map(|c| (c.name, c.answer)).collect()
    }

    #[test]
    fn each_kind_of_evidence_stands_against_its_criterion() {
        assert!(answers(good()).iter().all(|(_, a)| *a == Answer::Ready), "{:?}", answers(good()));
        let against = |evidence: TargetEvidence| -> Vec<&'static str> {
            answers(evidence).into_iter().filter(|(_, a)| *a != Answer::Ready).map(|(n, _)| n).collect()
        };
        assert_eq!(against(TargetEvidence { present_rows: 2, ..good() }), ["counts", "high-risk items"]);
        assert_eq!(
            against(TargetEvidence { confirmed: 1, ..good() }),
            ["counts", "samples and hashes", "high-risk items"]
        );
        assert_eq!(
            against(TargetEvidence { parked: 1, ..good() }),
            ["explained exceptions", "high-risk items"]
        );
        assert_eq!(against(TargetEvidence { replay: None, ..good() }), ["zero-change re-run"]);
        let held = Some(Replay { marks: 3, ..Replay::default() });
        assert_eq!(against(TargetEvidence { replay: held, ..good() }), ["zero-change re-run"]);
        let moved = Some(Replay { marks: 3, rows: Some(3), rows_changed: 1, ..Replay::default() });
        assert_eq!(
            against(TargetEvidence { replay: moved, ..good() }),
            ["zero-change re-run", "high-risk items"]
        );
        assert_eq!(against(TargetEvidence { dual_write: None, ..good() }), ["identical dual writes"]);
        for counts in
            [Counts { filled: 1, ..Counts::default() }, Counts { different: 1, ..Counts::default() }]
        {
            let dual_write = Some(DualWrite { counts, hours: 1 });
            assert_eq!(against(TargetEvidence { dual_write, ..good() }), ["identical dual writes"]);
        }
    }

    #[test]
    fn a_torn_map_is_a_definite_no_and_no_target_is_no_answer() {
        let map = MapEvidence {
            entity: "users".into(),
            entries: 2,
            bijection: false,
            uncovered: 0,
            seen: 2,
            stable: true,
        };
        let all = of(&[of_target(good())], &[map], &[]);
        let answer = |name: &str| all.iter().find(|c| c.name == name).map(|c| c.answer);
        assert_eq!(answer("mappings complete"), Some(Answer::NotReady));
        assert!(of(&[], &[], &[]).iter().any(|c| c.answer == Answer::Unknown));
    }
}
