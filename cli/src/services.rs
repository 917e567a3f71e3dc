//! The five services: each started alone, or all of them in one process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use service::{Context, Health, Readings, Settings, Shutdown, Status, heartbeat};
use tokio_util::sync::CancellationToken;
use verifier::api::{Api, Tokens};

use crate::numbers::{self, Count};

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
    if let Some(address) = settings.console.filter(|_| names.contains(&Name::Verifier)) {
        let api = Api::new(context.clone(), tokens(settings)?);
        let bound = api
            .serve(address, shutdown.token())
            .await
            .map_err(|e| anyhow!("console: {address} can't be bound ({e}): choose another port"))?;
        tracing::info!("console: http://{bound}/");
    }
    let mut tasks = Vec::new();
    for name in names {
        let (status, readings, task) = start(*name, context.clone(), settings, shutdown.token());
        health.show(readings);
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

fn tokens(settings: &Settings) -> anyhow::Result<Option<Tokens>> {
    let Some(file) = &settings.console_tokens else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|e| anyhow!("console-tokens: `{}` can't be read: {e}", file.display()))?;
    let tokens =
        Tokens::parse(&text).map_err(|why| anyhow!("console-tokens: `{}`: {why}", file.display()))?;
    Ok(Some(tokens))
}

type Says = Arc<dyn Fn() -> Status + Send + Sync>;
type Shows = Arc<dyn Readings>;
type Task = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

fn says(detail: impl Fn() -> serde_json::Value + Send + Sync + 'static) -> Says {
    Arc::new(move || Status { state: "running", detail: detail() })
}

/// The same counts for the control schema and for `/metrics`.
fn counts(counts: impl Fn() -> Vec<Count> + Send + Sync + 'static) -> (Says, Shows) {
    let counts = Arc::new(counts);
    let same = counts.clone();
    (says(move || numbers::detail(&counts())), Arc::new(move || numbers::readings(&same())))
}

fn start(name: Name, context: Context, settings: &Settings, stop: CancellationToken) -> (Says, Shows, Task) {
    match name {
        Name::CdcReader => {
            let reader = cdc_reader::Reader::new(cdc_reader::Context {
                database: context.database,
                bus: context.bus,
                plan: context.plan,
                include_deferred: context.include_deferred,
                topics: context.topics,
                source: context.source,
                partitions: context.lanes,
                settings: cdc_reader::Settings::default(),
            });
            let (status, shown) = (reader.status(), reader.status());
            let says = says(move || serde_json::to_value(&*status.borrow()).unwrap_or_default());
            let shows = Arc::new(move || numbers::reader(&shown.borrow()));
            (says, shows, Box::pin(async move { Ok(reader.run(stop).await?) }))
        }
        Name::Mapper => {
            let metrics = Arc::new(mapper::metrics::Metrics::default());
            let m = metrics.clone();
            let (says, shows) = counts(move || numbers::mapper(&m));
            (says, shows, Box::pin(async move { Ok(mapper::run(context, metrics, stop).await?) }))
        }
        Name::IdMapper => {
            let metrics = Arc::new(id_mapper::metrics::Metrics::default());
            let m = metrics.clone();
            let (says, shows) = counts(move || numbers::id_mapper(&m));
            (says, shows, Box::pin(async move { Ok(id_mapper::run(context, metrics, stop).await?) }))
        }
        Name::Writer => {
            let shared = writer::app::share(context);
            let seen = shared.clone();
            let (says, shows) = counts(move || numbers::writer(&seen.metrics));
            (says, shows, Box::pin(async move { Ok(writer::app::run_shared(shared, stop).await?) }))
        }
        Name::Verifier => {
            let pace = verifier::app::Pace {
                interval: settings.verify_every,
                share: settings.verify_share,
                limit: settings.repair_limit,
                step_down: settings.step_down,
            };
            let proof = Arc::new(verifier::Proof::default());
            let metrics = Arc::new(verifier::metrics::Metrics::default());
            let (seen, stands) = (proof.clone(), metrics.clone());
            (
                says(|| serde_json::json!({})),
                Arc::new(move || numbers::verifier(&seen, &stands)),
                Box::pin(async move { Ok(verifier::run(context, pace, proof, metrics, stop).await?) }),
            )
        }
    }
}
