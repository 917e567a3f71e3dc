//! What is wrong in the world around Crossfade: each error says what, where, and how to mend it; and mending it helps.

#[path = "bad_input/address.rs"]
mod address;
#[path = "support/answer.rs"]
mod answer;
#[path = "bad_input/control.rs"]
mod control;
#[path = "bad_input/ddl.rs"]
mod ddl;
#[path = "bad_input/direct.rs"]
mod direct;
#[path = "bad_input/fidelity.rs"]
mod fidelity;
#[path = "bad_input/keys.rs"]
mod keys;
#[path = "bad_input/locks.rs"]
mod locks;
#[path = "bad_input/passes.rs"]
mod passes;
#[path = "bad_input/plan.rs"]
mod plan;
#[path = "bad_input/position.rs"]
mod position;
#[path = "support/schema.rs"]
mod schema;
#[path = "bad_input/scopes.rs"]
mod scopes;
#[path = "bad_input/server.rs"]
mod server;
#[path = "support/small.rs"]
mod small;
mod support;
#[path = "bad_input/unique.rs"]
mod unique;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use support::Deployment;
use tokio::process::Child;

/// `up` with its stderr kept.
fn start(deployment: &Deployment) -> Result<Child> {
    deployment.command(&["up"]).stderr(Stdio::piped()).spawn().context("start crossfade")
}

/// The `error: …` with which an `up` ends by itself, with exit code 2, within half a minute.
async fn error_of(up: Child) -> Result<String> {
    let output = tokio::time::timeout(Duration::from_secs(30), up.wait_with_output()).await;
    let output = output.context("crossfade up goes on")??;
    let text = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.code() == Some(2), "crossfade up: {}\n{text}", output.status);
    let at = text.find("error: ").with_context(|| text.clone())?;
    Ok(text[at..].to_owned())
}
