//! Schemas on the server that the tests run against.
#![allow(dead_code, clippy::unwrap_used)]

use mysql::{Database, DatabaseUrl};
use plan::catalog::Column;
use testkit::servers::empty_schema;

/// The address of its legacy schema for another account.
pub fn as_user(database: &Database, user: &str, password: &str) -> String {
    let address = database.url();
    let (host, port) = (address.host(), address.port());
    format!("mysql://{user}:{password}@{host}:{port}/{}", address.schema())
}

/// Empty schemas `cfmysql_<name>` (legacy) and, not yet made, `cfmysql_<name>_c` (control).
pub async fn database(name: &str) -> Database {
    let (schema, control) = (format!("cfmysql_{name}"), format!("cfmysql_{name}_c"));
    let url: DatabaseUrl = empty_schema(&schema).await.expect("a MariaDB for the tests").parse().unwrap();
    let database = Database::new(url, control.clone());
    let mut session = database.session().await.unwrap();
    session.execute(&format!("DROP DATABASE IF EXISTS {control}")).await.unwrap();
    database
}

pub fn column(data_type: &str, column_type: &str) -> Column {
    Column {
        name: "c".into(),
        data_type: data_type.into(),
        column_type: column_type.into(),
        charset: None,
        collation: None,
        nullable: true,
        on_update: false,
        generated: false,
        json: false,
        auto_increment: false,
        max_length: None,
        numeric_precision: None,
        numeric_scale: None,
    }
}
