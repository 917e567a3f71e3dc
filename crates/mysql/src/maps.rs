//! The id maps: `<entity>_id_map` in the legacy schema.

use plan::checked::{Checked, Entity};
use plan::quote::ident;

use crate::catalog;
use crate::error::DbError;
use crate::session::Session;

#[derive(Debug, thiserror::Error)]
pub enum MapError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(
        "id maps that don't fit their entities:\n{}\nEntries are for ever, so nothing was changed. Rename such a table \
         (RENAME TABLE) if it is not an id map, or mend its definition", .0.join("\n")
    )]
    Shape(Vec<String>),
}

/// Creates the maps that are missing, and looks at the shape of those that stand.
pub async fn ensure_maps(session: &mut Session, checked: &Checked) -> Result<(), MapError> {
    for entity in &checked.entities {
        let sql = create(&checked.schema, entity);
        session.execute(&sql).await.map_err(|e| e.doing(format!("create the id map `{}`", entity.map)))?;
    }
    check_maps(session, checked).await
}

/// All differences at once. Needs an account that sees the maps.
pub async fn check_maps(session: &mut Session, checked: &Checked) -> Result<(), MapError> {
    let found = catalog::load(session, &checked.schema).await?;
    let wrong: Vec<String> = checked.entities.iter().flat_map(|e| problems(&found, e)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(MapError::Shape(wrong)) }
}

/// `legacy_id` has the legacy key's type, character set and collation, so that two ids are one exactly where the
/// database says so.
fn create(schema: &str, entity: &Entity) -> String {
    let key = &entity.key;
    let charset = match (&key.charset, &key.collation) {
        (Some(charset), Some(collation)) => format!(" CHARACTER SET {charset} COLLATE {collation}"),
        _ => String::new(),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{} (legacy_id {}{charset} NOT NULL PRIMARY KEY, \
         uuid_binary BINARY(16) NOT NULL, created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), \
         UNIQUE KEY uq_uuid (uuid_binary)) ENGINE = InnoDB",
        ident(schema),
        ident(&entity.map),
        key.column_type,
    )
}

fn problems(catalog: &plan::catalog::Catalog, entity: &Entity) -> Vec<String> {
    let Some(map) = catalog.tables.get(&entity.map) else {
        return vec![format!("`{}` is missing: run `crossfade migrate`", entity.map)];
    };
    let mut wrong = Vec::new();
    let mut expect = |ok: bool, what: &str, expected: String, actual: String| {
        if !ok {
            wrong.push(format!("`{}`: {what} is {actual}, expected {expected}", map.name));
        }
    };
    let key = &entity.key;
    let type_of = |c: Option<&plan::catalog::Column>| match c {
        None => "missing".to_owned(),
        Some(c) => {
            let null = if c.nullable { "NULL" } else { "NOT NULL" };
            format!("{} {} {null}", c.column_type, c.collation.as_deref().unwrap_or_default())
        }
    };
    let wanted = format!("{} {} NOT NULL", key.column_type, key.collation.as_deref().unwrap_or_default());
    let (id, uuid) = (type_of(map.column("legacy_id")), type_of(map.column("uuid_binary")));
    expect(id == wanted, "legacy_id", wanted.clone(), id.clone());
    expect(uuid == "binary(16)  NOT NULL", "uuid_binary", "binary(16) NOT NULL".into(), uuid.clone());
    expect(map.column("created_at").is_some(), "created_at", "a timestamp".into(), "missing".into());
    let key_is = map.primary_key.join(", ");
    expect(map.primary_key == ["legacy_id"], "the primary key", "legacy_id".into(), key_is);
    let unique = map.indexes.iter().any(|i| i.unique && i.columns == ["uuid_binary"]);
    expect(unique, "uuid_binary", "UNIQUE".into(), "not unique".into());
    expect(map.engine == "InnoDB", "the engine", "InnoDB".into(), map.engine.clone());
    wrong
}
