//! `crossfade preflight`: settings and rights, each failure with what is there, what must be, and how to mend it.

use clap::Args;
use service::Settings;

use crate::output::{Exit, Format};

#[derive(Debug, Args)]
pub struct Options {
    /// Print the smallest grants, per service
    #[arg(long)]
    print_grants: bool,
}

pub async fn run(_settings: &Settings, _options: &Options, _format: Format) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}

pub async fn must_pass(_settings: &Settings) -> anyhow::Result<()> {
    Ok(())
}
