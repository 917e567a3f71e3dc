//! The five services: each started alone, or all of them in one process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use service::{Context, Health, Settings, Shutdown, Status, heartbeat};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    CdcReader,
    Mapper,
    IdMapper,
    Writer,
    Verifier,
}

impl Name {
    pub const ALL: [Name; 5] = [Name::CdcReader, Name::Mapper, Name::IdMapper, Name::Writer, Name::Verifier];

    pub fn text(self) -> &'static str {
        match self {
            Name::CdcReader => "cdc-reader",
            Name::Mapper => "mapper",
            Name::IdMapper => "id-mapper",
            Name::Writer => "writer",
            Name::Verifier => "verifier",
        }
    }
}

/// How long services have to end their work after a signal.
const DRAIN: Duration = Duration::from_secs(15);

/// Runs these services until a signal, or until one of them must not go on. The first error is the answer.
pub async fn run(
    names: &[Name],
    context: Context,
    settings: &Settings,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let health = Health::default();
    if let Some(address) = settings.listen {
        let bound = health.serve(address, shutdown.token()).await?;
        tracing::info!(%bound, "health and metrics");
    }
    let mut tasks = Vec::new();
    for name in names {
        let (status, task) = start(*name, context.clone(), settings, shutdown.token());
        shutdown.spawn(heartbeat(
            context.database.clone(),
            health.clone(),
            name.text(),
            context.instance.clone(),
            status,
            shutdown.token(),
        ));
        tasks.push((*name, shutdown.spawn(task)));
    }
    health.started();
    shutdown.token().cancelled().await;
    let drained = shutdown.drain(DRAIN).await;
    let mut first = Ok(());
    for (name, task) in tasks {
        if !task.is_finished() {
            continue;
        }
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                tracing::error!(service = name.text(), error = %e, "the service stopped");
                first = first.and(Err(e.context(name.text())));
            }
            Err(e) => first = first.and(Err(anyhow!("{} ended by a defect: {e}", name.text()))),
        }
    }
    if !drained {
        tracing::warn!("not everything ended in time; what was under way is repeated at the next start");
    }
    first
}

type Says = Arc<dyn Fn() -> Status + Send + Sync>;
type Task = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

fn says(detail: impl Fn() -> serde_json::Value + Send + Sync + 'static) -> Says {
    Arc::new(move || Status { state: "running", detail: detail() })
}

fn start(name: Name, context: Context, settings: &Settings, stop: CancellationToken) -> (Says, Task) {
    use std::sync::atomic::Ordering::Relaxed;
    match name {
        Name::CdcReader => {
            let reader = cdc_reader::Reader::new(cdc_reader::Context {
                database: context.database,
                bus: context.bus,
                plan: context.plan,
                topics: context.topics,
                source: context.source,
                partitions: context.lanes,
                settings: cdc_reader::Settings::default(),
            });
            let status = reader.status();
            let says = says(move || serde_json::to_value(&*status.borrow()).unwrap_or_default());
            (says, Box::pin(async move { Ok(reader.run(stop).await?) }))
        }
        Name::Mapper => {
            let metrics = Arc::new(mapper::metrics::Metrics::default());
            let m = metrics.clone();
            let says = says(move || {
                serde_json::json!({
                    "changes": m.changes.load(Relaxed),
                    "records": m.marks.load(Relaxed),
                    "lookups": m.lookups.load(Relaxed),
                    "redriven": m.redriven.load(Relaxed),
                })
            });
            (says, Box::pin(async move { Ok(mapper::run(context, metrics, stop).await?) }))
        }
        Name::IdMapper => {
            let metrics = Arc::new(id_mapper::metrics::Metrics::default());
            let m = metrics.clone();
            let says = says(move || {
                serde_json::json!({
                    "marks": m.marks.load(Relaxed),
                    "minted": m.minted.load(Relaxed),
                    "collisions": m.collisions.load(Relaxed),
                })
            });
            (says, Box::pin(async move { Ok(id_mapper::run(context, metrics, stop).await?) }))
        }
        Name::Writer => {
            let shared = writer::app::share(context);
            let seen = shared.clone();
            let says = says(move || {
                let m = &seen.metrics;
                serde_json::json!({
                    "batches": m.batches.load(Relaxed),
                    "marks": m.marks.load(Relaxed),
                    "changed": m.changed.load(Relaxed),
                    "parked": m.parked.load(Relaxed),
                    "fenced": m.fenced.load(Relaxed),
                    "retries": m.retries.load(Relaxed),
                    "chunks": m.chunks.load(Relaxed),
                })
            });
            (says, Box::pin(async move { Ok(writer::app::run_shared(shared, stop).await?) }))
        }
        Name::Verifier => {
            let pace = verifier::app::Pace { interval: settings.verify_every, share: 0.05 };
            (
                says(|| serde_json::json!({})),
                Box::pin(async move { Ok(verifier::run(context, pace, stop).await?) }),
            )
        }
    }
}
