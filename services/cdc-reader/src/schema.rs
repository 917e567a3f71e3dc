//! The shape of the watched columns, as the server's catalog has it.

use std::collections::BTreeMap;

use mysql::{Database, DbError, Row};
use plan::quote;
use service::Retry;

use crate::tables::{Problem, Watched};

/// Each watched column, by table and lower-case name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shapes(BTreeMap<(String, String), Shape>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    /// Type, collation and generation expression.
    text: String,
    generated: bool,
    /// Others get it, and nobody else does: it may go.
    optional: bool,
}

impl Shapes {
    pub async fn read(database: &Database, watched: &[Watched]) -> Result<Shapes, DbError> {
        let Some(first) = watched.first() else { return Ok(Shapes(BTreeMap::new())) };
        let names: Vec<String> = watched.iter().map(|w| quote::text(&w.name.table)).collect();
        let sql = format!(
            "SELECT table_name, column_name, \
             CONCAT_WS(' ', column_type, CONCAT('COLLATE ', collation_name), generation_expression), \
             generation_expression \
             FROM information_schema.columns WHERE table_schema = {} AND table_name IN ({})",
            quote::text(&first.name.schema),
            names.join(", ")
        );
        let rows = ask(database, &sql).await?;
        let mut shapes = BTreeMap::new();
        for row in rows {
            let text = |i| row.text(i).map(|t| t.unwrap_or_default().to_owned());
            let (table, column) = (text(0)?, text(1)?.to_lowercase());
            let Some(watched) = watched.iter().find(|w| w.name.table == table) else { continue };
            let optional = !watched.looks_at(&column);
            if !optional || watched.tells(&column) {
                let generated = row.bytes(3).is_some_and(|expression| !expression.is_empty());
                shapes.insert((table, column), Shape { text: text(2)?, generated, optional });
            }
        }
        Ok(Shapes(shapes))
    }

    /// The generated columns of a table.
    pub fn generated(&self, table: &str) -> Vec<String> {
        let columns = self.0.iter().filter(|((of, _), shape)| of == table && shape.generated);
        columns.map(|((_, column), _)| column.clone()).collect()
    }

    /// The first column of `self` that is another one now.
    pub fn difference(&self, now: &Shapes) -> Option<Problem> {
        let differs = |place, was: &Shape| now.0.get(place).map_or(!was.optional, |now| now != was);
        let (place, was) = self.0.iter().find(|(place, was)| differs(*place, was))?;
        let (table, column) = place.clone();
        let now = now.0.get(place).map_or_else(|| "no such column".into(), |s| s.text.clone());
        Some(Problem::Changed { table, column, was: was.text.clone(), now })
    }
}

impl Watched {
    fn looks_at(&self, column: &str) -> bool {
        [&self.published, &self.read, &self.fill]
            .into_iter()
            .flatten()
            .any(|c| c.eq_ignore_ascii_case(column))
    }

    fn tells(&self, column: &str) -> bool {
        self.image.iter().flat_map(|i| &i.names).any(|c| c.eq_ignore_ascii_case(column))
    }
}

/// Is there a trigger in this schema? One could write a planned table for a statement that does not name it.
pub(crate) async fn has_triggers(database: &Database, schema: &str) -> Result<bool, DbError> {
    let sql = format!(
        "SELECT 1 FROM information_schema.triggers WHERE trigger_schema = {} LIMIT 1",
        quote::text(schema)
    );
    Ok(!ask(database, &sql).await?.is_empty())
}

/// Asks in a session made for it, as it happens a few times a year, and again while the database is away.
async fn ask(database: &Database, sql: &str) -> Result<Vec<Row>, DbError> {
    let mut retry = Retry::new("the catalog");
    loop {
        let answer = match database.session().await {
            Ok(mut session) => {
                let rows = session.rows(sql).await;
                session.close().await;
                rows
            }
            Err(e) => Err(e),
        };
        match answer {
            Err(e) if e.is_transient() => {
                let told =
                    |tries| tracing::warn!(error = %e, tries, "the catalog cannot be read; trying again");
                tokio::time::sleep(retry.failed(told)).await;
            }
            other => return other,
        }
    }
}
