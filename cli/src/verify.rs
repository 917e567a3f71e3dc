//! `crossfade verify --once`: a full pass from anywhere; the services must run for anything to be proved.

use std::time::Duration;

use clap::Args;
use service::Settings;
use verifier::pass::Pass;

use crate::deferred;
use crate::deployment::{no_target, own_plan};
use crate::output::{Exit, Format};
use crate::verdict;

#[derive(Debug, Args)]
pub struct Options {
    /// One pass, now (the verifier service does passes by itself)
    #[arg(long)]
    once: bool,
    /// Only these targets
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Report differences without repairing them
    #[arg(long)]
    no_repair: bool,
    /// What the deferred targets would leave out, and why; writes nothing
    #[arg(long, conflicts_with_all = ["once", "no_repair"])]
    deferred: bool,
}

impl Options {
    /// The report on deferred targets only computes; a pass needs the control schema.
    pub fn is_pass(&self) -> bool {
        self.once
    }
}

/// A verdict of one pass holds so long.
const VALID: Duration = Duration::from_secs(15 * 60);

pub async fn run(settings: &Settings, options: &Options, format: Format) -> anyhow::Result<Exit> {
    if options.deferred {
        return deferred::run(settings, &options.only, format).await;
    }
    anyhow::ensure!(options.once, "say `--once`: passes one after another are the verifier service's work");
    let db = settings.database();
    let mut session = db.session().await?;
    let plan = own_plan(settings, &mut session, &db).await?;
    if let Some(unknown) = options.only.iter().find(|o| plan.target(o).is_none()) {
        return Err(no_target(&plan, unknown));
    }
    let pass = Pass {
        db: &db,
        plan: &plan,
        source: &settings.source,
        include_deferred: settings.include_deferred,
        only: options.only.clone(),
        repair: !options.no_repair,
        limit: settings.repair_limit,
        resume: None,
        rest: 0.0,
        valid: VALID,
    };
    let body = serde_json::to_value(pass.run(&mut session).await?)?;
    verdict::show(&body, format)?;
    Ok(verdict::exit(&body))
}
