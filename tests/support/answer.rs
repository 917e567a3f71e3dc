//! What a command answers: exit code, data on stdout, messages on stderr.

#![allow(dead_code)] // each test binary uses its part

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::schema;
use crate::support::Deployment;

/// What a command answered.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub async fn ask(deployment: &Deployment, arguments: &[&str]) -> Result<Answer> {
    let Output { status, stdout, stderr } = deployment.run(arguments).await?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).context("not UTF-8");
    let code = status.code().with_context(|| format!("{arguments:?}: {status}"))?;
    Ok(Answer { code, out: text(stdout)?, err: text(stderr)? })
}

/// The command in both formats: the same exit code, and the JSON keeps its contract. Gives the JSON.
pub async fn both(deployment: &Deployment, arguments: &[&str], code: i32, contract: &str) -> Result<Value> {
    let text = ask(deployment, arguments).await?;
    ensure!(text.code == code, "{arguments:?}: {} instead of {code}\n{}{}", text.code, text.out, text.err);
    json(deployment, arguments, code, contract).await
}

/// The command with `--output json` only.
pub async fn json(deployment: &Deployment, arguments: &[&str], code: i32, contract: &str) -> Result<Value> {
    let answer = ask(deployment, &[arguments, &["--output", "json"]].concat()).await?;
    ensure!(
        answer.code == code,
        "{arguments:?}: {} instead of {code}\n{}{}",
        answer.code,
        answer.out,
        answer.err
    );
    let value =
        serde_json::from_str(&answer.out).with_context(|| format!("{arguments:?}: {}", answer.out))?;
    schema::check(contract, &value)?;
    Ok(value)
}

/// The command answers nothing: exit code 2, nothing on stdout, and a message with all of these parts.
pub async fn refuses(deployment: &Deployment, arguments: &[&str], parts: &[&str]) -> Result<()> {
    let Answer { code, out, err } = ask(deployment, arguments).await?;
    ensure!(code == 2 && out.is_empty(), "{arguments:?}: exit code {code}, stdout: {out}\n{err}");
    // Wrapped and framed lines are read as one.
    let plain = unframed(&err);
    for part in parts {
        ensure!(err.contains(part) || plain.contains(part), "{arguments:?}: `{part}` is not in: {err}");
    }
    Ok(())
}

/// A drawn problem without its frame and its line breaks.
pub fn unframed(text: &str) -> String {
    let words = text.split_whitespace().filter(|w| !matches!(*w, "│" | "╰────" | "×" | "·"));
    words.collect::<Vec<_>>().join(" ")
}
