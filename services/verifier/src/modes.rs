//! What the writer does with a target's rows, and when that may change (decision 20).

use mysql::control::audit::{self, AsRace, Decision};
use mysql::control::lane::{self, Mode};
use mysql::control::pass::{self, Kind};
use mysql::control::{dual_write, flag};
use mysql::{Database, DbError, Session};

use crate::flags::{CROSSFADE, State};

#[derive(Debug, thiserror::Error)]
pub enum ModeError {
    #[error("`{0}` is no mode: write, compare or off")]
    NoMode(String),
    #[error("a reason is needed: it is kept in the audit trail")]
    NoReason,
    #[error("`{0}` has no lanes yet: start Crossfade first")]
    NoLanes(String),
    #[error("`{target}` stays in mode {}: {because}", at.name())]
    NotAllowed { target: String, at: Mode, because: &'static str },
    #[error("{0}")]
    Control(#[from] DbError),
}

impl AsRace for ModeError {
    fn is_race(&self) -> bool {
        matches!(self, ModeError::Control(e) if e.is_race())
    }
}

/// Why a mode may not be set while the application is where its flag says.
fn refused(from: Mode, to: Mode, flag: State) -> Option<&'static str> {
    match to {
        Mode::Compare if !flag.writes_new() => Some(
            "the application does not write it (`crossfade flags set … dual_write` first), so nobody would",
        ),
        Mode::Off if !flag.reads_new() => {
            Some("only what the application reads from the new side may be left to it (its flag at new_read)")
        }
        Mode::Write if from == Mode::Off && flag.reads_new() => Some(
            "the application reads it, and may have written what the legacy side has not got: step its flag down first",
        ),
        _ => None,
    }
}

/// Sets the mode of a target's lanes once every batch under way has ended; gives the mode before. From then on is written
/// again what was left alone meanwhile: a pass is ordered.
pub async fn set(
    session: &mut Session,
    db: &Database,
    target: &str,
    to: Mode,
    (who, because): (&str, &str),
) -> Result<Mode, ModeError> {
    if because.trim().is_empty() {
        return Err(ModeError::NoReason);
    }
    let mut tries = 0;
    loop {
        session.begin().await?;
        let done = try_set(session, db, target, to, (who, because)).await;
        if let Some(from) = audit::end(session, done, &mut tries).await? {
            return Ok(from);
        }
    }
}

async fn try_set(
    session: &mut Session,
    db: &Database,
    target: &str,
    to: Mode,
    (who, because): (&str, &str),
) -> Result<Mode, ModeError> {
    let flag = State::stored(&flag::lock(session, db, target).await?);
    let Some(from) = lane::set_mode(session, db, target, to).await? else {
        return Err(ModeError::NoLanes(target.into()));
    };
    if from == to {
        return Ok(from);
    }
    if let Some(because) = refused(from, to, flag) {
        return Err(ModeError::NotAllowed { target: target.into(), at: from, because });
    }
    if to == Mode::Write {
        pass::order(session, db, target, Kind::Rows, 1, "mode", 0).await?;
    }
    if to == Mode::Compare {
        // What was counted another time says nothing about this one.
        dual_write::forget(session, db, target).await?;
    }
    let decision = Decision {
        who,
        what: "mode",
        target,
        was: Some(from.name()),
        now_is: Some(to.name()),
        because,
        verdict: None,
    };
    audit::add(session, db, &decision).await?;
    Ok(from)
}

/// A target that goes back to legacy is the writer's again: nobody else writes it from now on.
pub async fn back_to_legacy(
    session: &mut Session,
    db: &Database,
    target: &str,
    who: &str,
    because: &str,
) -> Result<(), ModeError> {
    match lane::modes(session, db).await?.get(target) {
        Some(Mode::Compare) => set(session, db, target, Mode::Write, (who, because)).await.map(drop),
        _ => Ok(()),
    }
}

/// The same for every target that was left behind in mode `compare`.
pub async fn settle(session: &mut Session, db: &Database) -> Result<(), ModeError> {
    let flags = flag::all(session, db).await?;
    for (target, mode) in lane::modes(session, db).await? {
        if mode == Mode::Compare && State::of(flags.get(&target)) == State::Legacy {
            set(session, db, &target, Mode::Write, (CROSSFADE, "its flag is at legacy")).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_never_left_to_an_application_that_does_not_write_it() {
        use Mode::{Compare, Off, Write};
        let allowed = |from, to, flag| refused(from, to, flag).is_none();
        assert!(!allowed(Write, Compare, State::Legacy) && allowed(Write, Compare, State::DualWrite));
        assert!(!allowed(Compare, Off, State::ShadowRead) && allowed(Compare, Off, State::NewRead));
        assert!(!allowed(Off, Write, State::NewRead) && allowed(Off, Write, State::ShadowRead));
        assert!(State::ALL.into_iter().all(|flag| allowed(Compare, Write, flag)));
    }
}
