//! The files of a plan for the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Back, Way};
use crate::catalog::{Catalog, Table};
use crate::checked::{Target, TargetKind};
use crate::init::{Files, HEAD, file_name, ident, quoted, reference, scalar};

pub(super) fn files(backs: &[&Back<'_>], catalog: &Catalog, control: &str) -> Files {
    let targets: Vec<String> = backs.iter().map(|b| quoted(&b.target.table)).collect();
    let mut text = format!(
        "{HEAD}# The way back. Made by `crossfade plan reverse`: read every line.\nversion: 1\n\n\
         # These targets must be in mode `off` while this plan runs.\n"
    );
    let _ = writeln!(
        text,
        "reverse_of: {{ control_schema: {}, targets: [{}] }}",
        quoted(control),
        targets.join(", ")
    );
    let mut files = vec![("plan.yaml".to_string(), text)];
    for back in backs {
        files.push((format!("{}_back.yaml", file_name(&back.table)), target(back, catalog)));
    }
    files.sort();
    files
}

fn target(back: &Back<'_>, catalog: &Catalog) -> String {
    let mut text = format!("{HEAD}# From `{}`, back.\n", one_line(&back.target.table));
    for (name, way) in &back.columns {
        if let Some(reason) = way.reason() {
            let _ = writeln!(text, "# Left out: {}: {}", one_line(name), one_line(&reason));
        }
    }
    let kind = if back.target.kind == TargetKind::Shadow { "shadow" } else { "table" };
    let _ = writeln!(text, "{kind}: {}", scalar(&back.table));
    let _ = writeln!(text, "risk: {}", format!("{:?}", back.target.risk).to_lowercase());
    let table = catalog.tables.get(&back.table);
    if table.is_some_and(|t| !t.triggers.is_empty()) {
        text += "triggers: allowed\n";
    }
    match back.target.kind {
        TargetKind::Shadow => text += &copy(back),
        TargetKind::Parallel => text += &columns(back),
    }
    text + &routes(back, table)
}

fn copy(back: &Back<'_>) -> String {
    let mut text = format!("from: {}\nscope:\n", scalar(&back.target.table));
    let mut carried = BTreeSet::new();
    for scope in &back.target.scope {
        let value = reference(&back.target.table, &scope.target_column);
        let _ = writeln!(text, "  {}: {}", scalar(&scope.source_column.name), scalar(&value));
        carried.insert(scope.source_column.name.as_str());
    }
    let rest: Vec<_> = back.inverses().filter(|i| !carried.contains(i.legacy.name.as_str())).collect();
    if !rest.is_empty() {
        text += "columns:\n";
    }
    for inverse in rest {
        let _ = writeln!(text, "  {}: {}", scalar(&inverse.legacy.name), scalar(&inverse.value));
    }
    text
}

fn columns(back: &Back<'_>) -> String {
    let mut text = String::from("columns:\n");
    for (name, way) in &back.columns {
        let Way::Back(inverse) = way else { continue };
        let _ = writeln!(text, "  # From `{}`.", one_line(name));
        let _ = writeln!(text, "  {}:\n    value: {}", scalar(&inverse.legacy.name), scalar(&inverse.value));
        for (key, sql) in [("keep_if", &inverse.keep_if), ("fits_if", &inverse.fits_if)] {
            if let Some(sql) = sql {
                let _ = writeln!(text, "    {key}: {}", scalar(sql));
            }
        }
        if inverse.required {
            text += "    required: true\n";
        }
    }
    text
}

/// How changes of other tables find their rows: by an index on the target's column, or not at all.
fn routes(back: &Back<'_>, table: Option<&Table>) -> String {
    let mut routes: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (from, by) in back.inverses().flat_map(|i| &i.routes) {
        let indexed = by.as_ref().filter(|by| table.is_some_and(|t| t.is_indexed_by(&[by])));
        let route = indexed.map_or("by_verifier".into(), |by| look_up(back.target, by));
        routes.entry(from).or_default().insert(route);
    }
    let mut text = String::new();
    for (from, ways) in routes {
        if text.is_empty() {
            text += "refresh:\n";
        }
        let _ = writeln!(text, "  {}:", scalar(from));
        for way in ways {
            let _ = writeln!(text, "    - {way}");
        }
    }
    text
}

/// The rows that carry the UUID of a map's changed entry.
fn look_up(target: &Target, column: &str) -> String {
    let key: Vec<String> = target.primary_key.iter().map(|k| reference("t", &k.name)).collect();
    let sql = format!(
        "SELECT {} FROM {} t WHERE {} = changed.uuid_binary",
        key.join(", "),
        ident(&target.table),
        reference("t", column)
    );
    format!("lookup: {}", quoted(&sql))
}

/// A comment has one line.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
