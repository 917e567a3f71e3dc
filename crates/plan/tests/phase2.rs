//! The shipped plan against the schema it was written for, on a real server.

mod common;

use std::path::Path;

use plan::Parameters;
use plan::checked::Checked;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans/phase2")
}

async fn checked(schema: &str) -> (mysql::Session, Checked) {
    let (session, catalog) = common::catalog(schema, common::LEGACY).await;
    let raw = plan::load(&folder()).unwrap_or_else(|p| panic!("{p}\n{}", p.render()));
    let checked =
        plan::check(&raw, &catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{p}\n{}", p.render()));
    (session, checked)
}

#[tokio::test]
async fn the_shipped_plan_is_sound() {
    let (_, plan) = checked("plan_phase2").await;
    for target in &plan.targets {
        println!("== {} {}", target.table, target.rows);
        for s in &target.scope {
            println!("  scope {} <- {} ({:?}, {:?})", s.target_column, s.source, s.fold, s.through);
        }
        for c in &target.columns {
            println!(
                "  {}: {} {:?}",
                c.column.name,
                c.value,
                c.reference.as_ref().map(|r| (&r.parent, &r.map))
            );
        }
        for r in &target.routes {
            match &r.by {
                plan::checked::RouteBy::Lookup { query, .. } => println!("  <- {} {query}", r.from),
                by => println!("  <- {} {by:?}", r.from),
            }
        }
    }
    for (name, w) in &plan.watched {
        let published: Vec<&str> = w.published.iter().map(|c| c.name.as_str()).collect();
        println!("{name}: publishes {published:?}, reads {:?}, fills {:?}", w.read, w.fill);
    }
}
