//! Reads what a schema looks like.
//!
//! `information_schema` shows an account only what it has rights on, so only an account that may see everything loads the
//! catalog; it is stored in the control schema, and the services, whose accounts see little, take it from there.

use std::collections::BTreeMap;

use plan::catalog::{Catalog, Column, Flavour, ForeignKey, Index, Table};
use plan::quote::{ident, text};

use crate::error::{Class, DbError};
use crate::row::Row;
use crate::server::Server;
use crate::session::Session;

const DOING: &str = "read the catalog";

/// What an account can find out about a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Readable,
    /// The account has no SELECT on it. Servers do not tell such an account whether the table exists.
    Denied,
    Absent,
}

/// The whole schema as this account sees it.
pub async fn load(session: &mut Session, schema: &str) -> Result<Catalog, DbError> {
    load_all(session, schema).await.map_err(|e| e.doing(DOING))
}

async fn load_all(session: &mut Session, schema: &str) -> Result<Catalog, DbError> {
    let flavour = Server::identify(session).await?.flavour;
    let mut tables = tables(session, schema).await?;
    let json = json_checks(session, schema, flavour).await?;
    columns(session, schema, &json, &mut tables).await?;
    indexes(session, schema, flavour, &mut tables).await?;
    foreign_keys(session, schema, &mut tables).await?;
    triggers(session, schema, &mut tables).await?;
    Ok(Catalog { schema: schema.into(), flavour, tables })
}

/// Tells "no privilege" from "no table".
pub async fn presence(session: &mut Session, schema: &str, table: &str) -> Result<Presence, DbError> {
    let sql = format!("SELECT 1 FROM {}.{} LIMIT 0", ident(schema), ident(table));
    match session.row(&sql).await {
        Ok(_) => Ok(Presence::Readable),
        Err(e) if e.class == Class::Missing => Ok(Presence::Absent),
        Err(e) if e.class == Class::Privilege => Ok(Presence::Denied),
        Err(e) => Err(e.doing("look whether a table exists")),
    }
}

/// Keeps the catalog for the services.
pub async fn store(session: &mut Session, control: &str, catalog: &Catalog) -> Result<(), DbError> {
    let json = serde_json::to_string(catalog).expect("a catalog has string keys only");
    let sql = format!(
        "INSERT INTO {}.meta (name, value) VALUES ('catalog', {json}) ON DUPLICATE KEY UPDATE value = {json}",
        ident(control),
        json = text(&json)
    );
    session.execute(&sql).await.map(drop).map_err(|e| e.doing("store the catalog"))
}

/// The catalog that [`store`] kept; `None` if there is none yet.
pub async fn stored(session: &mut Session, control: &str) -> Result<Option<Catalog>, DbError> {
    const DOING: &str = "read the stored catalog";
    let sql = format!("SELECT value FROM {}.meta WHERE name = 'catalog'", ident(control));
    let Some(row) = session.row(&sql).await.map_err(|e| e.doing(DOING))? else { return Ok(None) };
    serde_json::from_str(row.text(0)?.unwrap_or_default()).map(Some).map_err(|e| {
        DbError::new(
            DOING,
            Class::Other,
            format!("it can't be understood ({e}); run `crossfade migrate` again"),
        )
    })
}

async fn tables(session: &mut Session, schema: &str) -> Result<BTreeMap<String, Table>, DbError> {
    let sql = format!(
        "SELECT table_name, COALESCE(engine, '') FROM information_schema.tables \
         WHERE table_schema = {} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        text(schema)
    );
    let mut tables = BTreeMap::new();
    for row in session.rows(&sql).await? {
        let table = Table {
            name: string(&row, 0)?,
            engine: string(&row, 1)?,
            columns: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
        };
        tables.insert(table.name.clone(), table);
    }
    Ok(tables)
}

/// MariaDB's JSON is LONGTEXT with a check `json_valid(column)`: (table, column) of these.
async fn json_checks(
    session: &mut Session,
    schema: &str,
    flavour: Flavour,
) -> Result<Vec<(String, String)>, DbError> {
    if flavour == Flavour::MySql {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT table_name, check_clause FROM information_schema.check_constraints \
         WHERE constraint_schema = {} AND check_clause LIKE 'json_valid(%'",
        text(schema)
    );
    let mut found = Vec::new();
    for row in session.rows(&sql).await? {
        let clause = string(&row, 1)?;
        let column = clause.strip_prefix("json_valid(`").and_then(|c| c.strip_suffix("`)"));
        found.extend(column.map(|c| Ok((string(&row, 0)?, c.replace("``", "`")))).transpose()?);
    }
    Ok(found)
}

