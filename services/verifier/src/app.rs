//! Wires the verifier: the background fence, and passes one after another.

use std::sync::Arc;
use std::time::Duration;

use mysql::Session;
use service::{Context, StepDown};
use tokio_util::sync::CancellationToken;

use crate::error::VerifierError;
use crate::fence::{self, Proof};
use crate::fidelity;
use crate::flags::{self, FlagError};
use crate::metrics::{self, Metrics};
use crate::modes;
use crate::pass::Pass;

/// How the verifier paces itself.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Rest between two passes; zero: no passes, only the fence.
    pub interval: Duration,
    /// Share of the time that a comparison may take of the database, 0 to 1.
    pub share: f64,
    /// Differences of a target that are repaired without asking.
    pub limit: usize,
    pub step_down: StepDown,
}

/// `proof` and `metrics` can be watched from outside.
pub async fn run(
    context: Context,
    pace: Pace,
    proof: Arc<Proof>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), VerifierError> {
    let stop = stop.child_token();
    let fencing = fence::run(&context, &proof, &stop);
    let passing = passes(&context, pace, &stop);
    let onboarding = async {
        fidelity::onboard(&context, &stop).await;
        Ok(())
    };
    let following = async {
        metrics::follow(&context, &metrics, &stop).await;
        Ok(())
    };
    let all = async { tokio::try_join!(fencing, passing, onboarding, following).map(drop) };
    all.await
}

async fn passes(context: &Context, pace: Pace, stop: &CancellationToken) -> Result<(), VerifierError> {
    if pace.interval.is_zero() {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pace.interval) => {}
        }
        let one = async {
            let mut session: Session = context.database.session().await.map_err(VerifierError::Control)?;
            if fence::under_way(context, &mut session).await?.0 > 0 {
                return Ok(());
            }
            let pass = Pass {
                db: &context.database,
                plan: &context.plan,
                source: &context.source,
                include_deferred: context.include_deferred,
                only: Vec::new(),
                repair: true,
                limit: pace.limit,
                resume: Some(pace.interval * 3 + Duration::from_secs(24 * 3600)),
                rest: 1.0 / pace.share.clamp(0.01, 1.0) - 1.0,
                valid: pace.interval * 3 + Duration::from_secs(600),
            };
            let verdict = pass.run(&mut session).await?;
            tracing::info!(verdict = verdict.verdict.name(), "verification pass done");
            Ok(())
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            done = one => match done {
                Ok(()) => {}
                Err(e) if VerifierError::is_transient(&e) => tracing::warn!(error = %e, "the pass is tried again"),
                Err(e) => return Err(e),
            }
        }
        // Also when the pass gave nothing: then the verdict grows old.
        match step_down(context, pace.step_down).await {
            Err(FlagError::Control(e)) if !e.is_transient() => return Err(VerifierError::Control(e)),
            Err(e) => tracing::warn!(error = %e, "flags cannot step down"),
            Ok(()) => {}
        }
    }
}

async fn step_down(context: &Context, when: StepDown) -> Result<(), FlagError> {
    let mut session = context.database.session().await?;
    if let Err(e) = modes::settle(&mut session, &context.database).await {
        tracing::warn!(error = %e, "lanes of a target at legacy cannot go back to mode `write` yet");
    }
    flags::fall(&mut session, &context.database, when).await
}
