//! From a folder of YAML files to a [`RawPlan`], within budgets and with all errors at once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::place::Located;
use crate::problem::{Problem, Problems, did_you_mean};
use crate::raw::{Entries, Settings, Target};

/// A plan's file may have this many bytes.
const MAX_FILE: u64 = 1 << 20;
/// A plan may have this many files.
const MAX_FILES: usize = 1_000;
/// The file with what all targets share.
const SETTINGS: &str = "plan.yaml";

/// A plan whose files have the right shape. Nothing in it was compared with a database yet.
#[derive(Clone, Debug)]
pub struct RawPlan {
    pub settings: Settings,
    /// With their file names, in the order of these.
    pub targets: Vec<(String, Target)>,
    /// The files' texts, by name.
    pub sources: BTreeMap<String, String>,
}

/// Reads all `*.yaml` files of a folder.
pub fn load(folder: &Path) -> Result<RawPlan, Problems> {
    let mut problems = Vec::new();
    let mut sources = BTreeMap::new();
    for path in yaml_files(folder).map_err(|p| Problems::new(vec![p], BTreeMap::new()))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read(&path) {
            Ok(text) => {
                sources.insert(name, text);
            }
            Err(message) => problems.push(whole_file(&name, message)),
        }
    }
    match parse(sources) {
        Ok(plan) if plan.targets.is_empty() && problems.is_empty() => {
            let none = whole_file(&folder.display().to_string(), "the plan has no target".into());
            let help = Some("one file per target beside plan.yaml; `crossfade plan init` drafts them".into());
            Err(Problems::new(vec![Problem { help, ..none }], plan.sources))
        }
        Ok(plan) if problems.is_empty() => Ok(plan),
        Ok(plan) => Err(Problems::new(problems, plan.sources)),
        Err(mut more) => {
            more.list.append(&mut problems);
            more.list.sort();
            Err(more)
        }
    }
}

/// Parses the texts of a plan's files, by name.
pub fn parse(sources: BTreeMap<String, String>) -> Result<RawPlan, Problems> {
    let mut problems = Vec::new();
    let mut settings = None;
    let mut targets = Vec::new();
    for (name, text) in &sources {
        if name == SETTINGS {
            settings = yaml::<Settings>(name, text).map_err(|p| problems.push(p)).ok();
        } else {
            match yaml::<Target>(name, text) {
                Ok(target) => targets.push((name.clone(), target)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !sources.contains_key(SETTINGS) {
        problems.push(whole_file(SETTINGS, "the plan has no plan.yaml; the least is `version: 1`".into()));
    }
    match settings {
        Some(settings) if problems.is_empty() => Ok(RawPlan { settings, targets, sources }),
        _ => Err(Problems::new(problems, sources)),
    }
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |e: std::io::Error| Problem {
        help: Some("name the plan's folder: --plan, CROSSFADE_PLAN, or `plan` in crossfade.yaml".into()),
        ..whole_file(&folder.display().to_string(), format!("can't be read: {e}"))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > MAX_FILES {
        return Err(whole_file(
            &folder.display().to_string(),
            format!("more than {MAX_FILES} files in one plan"),
        ));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|e| format!("can't be opened: {e}"))?;
    let mut text = String::new();
    let read =
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| format!("can't be read: {e}"))?;
    match read as u64 > MAX_FILE {
        true => Err(format!("has more than {MAX_FILE} bytes, which no plan needs; split it")),
        false => Ok(text),
    }
}

fn yaml<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Problem> {
    if text.len() as u64 > MAX_FILE {
        return Err(whole_file(
            name,
            format!("has more than {MAX_FILE} bytes, which no plan needs; split it"),
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_aliases: 100,
            max_anchors: 100,
            max_documents: 1,
            max_total_scalar_bytes: 1 << 20,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location();
        let (message, help) = explain(&error.without_snippet().to_string());
        Problem {
            file: name.into(),
            line: at.map_or(0, |l| l.line() as usize),
            column: at.map_or(0, |l| l.column() as usize),
            message,
            help,
        }
    })
}

/// The library's sentence without its own place, and a near name if a key is unknown.
fn explain(error: &str) -> (String, Option<String>) {
    let message = error.trim().trim_start_matches("error: ");
    let message =
        message.split_once(": ").filter(|(at, _)| at.starts_with("line ")).map_or(message, |(_, m)| m);
    let message = message.lines().next().unwrap_or(message);
    let message = message.rsplit_once(" at line ").map_or(message, |(m, _)| m);
    let message = message.split_once(", set DuplicateKeyPolicy").map_or(message, |(m, _)| m);
    let help = message.split_once(", expected one of ").and_then(|(unknown, known)| {
        let name = unknown.split('`').nth(1)?;
        did_you_mean(name, known.split(", ").map(|k| k.trim_matches('`')))
    });
    (message.to_string(), help)
}

fn whole_file(name: &str, message: String) -> Problem {
    Problem { file: name.into(), line: 0, column: 0, message, help: None }
}

impl<T> Entries<T> {
    pub fn iter(&self) -> impl Iterator<Item = (&Located<String>, &Located<T>)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
