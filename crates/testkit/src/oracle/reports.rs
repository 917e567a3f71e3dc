//! The open exceptions: each reason has its report, and each report its reason.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context, Result};

use super::maps::fold;
use super::spec::{Column, Kind, TABLES, Table};
use super::{Bench, Difference};
use crate::connect::said;

/// What a report must say; `None`: it may say anything.
#[derive(Clone, Debug)]
struct Reason {
    column: Option<Option<String>>,
    missing: Option<Option<(String, String)>>,
}

/// Reasons of which at least one must be reported, and all may be.
#[derive(Clone, Debug)]
struct Claim {
    row: &'static str,
    any_of: Vec<Reason>,
}

struct Report {
    column: Option<String>,
    missing: Option<(String, String)>,
    why: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "report {:?} on {:?}, missing {:?}", self.why, self.column, self.missing)
    }
}

#[derive(Default)]
struct Scope {
    claims: Vec<Claim>,
    reports: Vec<Report>,
}

type Scopes = HashMap<(String, String), Scope>;

pub async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let mut scopes = Scopes::new();
    for table in TABLES {
        if table.deferred() && !bench.options.include_deferred {
            continue;
        }
        for column in table.columns {
            references(bench, table, column, &mut scopes).await?;
            misfits(bench, table, column, &mut scopes).await?;
        }
    }
    flag_roles(bench, &mut scopes).await?;
    grants(bench, &mut scopes).await?;
    if bench.options.include_deferred {
        whole_rows(bench, &mut scopes).await?;
    }
    read(bench, &mut scopes).await.context("read the open exceptions")?;
    Ok(scopes.iter().flat_map(|((table, key), scope)| compare(table, key, scope)).collect())
}

impl Reason {
    fn covers(&self, report: &Report) -> bool {
        self.column.as_ref().is_none_or(|column| *column == report.column)
            && self.missing.as_ref().is_none_or(|missing| *missing == report.missing)
    }

    fn missing(column: &str, entity: &str, id: &str) -> Reason {
        Reason { column: Some(Some(column.into())), missing: Some(Some((entity.into(), id.into()))) }
    }
}

fn compare(table: &str, key: &str, scope: &Scope) -> Vec<Difference> {
    let mut found = Vec::new();
    for claim in &scope.claims {
        if !claim.any_of.iter().any(|reason| scope.reports.iter().any(|report| reason.covers(report))) {
            let expected = format!("a report like {:?}", claim.any_of);
            found.push(difference(claim.row, table, key, Some(expected), None));
        }
    }
    for report in &scope.reports {
        let known = scope.claims.iter().flat_map(|claim| &claim.any_of).any(|reason| reason.covers(report));
        if !known {
            found.push(difference(
                row_of(table, report.column.as_deref()),
                table,
                key,
                None,
                Some(report.to_string()),
            ));
        }
    }
    found
}

fn difference(
    row: &'static str,
    table: &str,
    key: &str,
    expected: Option<String>,
    actual: Option<String>,
) -> Difference {
    Difference { row, table: table.into(), key: key.into(), column: None, expected, actual }
}

/// The row of PHASE2 that a report of this table and column belongs to.
fn row_of(table: &str, column: Option<&str>) -> &'static str {
    let known = TABLES.iter().find(|t| t.name == table);
    let by_column = known.and_then(|t| t.columns.iter().find(|c| Some(c.name) == column)).map(|c| c.row);
    by_column.or_else(|| known.and_then(|t| t.shadow).map(|s| s.row)).unwrap_or(match (table, column) {
        ("role_permissions_text", _) => "25",
        ("feature_flags", Some("required_roles")) => "21",
        ("users", Some("active")) => "1",
        ("assignments", Some("notes")) => "10",
        _ => "-",
    })
}

/// A reference whose row is gone.
async fn references(
    bench: &mut Bench<'_>,
    table: &Table,
    column: &Column,
    scopes: &mut Scopes,
) -> Result<()> {
    let Some((fact, parent)) = column.refers() else { return Ok(()) };
    let sql = format!(
        "SELECT CAST(x.id AS CHAR), CAST(x.{fact} AS CHAR) FROM x_{0} x LEFT JOIN {parent} p ON p.id = x.{fact} \
         WHERE {1} AND x.{fact} IS NOT NULL AND p.id IS NULL",
        table.name,
        table.present()
    );
    for (key, id) in pairs(bench, &sql).await? {
        claim(scopes, table.name, &key, column.row, vec![Reason::missing(column.name, parent, &id)]);
    }
    if matches!(column.kind, Kind::Found(_)) {
        let sql = format!("SELECT CAST(x.id AS CHAR), '' FROM x_{} x WHERE x.{fact} IS NULL", table.name);
        for (key, _) in pairs(bench, &sql).await? {
            let none = Reason { column: Some(Some(column.name.into())), missing: None };
            claim(scopes, table.name, &key, column.row, vec![none]);
        }
    }
    Ok(())
}

