//! The plan as it is written: YAML in, nothing checked yet but its shape.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};

use crate::place::Located;

/// `plan.yaml`: what all targets share.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of this grammar: 1.
    pub version: Located<u32>,
    /// Values that a deployment sets; written `:name` in expressions.
    #[serde(default)]
    pub parameters: Entries<Parameter>,
    /// Named pieces of SQL; written as function calls in expressions.
    #[serde(default)]
    pub fragments: Entries<Fragment>,
    /// Tables whose rows get UUIDs.
    #[serde(default)]
    pub entities: Entries<Entity>,
    /// What is published of a change: `keys` and what routes need (the default), or whole `rows` too, for other consumers.
    pub publish: Option<Located<Publish>>,
    /// This plan writes what another deployment reads: which one, and the targets that it must leave alone meanwhile.
    pub reverse_of: Option<ReverseOf>,
}

/// The deployment whose way back this plan is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReverseOf {
    /// Its control schema.
    pub control_schema: String,
    /// Its targets that this plan reads. Their mode must be `off`.
    pub targets: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    Keys,
    Rows,
}

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The table that must have a row with this key.
    pub references: Option<Located<String>>,
    pub default: Option<Located<Sql>>,
}

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    #[serde(default)]
    pub arguments: Vec<Located<String>>,
    /// One expression over its arguments; a SELECT stands in parentheses.
    pub sql: Located<Sql>,
}

#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Name of the id map; `<entity>_id_map` unless it is set.
    pub map: Option<Located<String>>,
}

/// One target: a set of rows per scope.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Parallel columns: the legacy table that has them. Its primary key is the scope.
    pub table: Option<Located<String>>,
    /// A shadow table.
    pub shadow: Option<Located<String>>,
    /// Shadow: the target's columns that carry the scope, and the legacy columns they come from.
    #[serde(default)]
    pub scope: Entries<Short<Scope>>,
    /// Shadow: one SELECT; its aliases are the target's columns.
    pub rows: Option<Located<Sql>>,
    /// Shadow: one row per row of this table, instead of `rows`.
    pub from: Option<Located<String>>,
    /// The target's columns, each a value (an expression) or a map of settings. `"*": copy` copies every
    /// column of `from` that the target has under the same name.
    #[serde(default)]
    pub columns: Entries<Short<Column>>,
    /// Which scopes a change of another table marks.
    #[serde(default)]
    pub refresh: Entries<Routes>,
    /// References inside aggregates.
    #[serde(default)]
    pub lists: Vec<List>,
    /// Queries of the application in both forms: the verifier runs both on sampled scopes and compares.
    #[serde(default)]
    pub reads: Entries<Read>,
    /// How many rows a scope may have.
    pub expect: Option<Expect>,
    pub risk: Option<Risk>,
    /// Keeps the target out of the run and in the report.
    pub defer: Option<Defer>,
    pub sync: Option<Sync>,
    /// Batch: a cron expression, in UTC.
    pub schedule: Option<Located<String>>,
    /// `allowed`: triggers on the target table were looked at and do no harm when Crossfade writes.
    pub triggers: Option<Triggers>,
}

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// `table.column` or `alias.column` of the legacy side.
    pub value: Located<Sql>,
    /// The target carries the UUID from this entity's map instead of the legacy key.
    pub id_of: Option<Located<String>>,
}

#[derive(Clone, Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// An expression over the legacy schema. A shadow with `rows` has it there.
    pub value: Option<Located<Sql>>,
    /// The value is a key of this table: a missing row is reported and the column is NULL.
    pub references: Option<Located<String>>,
    /// As `references`, and the UUID from this entity's map is written.
    pub id_of: Option<Located<String>>,
    /// The key that must exist, if it is not the value itself.
    pub id: Option<Located<Sql>>,
    /// Taken where the value is NULL: a parameter such as `":system_admin"`.
    pub fallback: Option<Located<Sql>>,
    pub policy: Option<Policy>,
    /// `one`: a NULL value is reported.
    pub expect: Option<ExpectValue>,
    /// A value that is missing or does not fit: no row, and an exception.
    pub required: Option<Located<bool>>,
    /// While this holds the column keeps the value that it has. It may read the column itself. Parallel columns only.
    pub keep_if: Option<Located<Sql>>,
    /// Where this does not hold the value does not fit.
    pub fits_if: Option<Located<Sql>>,
    /// Routes that this column needs, as in the target's `refresh`.
    #[serde(default)]
    pub refresh: Entries<Routes>,
}

