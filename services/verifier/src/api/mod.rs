//! The console and its API: what an operator reads, what an operator with a token may do, and flags for applications.
//!
//! It shows digests, keys and numbers, never values of rows. Without tokens it is read-only and answers on loopback only.

mod acts;
mod auth;
mod console;
mod error;
mod fresh;
mod ofrep;
mod overview;
mod reads;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use mysql::control::applied;
use mysql::{DbError, Session};
use serde::Serialize;
use serde_json::Value;
use service::Context;
use tokio_util::sync::CancellationToken;

pub use auth::Tokens;
use error::ApiError;

/// How often the lag is looked at and an open console hears news.
const BEAT: Duration = Duration::from_secs(1);
/// Points of the lag's plot.
const POINTS: usize = 600;

pub struct Api {
    context: Context,
    tokens: Option<Tokens>,
    session: tokio::sync::Mutex<Option<Session>>,
    /// Flags wait for no page.
    flags: tokio::sync::Mutex<Option<Session>>,
    /// The last overview: many readers cost the database what one does.
    overview: tokio::sync::Mutex<Option<(Instant, Arc<Value>)>>,
    lag: Mutex<VecDeque<Lag>>,
    /// The new side shows what was committed a moment ago.
    fresh: AtomicBool,
}

#[derive(Clone, Debug, Serialize)]
struct Lag {
    at: String,
    seconds: f64,
}

type Shared = Arc<Api>;

impl Api {
    pub fn new(context: Context, tokens: Option<Tokens>) -> Arc<Self> {
        Arc::new(Self {
            context,
            tokens,
            session: tokio::sync::Mutex::default(),
            flags: tokio::sync::Mutex::default(),
            overview: tokio::sync::Mutex::default(),
            lag: Mutex::default(),
            fresh: AtomicBool::new(false),
        })
    }

    /// Runs something on the pages' session.
    async fn with<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on(&self.session, work).await
    }

    /// Runs something on the flags' session.
    async fn with_flags<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on(&self.flags, work).await
    }

    /// A session that met an error is not used again.
    async fn on<T, E: From<DbError>>(
        &self,
        session: &tokio::sync::Mutex<Option<Session>>,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut held = session.lock().await;
        let mut session = self.context.database.resume(&mut held).await?;
        let done = work(&mut session).await?;
        *held = Some(session);
        Ok(done)
    }

    pub fn router(self: &Arc<Self>) -> Router {
        let api = Router::new()
            .route("/api/v1/overview", get(overview::get))
            .route("/api/v1/events", get(overview::events))
            .route("/api/v1/verdict", get(reads::verdict))
            .route("/api/v1/targets/{target}", get(reads::target))
            .route("/api/v1/exceptions", get(reads::exceptions))
            .route("/api/v1/exceptions/redrive", post(acts::redrive))
            .route("/api/v1/exceptions/waive", post(acts::waive))
            .route("/api/v1/flags/{target}", post(acts::flag))
            .route("/api/v1/audit", get(reads::audit))
            .route("/ofrep/v1/evaluate/flags", post(ofrep::all))
            .route("/ofrep/v1/evaluate/flags/{key}", post(ofrep::one))
            .with_state(self.clone());
        Router::new()
            .merge(api)
            .route("/", get(console::index))
            .route("/console/{file}", get(console::file))
            .fallback(async || ApiError::not_found("there is nothing under this address"))
            .layer(axum::middleware::from_fn(console::headers))
            .layer(axum::middleware::from_fn_with_state(self.clone(), auth::host))
    }

    /// Serves until the token is cancelled. The address is bound before this returns.
    pub async fn serve(
        self: Arc<Self>,
        address: SocketAddr,
        stop: CancellationToken,
    ) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let router = self.router();
        let ended = stop.clone();
        tokio::spawn(async move {
            // Streams to consoles never end by themselves.
            let served = axum::serve(listener, router);
            tokio::select! {
                () = ended.cancelled() => {}
                Err(e) = served.into_future() => tracing::error!(error = %e, "the console is no longer served"),
            }
        });
        tokio::spawn(self.clone().follow_freshness(stop.clone()));
        tokio::spawn(self.follow_lag(stop));
        Ok(bound)
    }

    async fn follow_lag(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let seen = self
                .with(async |session| {
                    let now = applied::read(session, &self.context.database, &self.context.source).await?;
                    Ok::<_, DbError>(now.and_then(|n| n.age_seconds))
                })
                .await;
            if let Ok(Some(seconds)) = seen {
                let mut lag = self.lag.lock().unwrap_or_else(PoisonError::into_inner);
                lag.push_back(Lag { at: now(), seconds });
                let beyond = lag.len().saturating_sub(POINTS);
                lag.drain(..beyond);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    fn lag(&self) -> Vec<Lag> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// By this machine's clock.
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