/// A value that does not fit its column (ruling 4).
async fn misfits(bench: &mut Bench<'_>, table: &Table, column: &Column, scopes: &mut Scopes) -> Result<()> {
    let sql = format!("SELECT CAST(x.id AS CHAR), '' FROM x_{} x WHERE NOT ({})", table.name, column.fits());
    for (key, _) in pairs(bench, &sql).await? {
        let reason = Reason { column: Some(Some(column.name.into())), missing: Some(None) };
        claim(scopes, table.name, &key, column.row, vec![reason]);
    }
    Ok(())
}

/// Row 21: each role that is gone.
async fn flag_roles(bench: &mut Bench<'_>, scopes: &mut Scopes) -> Result<()> {
    let sql = "SELECT CAST(f.flag_id AS CHAR), CAST(f.role_id AS CHAR) FROM feature_flag_roles f \
               JOIN feature_flags g ON g.id = f.flag_id LEFT JOIN roles r ON r.id = f.role_id WHERE r.id IS NULL";
    for (flag, role) in pairs(bench, sql).await? {
        claim(scopes, "feature_flags", &flag, "21", vec![Reason::missing("required_roles", "roles", &role)]);
    }
    Ok(())
}

/// Row 25: each grant whose role or permission is gone; if both are, one report may stand for the other.
async fn grants(bench: &mut Bench<'_>, scopes: &mut Scopes) -> Result<()> {
    let sql = "SELECT CAST(g.role_id AS CHAR), CONCAT_WS('/', g.permission_id, r.id IS NULL, p.id IS NULL) FROM role_permissions g \
               LEFT JOIN roles r ON r.id = g.role_id LEFT JOIN permissions p ON p.id = g.permission_id \
               WHERE r.id IS NULL OR p.id IS NULL";
    for (role, rest) in pairs(bench, sql).await? {
        let parts: Vec<&str> = rest.split('/').collect();
        let missing =
            |entity: &str, id: &str| Reason { column: None, missing: Some(Some((entity.into(), id.into()))) };
        let mut any_of = Vec::new();
        if parts.get(1) == Some(&"1") {
            any_of.push(missing("roles", &role));
        }
        if parts.get(2) == Some(&"1") {
            any_of.push(missing("permissions", parts[0]));
        }
        claim(scopes, "role_permissions_text", &role, "25", any_of);
    }
    Ok(())
}

/// Rows 27 and 28: no row, and an exception that says why.
async fn whole_rows(bench: &mut Bench<'_>, scopes: &mut Scopes) -> Result<()> {
    let steps = "SELECT CAST(x.id AS CHAR), '' FROM x_slas_new x \
                 WHERE x.ambiguous OR x.seconds NOT BETWEEN -2147483648 AND 2147483647";
    let delegations = "SELECT CAST(x.id AS CHAR), '' FROM x_delegations_new x WHERE x.assignment_of IS NULL";
    for (row, table, sql) in [("27", "slas_new", steps), ("28", "delegations_new", delegations)] {
        for (key, _) in pairs(bench, sql).await? {
            claim(scopes, table, &key, row, vec![Reason { column: None, missing: None }]);
        }
    }
    Ok(())
}

async fn read(bench: &mut Bench<'_>, scopes: &mut Scopes) -> Result<()> {
    let sql = format!(
        "SELECT target_table, scope_key, column_name, missing_entity, missing_id, reason FROM {}.open_exceptions",
        bench.control
    );
    for row in bench.db.rows(&sql).await.map_err(said)? {
        let text = |i| Ok::<_, anyhow::Error>(row.text(i)?.map(str::to_string));
        let (table, key) = (text(0)?.unwrap_or_default(), text(1)?.unwrap_or_default());
        if !bench.options.include_deferred && TABLES.iter().any(|t| t.name == table && t.deferred()) {
            continue;
        }
        let missing = text(3)?.zip(text(4)?);
        let report = Report { column: text(2)?, missing, why: text(5)?.unwrap_or_default() };
        let key = scope_key(&table, &key);
        scopes.entry((table, key)).or_default().reports.push(report);
    }
    Ok(())
}

/// The key under which reports and reasons meet.
fn scope_key(table: &str, key: &str) -> String {
    // A grant may be named by its role or by both its ids.
    if table == "role_permissions_text"
        && let Ok(serde_json::Value::Array(parts)) = serde_json::from_str(key)
    {
        let role = parts.first().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_string));
        return role.unwrap_or_default();
    }
    fold(table, key)
}

fn claim(scopes: &mut Scopes, table: &str, key: &str, row: &'static str, any_of: Vec<Reason>) {
    let key = (table.to_string(), scope_key(table, key));
    scopes.entry(key).or_default().claims.push(Claim { row, any_of });
}

async fn pairs(bench: &mut Bench<'_>, sql: &str) -> Result<Vec<(String, String)>> {
    let rows = bench.db.rows(sql).await.map_err(said).with_context(|| sql.to_string())?;
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    Ok(rows.iter().map(|row| (text(row.bytes(0)), text(row.bytes(1)))).collect())
}
