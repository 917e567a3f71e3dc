//! Rows 25 to 29: which rows there are, and what stands in them.

use anyhow::Result;

use super::columns::compare;
use super::spec::{TABLES, Table};
use super::{Bench, Difference};

pub async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let mut found = permissions(bench).await?;
    for table in TABLES.iter().filter(|t| t.shadow.is_some()) {
        if table.deferred() && !bench.options.include_deferred {
            continue;
        }
        found.extend(rows(bench, table).await?);
        for column in table.columns {
            found.extend(compare(bench, table, column).await?);
        }
    }
    Ok(found)
}

/// Rows that are missing and rows that are too many.
async fn rows(bench: &mut Bench<'_>, table: &Table) -> Result<Vec<Difference>> {
    let Some(shadow) = table.shadow else { return Ok(Vec::new()) };
    let missing = format!(
        "SELECT CAST(x.id AS CHAR), 'a row', NULL FROM x_{0} x LEFT JOIN {1}_id_map k ON k.legacy_id = x.id \
         LEFT JOIN {0} t ON t.{2} = k.uuid_binary WHERE {3} AND t.{2} IS NULL",
        table.name, shadow.entity, shadow.key, shadow.present
    );
    let extra = format!(
        "SELECT COALESCE(CAST(k.legacy_id AS CHAR), HEX(t.{2})), NULL, 'a row' FROM {0} t \
         LEFT JOIN {1}_id_map k ON k.uuid_binary = t.{2} LEFT JOIN x_{0} x ON x.id = k.legacy_id \
         WHERE x.id IS NULL OR NOT ({3})",
        table.name, shadow.entity, shadow.key, shadow.present
    );
    let mut found = bench.differences(shadow.row, table.name, None, &missing).await?;
    found.extend(bench.differences(shadow.row, table.name, None, &extra).await?);
    Ok(found)
}

/// Row 25: the permissions of each role, letter by letter.
async fn permissions(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let same = "t.role_id = x.role_id AND CAST(t.permission AS BINARY) = CAST(x.permission AS BINARY)";
    let missing = format!(
        "SELECT CAST(x.role_id AS CHAR), x.permission, NULL FROM x_role_permissions_text x \
         LEFT JOIN role_permissions_text t ON {same} WHERE t.role_id IS NULL"
    );
    let extra = format!(
        "SELECT CAST(t.role_id AS CHAR), NULL, t.permission FROM role_permissions_text t \
         LEFT JOIN x_role_permissions_text x ON {same} WHERE x.role_id IS NULL"
    );
    let mut found = bench.differences("25", "role_permissions_text", Some("permission"), &missing).await?;
    found.extend(bench.differences("25", "role_permissions_text", Some("permission"), &extra).await?);
    Ok(found)
}
