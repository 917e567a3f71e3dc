//! `crossfade mode`: what the writer does with a target's rows.

use clap::Subcommand;
use mysql::control::flag;
use mysql::control::lane::{self, Mode};
use serde_json::json;
use service::Settings;
use verifier::flags::State;
use verifier::modes::{self, ModeError};

use crate::deployment;
use crate::output::{self, Exit, Format};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists the modes of all targets
    List,
    /// write: makes rows what the plan says. compare: the application writes them, too; counts what is equal and
    /// what differs, and fills in only what is missing. off: leaves them alone
    Set {
        target: String,
        /// write, compare or off
        mode: String,
        /// The reason, for the audit trail
        #[arg(long)]
        because: String,
    },
}

pub async fn run(settings: &Settings, verb: Verb, format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let plan = deployment::own_plan(settings, &mut session, &db).await?;
    match verb {
        Verb::List => {
            let (all, flags) = (lane::modes(&mut session, &db).await?, flag::all(&mut session, &db).await?);
            let flag = |target: &str| State::of(flags.get(target));
            let modes: Vec<_> = all
                .iter()
                .map(|(target, mode)| json!({ "target": target, "mode": mode, "flag": flag(target) }))
                .collect();
            output::print(format, &json!({ "schema_version": 1, "modes": modes }), |_| {
                let rows = all.iter().map(|(t, m)| vec![t.clone(), m.name().into(), flag(t).name().into()]);
                output::table(&["target", "mode", "flag"], rows.collect())
            })?;
            Ok(Exit::Yes)
        }
        Verb::Set { target, mode, because } => {
            if plan.target(&target).is_none() {
                return Err(deployment::no_target(&plan, &target));
            }
            let to = Mode::parse(&mode).ok_or(ModeError::NoMode(mode))?;
            let (was, moved) =
                match modes::set(&mut session, &db, &target, to, (db.url().user(), &because)).await {
                    Ok(was) => (was, true),
                    Err(ref e @ ModeError::NotAllowed { at, .. }) => {
                        eprintln!("{e}");
                        (at, false)
                    }
                    Err(e) => return Err(e.into()),
                };
            let now = if moved { to } else { was };
            let answer = json!({
                "schema_version": 1, "target": target, "was": was, "mode": now, "moved": moved,
            });
            output::say(format, &answer, || match moved {
                true => format!("`{target}`: {} (was {})", now.name(), was.name()),
                false => format!("`{target}` stays in mode {}", now.name()),
            })?;
            Ok(if moved { Exit::Yes } else { Exit::No })
        }
    }
}
