//! The server that the tests run against: a private one, or the one that `CROSSFADE_TEST_DATABASE` names with an account
//! that has all privileges, such as `mysql://cf:cf@127.0.0.1:3306`.
#![allow(dead_code, clippy::unwrap_used)]

use mysql::{Database, DatabaseUrl};
use plan::catalog::Column;
use tokio::sync::OnceCell;

static SERVER: OnceCell<String> = OnceCell::const_new();

/// Its address without a schema. After [`database`] was called.
pub fn server() -> String {
    SERVER.get().expect("`database` starts the server").clone()
}

/// The same for another account.
pub fn server_as(user: &str, password: &str) -> String {
    let server = server();
    let host = server.rsplit_once('@').expect("an address with an account").1;
    format!("mysql://{user}:{password}@{host}")
}

pub fn url(schema: &str) -> DatabaseUrl {
    format!("{}/{schema}", server()).parse().unwrap()
}

/// Empty schemas `cfmysql_<name>` (legacy) and, not yet made, `cfmysql_<name>_c` (control).
pub async fn database(name: &str) -> Database {
    SERVER
        .get_or_init(|| async {
            if let Ok(server) = std::env::var("CROSSFADE_TEST_DATABASE") {
                return server;
            }
            let server = testkit::servers::Mariadb::shared().await.expect("a private MariaDB");
            server.url("").trim_end_matches('/').to_owned()
        })
        .await;
    let (schema, control) = (format!("cfmysql_{name}"), format!("cfmysql_{name}_c"));
    let admin = Database::new(url("information_schema"), "none");
    let mut session = admin.session().await.expect("the server answers");
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
