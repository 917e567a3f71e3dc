//! Just enough of JSON Schema to hold the outputs to their contract. A keyword that is not known here is an error.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Holds a value against `tests/schemas/<name>.json`.
pub fn check(name: &str, value: &Value) -> Result<()> {
    let path = format!("{}/../tests/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let schema: Value = serde_json::from_str(&text).with_context(|| path.clone())?;
    fits(&schema, &schema, value, "$").with_context(|| format!("{name}.json refuses {value:#}"))
}

fn fits(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<()> {
    let rules = schema.as_object().context("a schema is an object")?;
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "$ref" => {
                let pointer = rule.as_str().and_then(|r| r.strip_prefix('#')).context("$ref is local")?;
                fits(root, root.pointer(pointer).context("$ref leads nowhere")?, value, at)?;
            }
            "type" => {
                let kinds = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                ensure!(kinds.iter().any(|k| is(k, value)), "{at}: {value} is not {rule}");
            }
            "const" => ensure!(rule == value, "{at}: {value} is not {rule}"),
            "enum" => {
                ensure!(
                    rule.as_array().is_some_and(|all| all.contains(value)),
                    "{at}: {value} is none of {rule}"
                );
            }
            "minimum" => ensure!(
                value.as_f64().is_none_or(|v| Some(v) >= rule.as_f64()),
                "{at}: {value} is less than {rule}"
            ),
            "minItems" => {
                let length = value.as_array().map_or(0, Vec::len) as u64;
                ensure!(length >= rule.as_u64().unwrap_or(0), "{at}: only {length} items");
            }
            "required" => {
                for name in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    ensure!(value.get(name).is_some(), "{at}: `{name}` is missing");
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().context("properties are an object")? {
                    if let Some(value) = value.get(name) {
                        fits(root, rule, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                let mut names = value.as_object().into_iter().flat_map(|o| o.keys());
                let strange = names.find(|n| !known.is_some_and(|k| k.contains_key(*n)));
                ensure!(
                    *rule != Value::Bool(false) || strange.is_none(),
                    "{at}: {strange:?} is not in the contract"
                );
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(root, rule, item, &format!("{at}[{i}]"))?;
                }
            }
            other => bail!("{at}: this checker does not know `{other}`"),
        }
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
