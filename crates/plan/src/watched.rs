//! What the reader has to know of each source table.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Column};
use crate::checked::{Entity, Policy, RouteBy, Target, TargetKind, Watched};
use crate::resolve::Reads;

/// Deferred targets count: whether they run is decided after the checks. The keys of entities are read whether or not a
/// target does.
pub fn watched(
    targets: &[(Target, Reads)],
    entities: &[Entity],
    catalog: &Catalog,
) -> BTreeMap<String, Watched> {
    let mut read = Reads::new();
    let mut published = Reads::new();
    let mut fill = Reads::new();
    for entity in entities {
        read.entry(entity.table.clone()).or_default();
    }
    for (target, reads) in targets {
        for (table, columns) in reads {
            read.entry(table.clone()).or_default().extend(columns.iter().cloned());
        }
        for route in &target.routes {
            let columns: Vec<&Column> = match &route.by {
                RouteBy::Columns(columns) => columns.iter().map(|c| &c.column).collect(),
                RouteBy::Lookup { uses, .. } => uses.iter().collect(),
                RouteBy::ByVerifier => vec![],
            };
            let conditions = route.when.iter().map(|w| &w.column);
            let names = columns.into_iter().chain(conditions).map(|c| c.name.clone());
            published.entry(route.from.clone()).or_default().extend(names);
        }
        if target.kind == TargetKind::Parallel {
            let filled =
                target.columns.iter().filter(|c| c.policy == Policy::Fill).map(|c| c.column.name.clone());
            fill.entry(target.table.clone()).or_default().extend(filled);
        }
    }
    let names: BTreeSet<&String> = read.keys().chain(published.keys()).collect();
    let none = BTreeSet::new();
    names
        .into_iter()
        .filter_map(|name| {
            let table = catalog.tables.get(name)?;
            let key: Vec<Column> =
                table.primary_key.iter().filter_map(|k| table.column(k)).cloned().collect();
            let is_key = |c: &Column| table.primary_key.contains(&c.name);
            let sent = published.get(name).unwrap_or(&none);
            let read = read.get(name).unwrap_or(&none);
            let others = table.columns.iter().filter(|c| sent.contains(&c.name) && !is_key(c));
            let watched = Watched {
                published: key.iter().chain(others).cloned().collect(),
                read: table
                    .columns
                    .iter()
                    .filter(|c| is_key(c) || read.contains(&c.name) || sent.contains(&c.name))
                    .map(|c| c.name.clone())
                    .collect(),
                fill: fill.get(name).unwrap_or(&none).iter().cloned().collect(),
                key,
                image: None,
            };
            Some((name.clone(), watched))
        })
        .collect()
}
