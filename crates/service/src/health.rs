//! Health and metrics over HTTP: `/livez`, `/readyz`, `/startupz`, `/metrics`, and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Readings, Shown};

/// What a process knows of its own health. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    started: AtomicBool,
    /// Why a part is not ready; `None`: it is.
    checks: Mutex<BTreeMap<String, Option<String>>>,
    registry: Mutex<Registry>,
}

impl Health {
    /// The work has begun: `/startupz` says so from now on.
    pub fn started(&self) {
        self.inner.started.store(true, Relaxed);
    }

    /// This part is ready.
    pub fn ready(&self, part: &str) {
        self.checks().insert(part.into(), None);
    }

    /// This part is not ready, because.
    pub fn not_ready(&self, part: &str, because: impl Into<String>) {
        self.checks().insert(part.into(), Some(because.into()));
    }

    pub fn is_ready(&self) -> bool {
        self.inner.started.load(Relaxed) && self.checks().values().all(Option::is_none)
    }

    /// Shows these numbers under `/metrics`.
    pub fn show(&self, readings: Arc<dyn Readings>) {
        let mut registry = self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Shown(readings)));
    }

    /// For metrics that a registry keeps itself.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/startupz", get(startup))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    /// Serves until the token is cancelled. The address is bound before this returns.
    pub async fn serve(&self, address: SocketAddr, stop: CancellationToken) -> anyhow::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(|e| anyhow::anyhow!("listen: {address} can't be bound ({e}): choose another port"))?;
        let bound = listener.local_addr()?;
        let router = self.router();
        tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(e) = served {
                tracing::error!(error = %e, "health and metrics are no longer served");
            }
        });
        Ok(bound)
    }
}

async fn startup(State(health): State<Health>) -> impl IntoResponse {
    if health.inner.started.load(Relaxed) {
        (StatusCode::OK, "started\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let ready = health.is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks: BTreeMap<String, String> = health
        .checks()
        .iter()
        .map(|(part, because)| (part.clone(), because.clone().unwrap_or_else(|| "ok".into())))
        .collect();
    (code, Json(serde_json::json!({ "ready": ready, "checks": checks })))
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let mut text = String::new();
    let registry = health.inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}
