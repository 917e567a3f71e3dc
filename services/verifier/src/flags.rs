//! Flags: how far the application has moved to a target. A step up is one at a time and needs the verdict; a step down is
//! always free and takes effect at once.

use std::time::Duration;

use mysql::control::audit::{self, Decision};
use mysql::control::flag;
use mysql::{Database, DbError, Session};
use serde::Serialize;
use service::StepDown;

use crate::answer::Current;
use crate::verdict::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The application reads and writes the legacy side only.
    Legacy,
    /// It writes both sides.
    DualWrite,
    /// It reads both sides as well, answers from the legacy one, and compares.
    ShadowRead,
    /// It reads the new side.
    NewRead,
}

impl State {
    pub const ALL: [State; 4] = [State::Legacy, State::DualWrite, State::ShadowRead, State::NewRead];

    pub fn name(self) -> &'static str {
        match self {
            State::Legacy => "legacy",
            State::DualWrite => "dual_write",
            State::ShadowRead => "shadow_read",
            State::NewRead => "new_read",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text)
    }

    /// What is not known is legacy: that is always right.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or(State::Legacy)
    }

    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|s| *s > self)
    }

    pub fn writes_new(self) -> bool {
        self >= State::DualWrite
    }

    pub fn compares_reads(self) -> bool {
        self == State::ShadowRead
    }

    pub fn reads_new(self) -> bool {
        self == State::NewRead
    }
}

/// Why a flag was not moved. Its text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    #[error("the plan has no target `{0}`")]
    NoTarget(String),
    #[error("`{0}` is no state: legacy, dual_write, shadow_read or new_read")]
    NoState(String),
    #[error("a reason is needed: it is kept in the audit trail")]
    NoReason,
    #[error("`{target}` is at {at}: the next step is {next}, one at a time")]
    Skips { target: String, at: &'static str, next: &'static str },
    #[error("`{target}` stays at {at}: {because}")]
    NotAllowed { target: String, at: &'static str, because: String },
    #[error("{0}")]
    Control(#[from] DbError),
}

/// May a flag go from one state to another under this verdict? The error says why not.
pub fn may_step(target: &str, from: State, to: State, verdict: &Current) -> Result<(), FlagError> {
    if to <= from {
        return Ok(());
    }
    let (at, target) = (from.name(), target.to_owned());
    match from.next() {
        Some(next) if next == to => match blocked(verdict) {
            None => Ok(()),
            Some(because) => Err(FlagError::NotAllowed { target, at, because }),
        },
        next => Err(FlagError::Skips { target, at, next: next.unwrap_or(from).name() }),
    }
}

/// Why no step up is allowed now; `None`: one is.
pub fn blocked(verdict: &Current) -> Option<String> {
    match verdict.answer {
        Answer::Ready => None,
        Answer::NotReady => Some("the verdict is not ready (`crossfade verdict` says why)".into()),
        Answer::Unknown => Some(
            "the verdict is unknown (`crossfade verdict` says why, `crossfade verify --once` asks)".into(),
        ),
    }
}

/// A target's verdict, made no better than that over the id maps: these belong to no target.
async fn for_step_up(session: &mut Session, db: &Database, target: &str) -> Result<Current, DbError> {
    let mut verdict = Current::of_target(session, db, target).await?;
    let overall = Current::of_target(session, db, "").await?.shown();
    if overall["reasons"].as_array().is_some_and(|own| own.iter().any(|r| r["criterion"] == "id maps")) {
        verdict.answer = verdict.answer.max(Answer::NotReady);
    }
    Ok(verdict)
}

/// A move of a flag, by whom and why.
pub struct Move<'a> {
    pub target: &'a str,
    pub to: State,
    pub who: &'a str,
    pub because: &'a str,
    /// Does nothing if it would be a step up.
    pub only_down: bool,
}

/// Moves a flag: state and audit entry in one transaction. Gives the state before.
pub async fn set(session: &mut Session, db: &Database, order: &Move<'_>) -> Result<State, FlagError> {
    if order.because.trim().is_empty() {
        return Err(FlagError::NoReason);
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        session.begin().await?;
        match try_set(session, db, order).await {
            Ok(from) => {
                session.commit().await?;
                return Ok(from);
            }
            Err(FlagError::Control(e)) if audit::is_race(&e) && attempt < 20 => {
                session.rollback().await?;
                tokio::time::sleep(Duration::from_millis(rand::random_range(1..20))).await;
            }
            Err(e) => {
                session.rollback().await?;
                return Err(e);
            }
        }
    }
}

async fn try_set(session: &mut Session, db: &Database, order: &Move<'_>) -> Result<State, FlagError> {
    let from = State::stored(&flag::lock(session, db, order.target).await?);
    let up = order.to > from;
    if from == order.to || (up && order.only_down) {
        return Ok(from);
    }
    // A step down must work whatever has become of the verdict.
    let verdict = if up { for_step_up(session, db, order.target).await? } else { Current::none() };
    may_step(order.target, from, order.to, &verdict)?;
    flag::set(session, db, order.target, order.to.name(), order.who).await?;
    let decision = Decision {
        who: order.who,
        what: "flag",
        target: order.target,
        was: Some(from.name()),
        now_is: Some(order.to.name()),
        because: order.because,
        verdict: verdict.body.as_deref().filter(|_| up),
    };
    audit::add(session, db, &decision).await?;
    Ok(from)
}

/// Who steps down by itself; nobody's token has this name.
pub const CROSSFADE: &str = "crossfade";

/// Takes reads back from targets whose verdict has fallen. Gives the targets.
pub async fn fall(session: &mut Session, db: &Database, when: StepDown) -> Result<Vec<String>, FlagError> {
    let (mut fallen, mut failed) = (Vec::new(), Ok(()));
    if when == StepDown::Never {
        return Ok(fallen);
    }
    for (target, stored) in flag::all(session, db).await? {
        if State::stored(&stored.state) <= State::DualWrite {
            continue;
        }
        let verdict = Current::of_target(session, db, &target).await?;
        let falls = match verdict.answer {
            Answer::Ready => false,
            Answer::NotReady => true,
            Answer::Unknown => when == StepDown::Unknown,
        };
        if falls {
            let because = format!("the verdict is {}", verdict.answer.name());
            let to = State::DualWrite;
            let order = Move { target: &target, to, who: CROSSFADE, because: &because, only_down: true };
            match set(session, db, &order).await {
                Ok(_) => {
                    tracing::warn!(%target, from = stored.state, to = to.name(), %because, "the flag steps down");
                    fallen.push(target);
                }
                // The others fall all the same.
                Err(e) => failed = failed.and(Err(e)),
            }
        }
    }
    failed.map(|()| fallen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(answer: Answer) -> Current {
        let mut verdict = Current::none();
        verdict.answer = answer;
        verdict
    }

    #[test]
    fn up_is_one_step_and_needs_the_verdict_and_down_is_free() {
        for from in State::ALL {
            for to in State::ALL {
                for answer in [Answer::Ready, Answer::NotReady, Answer::Unknown] {
                    let allowed = may_step("t", from, to, &verdict(answer)).is_ok();
                    let one_up = from.next() == Some(to);
                    assert_eq!(
                        allowed,
                        to <= from || (one_up && answer == Answer::Ready),
                        "{from:?} to {to:?}, {answer:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_is_legacy() {
        assert_eq!(State::stored("new_raed"), State::Legacy);
        for state in State::ALL {
            assert_eq!(State::stored(state.name()), state);
        }
        assert!(!State::DualWrite.reads_new() && !State::ShadowRead.reads_new());
    }
}
