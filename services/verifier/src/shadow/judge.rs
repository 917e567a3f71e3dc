//! What shadow reads say about a target, and about the criterion "identical reads". Pure.

use serde::{Deserialize, Serialize};

use crate::criteria::{self, APPLICATION, Criterion};
use crate::verdict::{Answer, Reason, TargetVerdict};

pub const IDENTICAL_READS: &str = "identical reads";

/// One read of a target in one pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadEvidence {
    pub read: String,
    /// Scopes for which both forms gave a result in time.
    pub keys: u64,
    /// Scopes that are known to differ, whichever pass saw it.
    pub differ: u64,
    /// Scopes whose results changed in every round.
    pub unstable: u64,
    /// Scopes for which a form took too long, gave too many rows, or failed.
    pub unanswered: u64,
    /// A batch target: scopes that differ and whose schedule has not come since.
    pub waiting: u64,
    pub legacy: Latency,
    pub new: Latency,
}

/// Of one form, in microseconds, on the way to the database and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Latency {
    pub fn of(times: &mut [u64]) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(rank).copied().unwrap_or_default()
        };
        Self { p50_us: at(50), p99_us: at(99) }
    }
}

/// What stands against a target.
pub fn reasons(reads: &[ReadEvidence]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for e in reads {
        let name = &e.read;
        let against = [
            (
                e.differ,
                Answer::NotReady,
                format!("read `{name}` gives other results in its new form for {} scopes", e.differ),
                "correct the new form (`crossfade plan explain` shows it), or find what the target lacks; then `crossfade verify --once`",
            ),
            (
                e.unanswered,
                Answer::Unknown,
                format!(
                    "read `{name}` gave no answer for {} scopes: too slow, too long, or an error",
                    e.unanswered
                ),
                "see the verifier's log; an index may be missing",
            ),
            (
                e.unstable,
                Answer::Unknown,
                format!("read `{name}` changed in every round for {} scopes", e.unstable),
                "verify again when they change less often",
            ),
            (
                e.waiting,
                Answer::Unknown,
                format!("read `{name}` differs for {} scopes until the batch's next run", e.waiting),
                "verify again after the next run",
            ),
        ];
        reasons.extend(against.into_iter().filter(|(scopes, ..)| *scopes > 0).map(
            |(_, answer, detail, next_step)| Reason {
                criterion: IDENTICAL_READS.into(),
                answer,
                detail,
                next_step: next_step.into(),
            },
        ));
    }
    reasons
}

/// All reads of all targets. Without any the criterion is unknown, and no target is held back by that.
pub fn criterion(targets: &[TargetVerdict]) -> Criterion {
    let reads = targets.iter().flat_map(|t| t.evidence.reads.iter().map(|r| (&t.evidence.target, r)));
    let each: Vec<String> = reads
        .map(|(target, e)| {
            let (old, new) = (e.legacy, e.new);
            format!(
                "{target}.{}: {} scopes, {} differ, p50/p99 {}/{} µs before and {}/{} µs after",
                e.read, e.keys, e.differ, old.p50_us, old.p99_us, new.p50_us, new.p99_us
            )
        })
        .collect();
    if each.is_empty() {
        let next = "name the application's queries in both forms: `reads` in a target's file";
        return criteria::criterion(
            IDENTICAL_READS,
            Answer::Unknown,
            "the plan names no reads".into(),
            APPLICATION,
            next,
        );
    }
    let seen = targets.iter().flat_map(|t| &t.evidence.reads).any(|e| e.keys > 0);
    let least = if seen { Answer::Ready } else { Answer::Unknown };
    criteria::criterion(
        IDENTICAL_READS,
        criteria::worst(targets, &[IDENTICAL_READS]).max(least),
        each.join("; "),
        APPLICATION,
        "see the reads that differ: `crossfade verdict`, and the findings of the target",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{TargetEvidence, of_target};

    fn target(reads: Vec<ReadEvidence>) -> TargetVerdict {
        let good = TargetEvidence { backfilled: true, complete: true, ..TargetEvidence::default() };
        of_target(TargetEvidence { target: "t".into(), reads, ..good })
    }

    fn read(keys: u64) -> ReadEvidence {
        ReadEvidence { read: "by_id".into(), keys, ..ReadEvidence::default() }
    }

    #[test]
    fn a_read_that_differs_is_a_definite_no_and_one_that_was_not_seen_is_no_answer() {
        for (evidence, of_target, of_criterion) in [
            (vec![], Answer::Ready, Answer::Unknown),
            (vec![read(3)], Answer::Ready, Answer::Ready),
            (vec![read(0)], Answer::Ready, Answer::Unknown),
            (vec![read(3), ReadEvidence { differ: 1, ..read(2) }], Answer::NotReady, Answer::NotReady),
            (vec![ReadEvidence { unanswered: 1, ..read(2) }], Answer::Unknown, Answer::Unknown),
            (vec![ReadEvidence { unstable: 1, ..read(2) }], Answer::Unknown, Answer::Unknown),
            (vec![ReadEvidence { waiting: 1, ..read(2) }], Answer::Unknown, Answer::Unknown),
        ] {
            let target = target(evidence.clone());
            assert_eq!(target.verdict, of_target, "{evidence:?}");
            let criterion = criterion(&[target]);
            assert_eq!(criterion.answer, of_criterion, "{evidence:?}");
        }
        let text = reasons(&[ReadEvidence { differ: 7, ..read(9) }]);
        assert!(text[0].detail.contains("`by_id`") && text[0].detail.contains("7 scopes"));
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        assert_eq!(Latency::of(&mut []), Latency::default());
        assert_eq!(Latency::of(&mut [7]), Latency { p50_us: 7, p99_us: 7 });
        let mut times: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(Latency::of(&mut times), Latency { p50_us: 50, p99_us: 99 });
    }
}
