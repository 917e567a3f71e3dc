//! Row 21: the names are put in order and made into an array here, and compared as JSON.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::{Bench, Difference};
use crate::connect::said;

pub async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let grants =
        "SELECT CAST(f.flag_id AS CHAR), r.name FROM feature_flag_roles f JOIN roles r ON r.id = f.role_id";
    for row in bench.db.rows(grants).await.map_err(said)? {
        let flag = row.text(0)?.unwrap_or_default().to_string();
        names.entry(flag).or_default().push(row.text(1)?.unwrap_or_default().to_string());
    }
    let mut found = Vec::new();
    for row in
        bench.db.rows("SELECT CAST(id AS CHAR), required_roles FROM feature_flags").await.map_err(said)?
    {
        let key = row.text(0)?.unwrap_or_default().to_string();
        let mut expected = names.remove(&key).unwrap_or_default();
        // UTF-8 bytes, which is how Rust orders text.
        expected.sort();
        let actual = row.text(1)?.map(str::to_string);
        let parsed: Option<Value> = actual.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let expected = Value::from(expected);
        if parsed.as_ref() != Some(&expected) {
            found.push(Difference {
                row: "21",
                table: "feature_flags".into(),
                key,
                column: Some("required_roles".into()),
                expected: Some(expected.to_string()),
                actual,
            });
        }
    }
    Ok(found)
}
