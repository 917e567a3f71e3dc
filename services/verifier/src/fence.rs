//! The background fence (C5): proves again and again how far everything is applied, and writes it down.
//!
//! The order of the steps is the proof. A position G is taken first. Every change up to G is on the bus (P4). *Then* the
//! ends of `changes` are read, so they cover those changes; the mapper has committed them, so their marks are on
//! `mapped` or `writes`; *then* the ends of `mapped` are read; and so on to the lanes, whose offset moves only with the
//! rows. Orders of a full pass that the mapper wrote on the way are passes, and passes are waited for too.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bus::fence;
use change::Position;
use mysql::Session;
use mysql::control::{applied, pass};
use plan::quote;
use service::{Context, Retry};
use tokio_util::sync::CancellationToken;

use crate::error::VerifierError;

/// Between two proofs: each is a commit on the application's server.
const IDLE: Duration = Duration::from_millis(200);
/// The reader saves its position with every beat, once a second. One that stands still for this long is no position of now.
const SILENT: Duration = Duration::from_secs(3);

/// The service whose position is proved.
const READER: &str = "cdc-reader";

/// When the last proof of a new position was begun: what was published by then is applied.
#[derive(Debug, Default)]
pub struct Proof(Mutex<Option<Instant>>);

impl Proof {
    /// `None`: nothing is proved yet.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    fn begun(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// What was written down last.
#[derive(Default)]
struct Proved {
    position: Option<(Position, Instant)>,
    /// That the reader is waited for stands there, too.
    waits: bool,
}

/// Runs until `stop`. Its own errors never stop the pipeline: what cannot be proved is not proved.
pub async fn run(context: &Context, proof: &Proof, stop: &CancellationToken) -> Result<(), VerifierError> {
    let mut session: Option<Session> = None;
    let mut proved = Proved::default();
    let mut retry = Retry::with_most("the fence", Duration::from_secs(1));
    while !stop.is_cancelled() {
        let pause = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            round = round(context, &mut session, &mut proved, proof) => match round {
                Ok(()) => {
                    retry.worked();
                    IDLE
                }
                Err(e) if e.is_transient() => {
                    session = None;
                    retry.failed(|tries| tracing::warn!(error = %e, tries, "the fence is tried again"))
                }
                Err(e) => return Err(e),
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

async fn round(
    context: &Context,
    held: &mut Option<Session>,
    proved: &mut Proved,
    proof: &Proof,
) -> Result<(), VerifierError> {
    let db = &context.database;
    let mut session = db.resume(held).await.map_err(VerifierError::Control)?;
    let begun = Instant::now();
    let position =
        applied::published(&mut session, db, &context.source).await.map_err(VerifierError::Control)?;
    match (position, &proved.position) {
        (None, _) => {}
        // Nothing new is proved: the age of the last proof grows, also while nobody publishes.
        (Some(position), Some((last, at))) if last.reaches(&position) => {
            if at.elapsed() > SILENT && !proved.waits {
                note(context, &mut session, READER).await?;
                proved.waits = true;
            }
        }
        (Some(position), _) => {
            prove(context, &mut session).await?;
            proof.begun(begun);
            let incarnation = context.topics.incarnation();
            applied::store(&mut session, db, &context.source, incarnation, &position)
                .await
                .map_err(VerifierError::Control)?;
            *proved = Proved { position: Some((position, Instant::now())), waits: false };
        }
    }
    *held = Some(session);
    Ok(())
}

/// Steps 2 to 4 of the fence, for whatever is on the bus now.
pub async fn prove(context: &Context, session: &mut Session) -> Result<(), VerifierError> {
    let bus = context.bus.as_ref();
    let stages = [("mapper", context.changes_topics()), ("id-mapper", context.mapped_topics())];
    for (service, topics) in stages {
        waiting(context, session, service, fence::committed(bus, &context.group(service), &topics)).await?;
    }
    let streamed: Vec<String> = context
        .targets()
        .filter(|t| !Context::is_batch(t))
        .map(|t| context.topics.writes(&t.table))
        .collect();
    let wanted = fence::ends(bus, &streamed).await.map_err(VerifierError::Bus)?;
    let mut since = Instant::now();
    let mut pauses = fence::pauses();
    loop {
        match behind(context, session, &wanted).await? {
            None => return Ok(()),
            Some(at) => {
                if since.elapsed() > Duration::from_secs(1) {
                    note(context, session, &at).await?;
                    since = Instant::now();
                }
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}

/// Waits for a stage, and says so where others can read it if it takes long.
async fn waiting(
    context: &Context,
    session: &mut Session,
    service: &str,
    stage: impl Future<Output = Result<(), bus::BusError>>,
) -> Result<(), VerifierError> {
    tokio::pin!(stage);
    loop {
        tokio::select! {
            done = &mut stage => return done.map_err(VerifierError::Bus),
            () = tokio::time::sleep(Duration::from_secs(1)) => note(context, session, service).await?,
        }
    }
}

async fn note(context: &Context, session: &mut Session, at: &str) -> Result<(), VerifierError> {
    applied::note(session, &context.database, &context.source, at).await.map_err(VerifierError::Control)
}

/// A lane that has not reached the wanted ends yet.
async fn behind(
    context: &Context,
    session: &mut Session,
    wanted: &fence::Ends,
) -> Result<Option<String>, VerifierError> {
    if wanted.iter().all(|(_, _, end)| *end == 0) {
        return Ok(None);
    }
    let rows = session
        .rows(&format!("SELECT topic, lane, next_offset FROM {}", context.database.control_table("lane")))
        .await
        .map_err(VerifierError::Control)?;
    let mut lanes = std::collections::HashMap::new();
    for r in &rows {
        let read = || {
            Ok((
                r.text(0)?.unwrap_or_default().to_string(),
                r.u64(1)?.unwrap_or_default() as u32,
                r.u64(2)?.unwrap_or_default(),
            ))
        };
        let (topic, lane, next) = read().map_err(VerifierError::Control)?;
        lanes.insert((topic, lane), next);
    }
    let late = wanted
        .iter()
        .find(|(topic, lane, end)| lanes.get(&(topic.clone(), *lane)).copied().unwrap_or(0) < *end);
    Ok(late.map(|(topic, lane, _)| format!("writer, lane {lane} of {topic}")))
}

/// How many passes are still to be run, and how many scopes are on their way back.
pub async fn under_way(context: &Context, session: &mut Session) -> Result<(u64, u64), VerifierError> {
    let db = &context.database;
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM {} WHERE {}), (SELECT COUNT(*) FROM {} WHERE reason <> {})",
        db.control_table("pass"),
        pass::waited_for(db),
        db.control_table("redrive"),
        quote::text("operator"),
    );
    let row = session.row(&sql).await.map_err(VerifierError::Control)?;
    let read = |i| row.as_ref().map_or(Ok(None), |r| r.u64(i)).map(Option::unwrap_or_default);
    Ok((read(0).map_err(VerifierError::Control)?, read(1).map_err(VerifierError::Control)?))
}
