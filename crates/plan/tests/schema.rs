//! The JSON Schema beside the plans is the one that the code makes, and every shipped plan names it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn plans() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans")
}

/// `CROSSFADE_UPDATE_SCHEMA=1` writes it anew.
#[test]
fn the_schema_is_current() {
    let path = plans().join("plan.schema.json");
    let current = format!("{:#}\n", plan::json_schema());
    if std::env::var_os("CROSSFADE_UPDATE_SCHEMA").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "plans/plan.schema.json is stale: run this test with CROSSFADE_UPDATE_SCHEMA=1"
    );
}

#[test]
fn every_shipped_file_names_the_schema() {
    for folder in fs::read_dir(plans()).unwrap().map(|f| f.unwrap().path()).filter(|f| f.is_dir()) {
        plan::load(&folder).unwrap_or_else(|p| panic!("{}", p.render()));
        for file in fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
            let text = fs::read_to_string(&file).unwrap();
            let modeline = "# yaml-language-server: $schema=../plan.schema.json\n";
            assert!(text.starts_with(modeline), "{} lacks the modeline", file.display());
        }
    }
}
