//! The shipped plan against the schema it was written for, on a real server.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use change::{Cell, Key};
use plan::Parameters;
use plan::catalog::Flavour;
use plan::checked::{Checked, RouteBy, Target};
use plan::sql::{Range, Scopes, TargetSql};

async fn checked(schema: &str) -> (mysql::Session, Checked) {
    let (session, catalog) = common::catalog(schema, common::LEGACY).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans/phase2");
    let raw = plan::load(&folder).unwrap_or_else(|p| panic!("{}", p.render()));
    let checked =
        plan::check(&raw, &catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{}", p.render()));
    (session, checked)
}

#[tokio::test]
async fn the_shipped_plan_has_every_table_of_the_strategy() {
    let (_, plan) = checked("plan_phase2").await;
    let columns: usize =
        plan.targets.iter().filter(|t| t.rows.from.len() == 1).map(|t| t.columns.len()).sum();
    assert_eq!((plan.targets.len(), plan.entities.len()), (15, 10));
    assert!(columns > 50, "{columns}");
    let deferred: Vec<&str> =
        plan.targets.iter().filter(|t| t.defer.is_some()).map(|t| t.table.as_str()).collect();
    assert_eq!(deferred, ["delegations_new", "slas_new"]);
    assert_eq!(plan.required_rows[0].table, "users");
}

/// No cell but keys and what routes need leaves the database.
#[tokio::test]
async fn only_keys_and_route_columns_are_published() {
    let (_, plan) = checked("plan_phase2_published").await;
    let published: Vec<String> = plan
        .watched
        .iter()
        .flat_map(|(table, w)| {
            w.published.iter().skip(w.key.len()).map(move |c| format!("{table}.{}", c.name))
        })
        .collect();
    assert_eq!(
        published,
        [
            "assignments.request_id",
            "assignments.assigned_to_user_id",
            "audit_logs.entity_type",
            "audit_logs.entity_id",
            "audit_logs.action",
            "delays.request_id",
            "legal_holds.audit_log_id",
            "slas.process_step_id",
        ]
    );
    assert_eq!(plan.watched["users"].fill, ["active"]);
    assert_eq!(plan.watched["assignments"].fill, ["notes"]);
}

/// Every SELECT and every look-up of the plan reads by an index, as the server itself says.
#[tokio::test]
async fn nothing_is_scanned() {
    let (mut session, plan) = checked("plan_phase2_explain").await;
    if plan.flavour == Flavour::MySql {
        session.execute(SEQUENCES).await.unwrap();
    }
    session.execute(include_str!("legacy_rows.sql")).await.unwrap();
    mysql::ensure_maps(&mut session, &plan).await.unwrap();
    let mut scans = Vec::new();
    for target in &plan.targets {
        let sql = TargetSql::new(&plan, target, "crossfade");
        let keys = keys(&mut session, &plan, target).await;
        let range = Range { low: None, high: keys.get(1).cloned() };
        for scopes in [Scopes::Keys(&keys), Scopes::Range(&range)] {
            let wanted = sql.wanted(scopes).sql;
            scans.extend(scanned(&mut session, &target.table, &wanted).await);
            session.rows(&wanted).await.unwrap_or_else(|e| panic!("{}: {e}\n{wanted}", target.table));
        }
        for form in target.reads.iter().flat_map(|r| [&r.legacy, &r.new]) {
            let read = sql.read(form, &keys[0]);
            scans.extend(scanned(&mut session, &target.table, &read).await);
            session.rows(&read).await.unwrap_or_else(|e| panic!("{}: {e}\n{read}", target.table));
        }
        for route in &target.routes {
            if let RouteBy::Lookup { query, uses } = &route.by {
                let image =
                    uses.iter().map(|c| if c.is_integer() { Cell::UInt(7) } else { Cell::Text("7".into()) });
                let lookup = plan::sql::lookup(query, uses, &[image.collect()]);
                scans.extend(
                    scanned(&mut session, &format!("{} <- {}", target.table, route.from), &lookup).await,
                );
                session.rows(&lookup).await.unwrap_or_else(|e| panic!("{}: {e}\n{lookup}", target.table));
            }
        }
    }
    assert!(scans.is_empty(), "{}", scans.join("\n"));
}

/// What MariaDB has built in, and EXPLAIN in the form that both know.
const SEQUENCES: &str = "
SET SESSION cte_max_recursion_depth = 5000, explain_format = 'TRADITIONAL';
CREATE TABLE seq_1_to_1000 (seq INT PRIMARY KEY);
INSERT INTO seq_1_to_1000 WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s;
CREATE VIEW seq_1_to_300 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 300;
CREATE VIEW seq_1_to_200 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 200;
CREATE VIEW seq_1_to_150 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 150;
CREATE VIEW seq_1_to_100 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 100;
CREATE VIEW seq_1_to_50 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 50;
CREATE VIEW seq_1_to_40 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 40;
CREATE VIEW seq_1_to_5 AS SELECT seq FROM seq_1_to_1000 WHERE seq <= 5;
";

/// Some scopes of a target.
async fn keys(session: &mut mysql::Session, plan: &Checked, target: &Target) -> Vec<Key> {
    let scope = &target.scope[0];
    let (schema, column, table) = (&plan.schema, &scope.source_column.name, &scope.source_table);
    let sql = format!("SELECT DISTINCT `{column}` FROM `{schema}`.`{table}` ORDER BY 1 LIMIT 5");
    let rows = session.rows(&sql).await.unwrap();
    rows.iter().map(|row| Key(vec![row.cell(0, &scope.source_column).unwrap()])).collect()
}

/// Tables that a query reads without an index, or through all of one.
async fn scanned(session: &mut mysql::Session, what: &str, sql: &str) -> Vec<String> {
    let mut scans = Vec::new();
    for row in session.rows(&format!("EXPLAIN {sql}")).await.unwrap_or_else(|e| panic!("{what}: {e}\n{sql}"))
    {
        let at = |name: &str| row.place(name).unwrap();
        let (table, access) = (row.text(at("table")).unwrap(), row.text(at("type")).unwrap());
        let (Some(table), Some(access)) = (table, access) else { continue };
        let ours = !table.starts_with('<') && table != "changed";
        if ours && matches!(access, "ALL" | "index") {
            scans.push(format!("{what}: `{table}` by {access}"));
        }
    }
    scans
}
