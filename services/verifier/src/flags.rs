//! Flags: how far the application has moved to a target. A step up is one at a time and needs the verdict; a step down is
//! always free and takes effect at once.

use mysql::control::audit::{self, AsRace, Decision};
use mysql::control::flag::{self, Stored};
use mysql::control::lane::{self, Mode};
use mysql::{Database, DbError, Session};
use serde::{Deserialize, Serialize};
use service::StepDown;

use crate::answer::Verdicts;
use crate::modes;
use crate::verdict::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// Of a target whose flag was never moved: legacy.
    pub fn of(stored: Option<&Stored>) -> Self {
        stored.map_or(State::Legacy, |s| Self::stored(&s.state))
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
    #[error("`{target}` stays at {}: {because}", at.name())]
    NotAllowed { target: String, at: State, because: &'static str },
    #[error("{0}")]
    Control(#[from] DbError),
}

impl AsRace for FlagError {
    fn is_race(&self) -> bool {
        matches!(self, FlagError::Control(e) if e.is_race())
    }
}

/// Where a target's flag stands, and whether it may go up.
pub struct Standing {
    pub state: State,
    /// The next state, if the verdict allows it.
    pub allowed_up: Option<State>,
    /// Why it does not.
    pub blocked: Option<&'static str>,
}

impl Standing {
    pub fn of(target: &str, stored: Option<&Stored>, verdicts: &Verdicts) -> Self {
        let state = State::of(stored);
        let blocked = blocked(target, verdicts);
        Self {
            state,
            allowed_up: state.next().filter(|_| blocked.is_none()),
            blocked: blocked.filter(|_| state.next().is_some()),
        }
    }
}

/// Why a target's flag may not go up now; `None`: it may.
fn blocked(target: &str, verdicts: &Verdicts) -> Option<&'static str> {
    let answer = verdicts.of(target).answer;
    match answer.max(verdicts.against_all) {
        Answer::Ready => None,
        Answer::NotReady => Some("the verdict is not ready (`crossfade verdict` says why)"),
        Answer::Unknown => {
            Some("the verdict is unknown (`crossfade verdict` says why, `crossfade verify --once` asks)")
        }
    }
}

/// May a flag go up to a state? `blocked`: why no step up is allowed. The error says why not.
fn may_step_up(target: &str, at: State, to: State, blocked: Option<&'static str>) -> Result<(), FlagError> {
    let target = target.to_owned();
    match (at.next(), blocked) {
        (Some(next), None) if next == to => Ok(()),
        (Some(next), Some(because)) if next == to => Err(FlagError::NotAllowed { target, at, because }),
        (next, _) => Err(FlagError::Skips { target, at: at.name(), next: next.unwrap_or(at).name() }),
    }
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
    let mut tries = 0;
    loop {
        session.begin().await?;
        let done = try_set(session, db, order).await;
        if let Some(from) = audit::end(session, done, &mut tries).await? {
            if order.to == State::Legacy
                && let Err(e) =
                    modes::back_to_legacy(session, db, order.target, order.who, order.because).await
            {
                // The flag is down all the same; the verifier tries again after its next pass.
                tracing::warn!(target = order.target, error = %e, "its lanes cannot go back to mode `write` yet");
            }
            return Ok(from);
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
    let verdicts = if up { Some(Verdicts::read(session, db).await?) } else { None };
    if let Some(verdicts) = &verdicts {
        may_step_up(order.target, from, order.to, blocked(order.target, verdicts))?;
    }
    flag::set(session, db, order.target, order.to.name(), order.who).await?;
    let decision = Decision {
        who: order.who,
        what: "flag",
        target: order.target,
        was: Some(from.name()),
        now_is: Some(order.to.name()),
        because: order.because,
        verdict: verdicts.as_ref().and_then(|v| v.of(order.target).body.as_deref()),
    };
    audit::add(session, db, &decision).await?;
    Ok(from)
}

/// Who steps down by itself; nobody's token has this name.
pub const CROSSFADE: &str = "crossfade";

/// Takes reads back from targets whose verdict has fallen.
pub async fn fall(session: &mut Session, db: &Database, when: StepDown) -> Result<(), FlagError> {
    if when == StepDown::Never {
        return Ok(());
    }
    let (flags, verdicts) = (flag::all(session, db).await?, Verdicts::read(session, db).await?);
    let modes = lane::modes(session, db).await?;
    let mut failed = Ok(());
    for (target, stored) in flags.iter().filter(|(_, s)| State::stored(&s.state) > State::DualWrite) {
        // The application alone writes it: the legacy side lacks what it wrote, and no verdict of ours speaks of that.
        if modes.get(target) == Some(&Mode::Off) {
            continue;
        }
        let answer = verdicts.of(target).answer;
        let falls = match answer {
            Answer::Ready => false,
            Answer::NotReady => true,
            Answer::Unknown => when == StepDown::Unknown,
        };
        if !falls {
            continue;
        }
        let (to, because) = (State::DualWrite, format!("the verdict is {}", answer.name()));
        let order = Move { target, to, who: CROSSFADE, because: &because, only_down: true };
        match set(session, db, &order).await {
            Ok(_) => {
                tracing::warn!(%target, from = stored.state, to = to.name(), %because, "the flag steps down");
            }
            // The others fall all the same.
            Err(e) => failed = failed.and(Err(e)),
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_is_one_step_and_needs_the_verdict() {
        for from in State::ALL {
            for to in State::ALL.into_iter().filter(|to| *to > from) {
                for blocked in [None, Some("not ready")] {
                    let allowed = may_step_up("t", from, to, blocked).is_ok();
                    let one_up = from.next() == Some(to);
                    assert_eq!(allowed, one_up && blocked.is_none(), "{from:?} to {to:?}, {blocked:?}");
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
