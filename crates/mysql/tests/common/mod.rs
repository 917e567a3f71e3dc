//! The server that the tests run against: `CROSSFADE_TEST_DATABASE`, an account with all privileges, such as
//! `mysql://cf:cf@127.0.0.1:33100`.
#![allow(dead_code)]

use mysql::{Database, DatabaseUrl};
use plan::catalog::Column;

pub fn server() -> String {
    std::env::var("CROSSFADE_TEST_DATABASE").unwrap_or_else(|_| "mysql://cf:cf@127.0.0.1:33100".into())
}

pub fn url(schema: &str) -> DatabaseUrl {
    format!("{}/{schema}", server()).parse().unwrap()
}

/// Empty schemas `cfmysql_<name>` (legacy) and, not yet made, `cfmysql_<name>_c` (control).
pub async fn database(name: &str) -> Database {
    let (schema, control) = (format!("cfmysql_{name}"), format!("cfmysql_{name}_c"));
    let admin = Database::new(url("information_schema"), "none");
    let mut session = admin.session().await.expect("the tests need a server; see CROSSFADE_TEST_DATABASE");
    session
        .execute(&format!(
            "DROP DATABASE IF EXISTS {schema}; DROP DATABASE IF EXISTS {control}; \
             CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        ))
        .await
        .unwrap();
    Database::new(url(&schema), control)
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
