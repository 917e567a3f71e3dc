//! The digest of a plan: changes whenever its meaning does, and not when a comment or a file's layout does.

use std::fmt::Write;

use crate::checked::{Checked, RouteBy, Target};

pub fn digest(plan: &Checked) -> String {
    let mut text = String::new();
    write(plan, &mut text).expect("a String takes everything");
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

fn write(plan: &Checked, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{} {:?}", plan.schema, plan.flavour)?;
    for entity in &plan.entities {
        writeln!(out, "entity {} {} {:?} {:?}", entity.table, entity.map, entity.kind, entity.key)?;
    }
    // Only the word: a column that a table gains is no other plan.
    if plan.publishes_rows() {
        writeln!(out, "publish rows")?;
    }
    if let Some(of) = &plan.reverse_of {
        writeln!(out, "reverse of {} {:?}", of.control_schema, of.targets)?;
    }
    plan.targets.iter().try_for_each(|target| write_target(target, out))
}

fn write_target(target: &Target, out: &mut String) -> std::fmt::Result {
    writeln!(out, "target {} {:?} {:?} {:?}", target.table, target.kind, target.risk, target.defer)?;
    writeln!(out, "{:?} {:?} {:?} {:?}", target.sync, target.expect, target.keep, target.primary_key)?;
    writeln!(out, "{}", target.rows)?;
    for s in &target.scope {
        writeln!(out, "scope {} {} {:?} {:?}", s.target_column, s.source, s.fold, s.through)?;
    }
    for c in &target.columns {
        let fallback = c.fallback.as_ref().map(ToString::to_string);
        writeln!(out, "column {:?} {} {fallback:?} {:?}", c.column, c.value, c.policy)?;
        writeln!(out, "{} {} {} {}", c.expect_one, c.required, c.same_type, c.in_primary_key)?;
        if let Some(fits) = &c.fits_if {
            writeln!(out, "fits if {fits}")?;
        }
        if let Some(r) = &c.reference {
            let id = r.id.as_ref().map(ToString::to_string);
            writeln!(out, "references {} {:?} {:?} {id:?}", r.parent, r.parent_key, r.map)?;
        }
    }
    for l in &target.lists {
        writeln!(out, "list {l:?}")?;
    }
    for r in &target.reads {
        writeln!(out, "read {} {} as {}", r.name, r.legacy, r.new)?;
    }
    for r in &target.routes {
        let by = match &r.by {
            RouteBy::Columns(columns) => format!("{columns:?}"),
            RouteBy::Lookup { query, .. } => query.to_string(),
            RouteBy::ByVerifier => "by verifier".into(),
        };
        writeln!(out, "route {} {:?} {by}", r.from, r.when)?;
    }
    Ok(())
}
