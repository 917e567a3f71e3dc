//! `crossfade flags`: how far the application has moved to each target.

use clap::Subcommand;
use mysql::control::{audit, flag};
use mysql::{Database, Session};
use plan::checked::Target;
use serde::Serialize;
use serde_json::json;
use service::Settings;
use verifier::answer::Verdicts;
use verifier::flags::{self, FlagError, Move, Standing, State};

use crate::deployment;
use crate::output::{self, Exit, Format};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists the flags of all targets, and which step up the verdict allows
    List,
    /// Moves a flag: one step up while the verdict is ready, any step down at once
    Set {
        target: String,
        /// legacy, dual_write, shadow_read or new_read
        state: String,
        /// The reason, for the audit trail
        #[arg(long)]
        because: String,
    },
    /// Shows what was decided, by whom and why, and whether the chain of entries is whole
    History {
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
}

#[derive(Serialize)]
struct Flag {
    target: String,
    state: &'static str,
    since: Option<String>,
    by: Option<String>,
    verdict: &'static str,
    allowed_up: Option<&'static str>,
}

pub async fn run(settings: &Settings, verb: Verb, format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    match verb {
        Verb::List => list(settings, &mut session, &db, format).await,
        Verb::Set { target, state, because } => {
            let plan = deployment::own_plan(settings, &mut session, &db).await?;
            if plan.target(&target).is_none() {
                return Err(deployment::no_target(&plan, &target));
            }
            let to = State::parse(&state).ok_or(FlagError::NoState(state))?;
            let order =
                Move { target: &target, to, who: db.url().user(), because: &because, only_down: false };
            let (was, moved) = match flags::set(&mut session, &db, &order).await {
                Ok(was) => (was, true),
                // A definite no: the verdict does not allow it.
                Err(ref e @ FlagError::NotAllowed { at, .. }) => {
                    eprintln!("{e}");
                    (at, false)
                }
                Err(e) => return Err(e.into()),
            };
            let now = if moved { to } else { was };
            let answer = json!({
                "schema_version": 1, "target": target, "was": was.name(), "state": now.name(), "moved": moved,
            });
            output::say(format, &answer, || match moved {
                true => format!("`{target}`: {} (was {})", now.name(), was.name()),
                false => format!("`{target}` stays at {}", now.name()),
            })?;
            Ok(if moved { Exit::Yes } else { Exit::No })
        }
        Verb::History { target } => {
            let entries = audit::entries(&mut session, &db, target.as_deref(), 0, 10_000).await?;
            let broken = audit::broken_at(&mut session, &db).await?;
            let answer = json!({ "schema_version": 1, "entries": entries, "broken_at": broken });
            output::print(format, &answer, |_| {
                let rows = entries.iter().map(|e| {
                    let step = match (&e.was, &e.now_is) {
                        (Some(was), Some(now)) => format!("{was} -> {now}"),
                        (_, now) => now.clone().unwrap_or_default(),
                    };
                    vec![
                        e.at.clone(),
                        e.who.clone(),
                        e.what.clone(),
                        e.target.clone(),
                        step,
                        e.because.clone(),
                    ]
                });
                let mut text =
                    output::table(&["at", "who", "what", "target", "step", "because"], rows.collect());
                if let Some(id) = broken {
                    text += &format!(
                        "\nthe chain is broken at entry {id}: somebody changed or removed an entry\n"
                    );
                }
                text
            })?;
            Ok(if broken.is_none() { Exit::Yes } else { Exit::No })
        }
    }
}

async fn list(
    settings: &Settings,
    session: &mut Session,
    db: &Database,
    format: Format,
) -> anyhow::Result<Exit> {
    let plan = deployment::own_plan(settings, session, db).await?;
    let stored = flag::all(session, db).await?;
    let verdicts = Verdicts::read(session, db).await?;
    let flag = |target: &Target| {
        let at = stored.get(&target.table);
        let standing = Standing::of(&target.table, at, &verdicts);
        Flag {
            target: target.table.clone(),
            state: standing.state.name(),
            since: at.map(|s| s.since.clone()),
            by: at.map(|s| s.who.clone()),
            verdict: verdicts.of(&target.table).answer.name(),
            allowed_up: standing.allowed_up.map(State::name),
        }
    };
    let all: Vec<Flag> = plan.targets.iter().map(flag).collect();
    output::print(format, &json!({ "schema_version": 1, "flags": all }), |_| {
        let rows = all.iter().map(|f| {
            vec![
                f.target.clone(),
                f.state.into(),
                f.since.clone().unwrap_or_default(),
                f.by.clone().unwrap_or_default(),
                f.verdict.into(),
                f.allowed_up.unwrap_or("-").into(),
            ]
        });
        output::table(&["target", "state", "since", "by", "verdict", "next step allowed"], rows.collect())
    })?;
    Ok(Exit::Yes)
}