/// Routes from one table.
#[derive(Clone, Debug, Default)]
pub struct Routes(pub Vec<Located<Short<Route>>>);

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The column of the changed row that is the scope.
    pub value: Option<Located<String>>,
    /// The same for a scope of several columns.
    pub columns: Option<Vec<Located<String>>>,
    /// A SELECT of the scopes; `changed` is the changed row.
    pub lookup: Option<Located<Sql>>,
    /// Equality of columns of the changed row with constants.
    pub when: Option<Located<Sql>>,
}

/// Each row of `from` names a row of `references` that must exist.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The column that is reported; the whole row if it is left out.
    pub column: Option<Located<String>>,
    pub from: Located<String>,
    /// Columns of `from` that carry the scope.
    pub scope: Vec<Located<String>>,
    /// Column of `from` with the reference.
    pub id: Located<String>,
    pub references: Located<String>,
}

/// One query in both forms. The scope's columns are its parameters, written `:name`; their values are legacy keys.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// One SELECT, as the application reads now.
    pub legacy: Located<Sql>,
    /// One SELECT, as it will read; it may join the id maps.
    pub new: Located<Sql>,
}

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Rows in which this column is not NULL are counted.
    pub column: Located<String>,
    pub matches: Matches,
}

#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defer {
    pub reason: String,
    /// A date.
    pub review_by: Located<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matches {
    One,
    AtMostOne,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectValue {
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    Sync,
    Fill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    Stream,
    Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    Allowed,
}

/// SQL text. YAML's own numbers, booleans and null are taken for the SQL words they look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sql(pub String);

impl<'de> Deserialize<'de> for Sql {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Short::<Never>::deserialize(deserializer)? {
            Short::Text(text) => Ok(Sql(text)),
            Short::Full(never) => match never {},
        }
    }
}

impl JsonSchema for Sql {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Sql".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A map without entries can't be written: [`Sql`] takes scalars only.
#[derive(Clone, Debug)]
enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("an SQL text stands here, not a map"))
    }
}

/// A plain text, or the long form with settings.
#[derive(Clone, Debug)]
pub enum Short<T> {
    Text(String),
    Full(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Short<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a map")
            }

            fn visit_str<E>(self, v: &str) -> Result<Short<T>, E> {
                Ok(Short::Text(v.into()))
            }

            fn visit_bool<E>(self, v: bool) -> Result<Short<T>, E> {
                Ok(Short::Text(if v { "TRUE".into() } else { "FALSE".into() }))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Short<T>, E> {
                Ok(Short::Text(v.to_string()))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Short<T>, E> {
                Ok(Short::Text(v.to_string()))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Short<T>, E> {
                Ok(Short::Text(v.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Short<T>, E> {
                Ok(Short::Text("NULL".into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Short::Full)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Short<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Short{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [Sql::json_schema(generator), generator.subschema_for::<T>()] })
    }
}

impl<'de> Deserialize<'de> for Routes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Many;
        impl<'de> Visitor<'de> for Many {
            type Value = Routes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column, `by_verifier`, a map, or a list of these")
            }

            fn visit_str<E>(self, v: &str) -> Result<Routes, E> {
                Ok(Routes(vec![Located { value: Short::Text(v.into()), at: Default::default() }]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Routes, A::Error> {
                let route = Route::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Routes(vec![Located { value: Short::Full(route), at: Default::default() }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Routes, A::Error> {
                let mut routes = Vec::new();
                while let Some(route) = seq.next_element()? {
                    routes.push(route);
                }
                Ok(Routes(routes))
            }
        }
        deserializer.deserialize_any(Many)
    }
}

impl JsonSchema for Routes {
    fn schema_name() -> Cow<'static, str> {
        "Routes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = Short::<Route>::json_schema(generator);
        json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
    }
}

/// A map in the order of the file, whose keys know their places.
#[derive(Clone, Debug)]
pub struct Entries<T>(pub Vec<(Located<String>, Located<T>)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Keep<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Keep(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

/// The JSON Schema (draft 7) of the plan's files, for editors.
pub fn json_schema() -> serde_json::Value {
    let mut generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let files = [generator.subschema_for::<Settings>(), generator.subschema_for::<Target>()];
    serde_json::json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A file of a Crossfade plan",
        "anyOf": files,
        "definitions": generator.take_definitions(true),
    })
}
