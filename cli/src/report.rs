//! `crossfade report`: everything that a decision rests on, as one document to be signed and kept.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use service::Settings;
use verifier::report::{Facts, document};

use crate::output::{self, Exit, Format};
use crate::verdict;

#[derive(Debug, Args)]
pub struct Options {
    /// Markdown, or one page of HTML with plots that loads nothing
    #[arg(long, value_enum, default_value_t = Form::Markdown)]
    format: Form,
    /// Where to write it [default: stdout]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Markdown,
    Html,
}

/// The exit code is that of the verdict.
pub async fn run(settings: &Settings, options: &Options, format: Format) -> anyhow::Result<Exit> {
    ensure!(
        format == Format::Text,
        "a report is written for people: say `--format markdown` or `--format html`; `crossfade verdict --output json` is for programs"
    );
    let db = settings.database();
    let mut session = db.session().await?;
    let facts = Facts::read(&mut session, &db, &settings.source).await?;
    let document = document(&facts, env!("CARGO_PKG_VERSION"));
    let text = match options.format {
        Form::Markdown => document.markdown(),
        Form::Html => document.html(),
    };
    match &options.out {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))?;
            eprintln!("wrote {}; {}", path.display(), document.summary);
        }
        None => output::print(Format::Text, &(), |_| text)?,
    }
    Ok(verdict::exit(&facts.shown))
}