async fn columns(
    session: &mut Session,
    schema: &str,
    json: &[(String, String)],
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT table_name, column_name, data_type, column_type, character_set_name, collation_name, is_nullable, \
         extra, COALESCE(generation_expression, ''), character_maximum_length, numeric_precision, numeric_scale \
         FROM information_schema.columns WHERE table_schema = {} ORDER BY table_name, ordinal_position",
        text(schema)
    );
    for row in session.rows(&sql).await? {
        let name = string(&row, 1)?;
        let Some(table) = tables.get_mut(&string(&row, 0)?) else { continue };
        let data_type = string(&row, 2)?.to_ascii_lowercase();
        let extra = string(&row, 7)?.to_ascii_lowercase();
        let small = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
        table.columns.push(Column {
            json: data_type == "json" || json.iter().any(|(t, c)| *t == table.name && *c == name),
            column_type: string(&row, 3)?,
            charset: row.text(4)?.map(str::to_owned),
            collation: row.text(5)?.map(str::to_owned),
            nullable: string(&row, 6)? == "YES",
            on_update: extra.contains("on update"),
            generated: !string(&row, 8)?.is_empty(),
            auto_increment: extra.contains("auto_increment"),
            max_length: row.u64(9)?,
            numeric_precision: small(row.u64(10)?),
            numeric_scale: small(row.u64(11)?),
            name,
            data_type,
        });
    }
    Ok(())
}

/// Indexes that lead to rows: no full-text or spatial ones, none that the optimizer is told to ignore. Of an index over
/// an expression only the columns before it count.
async fn indexes(
    session: &mut Session,
    schema: &str,
    flavour: Flavour,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let used = match flavour {
        Flavour::MariaDb => "ignored = 'NO'",
        Flavour::MySql => "is_visible = 'YES'",
    };
    let sql = format!(
        "SELECT table_name, index_name, non_unique, column_name, sub_part FROM information_schema.statistics \
         WHERE table_schema = {} AND index_type IN ('BTREE', 'HASH') AND (index_name = 'PRIMARY' OR {used}) \
         ORDER BY table_name, index_name = 'PRIMARY' DESC, index_name, seq_in_index",
        text(schema)
    );
    let mut cut = None;
    for row in session.rows(&sql).await? {
        let (table_name, name) = (string(&row, 0)?, string(&row, 1)?);
        let Some(table) = tables.get_mut(&table_name) else { continue };
        let place = (table_name, name.clone());
        if cut.as_ref() == Some(&place) {
            continue;
        }
        let column = row.text(3)?.map(str::to_owned);
        let whole = column.is_some() && row.u64(4)?.is_none();
        if table.indexes.last().is_none_or(|i| i.name != name) {
            let unique = row.u64(2)? == Some(0);
            table.indexes.push(Index { name: name.clone(), unique, columns: Vec::new() });
        }
        let index = table.indexes.last_mut().expect("it was just pushed");
        index.unique &= whole;
        match column {
            Some(column) => {
                if name == "PRIMARY" {
                    table.primary_key.push(column.clone());
                }
                index.columns.push(column);
            }
            None => cut = Some(place),
        }
    }
    for table in tables.values_mut() {
        table.indexes.retain(|i| !i.columns.is_empty());
    }
    Ok(())
}

async fn foreign_keys(
    session: &mut Session,
    schema: &str,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, r.delete_rule, r.update_rule \
         FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r \
         ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name \
         AND r.table_name = k.table_name \
         WHERE k.table_schema = {schema} AND k.constraint_schema = {schema} AND k.referenced_table_name IS NOT NULL \
         ORDER BY k.table_name, k.constraint_name, k.ordinal_position",
        schema = text(schema)
    );
    for row in session.rows(&sql).await? {
        let Some(table) = tables.get_mut(&string(&row, 0)?) else { continue };
        let (name, column) = (string(&row, 1)?, string(&row, 2)?);
        match table.foreign_keys.last_mut() {
            Some(key) if key.name == name => key.columns.push(column),
            _ => table.foreign_keys.push(ForeignKey {
                name,
                columns: vec![column],
                references: string(&row, 3)?,
                on_delete: string(&row, 4)?,
                on_update: string(&row, 5)?,
            }),
        }
    }
    Ok(())
}

async fn triggers(
    session: &mut Session,
    schema: &str,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT event_object_table, trigger_name FROM information_schema.triggers WHERE event_object_schema = {} \
         ORDER BY event_object_table, trigger_name",
        text(schema)
    );
    for row in session.rows(&sql).await? {
        if let Some(table) = tables.get_mut(&string(&row, 0)?) {
            table.triggers.push(string(&row, 1)?);
        }
    }
    Ok(())
}

fn string(row: &Row, i: usize) -> Result<String, DbError> {
    Ok(row.text(i)?.unwrap_or_default().to_owned())
}
