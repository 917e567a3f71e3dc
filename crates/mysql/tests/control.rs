//! The control schema, the catalog and the id maps on a real server.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{column, database};
use mysql::catalog::{self, Presence};
use mysql::{Class, ControlError, Database, Deployment, Migrated, check_control, ensure_maps, migrate};
use plan::catalog::{Column, Flavour};
use plan::checked::{Checked, Entity, IdKind};
use uuid::Uuid;

fn deployment(plan: &str) -> Deployment {
    Deployment { plan_digest: plan.into(), namespace: Uuid::nil() }
}

#[tokio::test]
async fn a_control_schema_is_made_once_and_guards_its_deployment() {
    let database = database("migrate").await;
    let control = database.control().to_owned();
    let mut session = database.session().await.unwrap();
    let old = check_control(&mut session, &control, &deployment("p1")).await.unwrap_err();
    assert!(matches!(old, ControlError::Old(_)), "{old}");

    // Two starters at once: one makes it, the other finds it.
    let p1 = deployment("p1");
    let (a, b) = tokio::join!(migrate(&database, &p1, false), migrate(&database, &p1, false));
    let mut both = [a.unwrap(), b.unwrap()];
    both.sort_by_key(|m| m.from);
    assert_eq!(both, [Migrated { from: 0, to: 1 }, Migrated { from: 1, to: 1 }]);
    check_control(&mut session, &control, &p1).await.unwrap();
    let view = session.rows(&format!("SELECT * FROM {control}.open_exceptions")).await.unwrap();
    assert!(view.is_empty());

    // Interrupted half-way: the version is missing, the tables stand.
    session
        .execute(&format!("DELETE FROM {control}.meta WHERE name = 'version'; DROP TABLE {control}.hold"))
        .await
        .unwrap();
    assert_eq!(migrate(&database, &p1, false).await.unwrap(), Migrated { from: 0, to: 1 });

    for check in [
        migrate(&database, &deployment("p2"), false).await.map(drop),
        check_control(&mut session, &control, &deployment("p2")).await,
    ] {
        let error = check.unwrap_err();
        assert!(
            matches!(error, ControlError::OtherPlan { .. }) && error.to_string().contains("--accept-plan"),
            "{error}"
        );
    }
    migrate(&database, &deployment("p2"), true).await.unwrap();
    check_control(&mut session, &control, &deployment("p2")).await.unwrap();

    let other = Deployment { namespace: Uuid::max(), ..deployment("p2") };
    let error = migrate(&database, &other, true).await.unwrap_err();
    assert!(matches!(error, ControlError::OtherNamespace { .. }), "{error}");
    session.execute(&format!("UPDATE {control}.meta SET value = '99' WHERE name = 'version'")).await.unwrap();
    let error = migrate(&database, &deployment("p2"), true).await.unwrap_err();
    assert!(matches!(error, ControlError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_control_schema_of_another_character_set_is_refused() {
    let database = database("charset").await;
    let control = database.control();
    let mut session = database.session().await.unwrap();
    session.execute(&format!("CREATE DATABASE {control} CHARACTER SET latin1")).await.unwrap();
    let error = migrate(&database, &deployment("p"), false).await.unwrap_err();
    assert!(error.to_string().contains(&format!("ALTER DATABASE `{control}`")), "{error}");
}

const LEGACY: &str = "
    CREATE TABLE parents (id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL PRIMARY KEY);
    CREATE TABLE things (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      parent VARCHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci NULL,
      metadata JSON NULL, long_text LONGTEXT NULL, amount DECIMAL(14,2),
      twice DECIMAL(16,2) AS (amount * 2) STORED,
      `odd``name` JSON, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
      kind ENUM('a','b') NOT NULL,
      KEY ix_two (parent, kind), KEY ix_off (kind) IGNORED, UNIQUE KEY uq_prefix (long_text(10)), FULLTEXT KEY ft (long_text),
      CONSTRAINT fk FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE SET NULL);
    CREATE TRIGGER trg BEFORE INSERT ON things FOR EACH ROW SET NEW.amount = 1;
    CREATE VIEW v AS SELECT 1 AS one";

#[tokio::test]
async fn the_catalog_is_read_stored_and_read_again() {
    let database = database("catalog").await;
    let mut session = database.session().await.unwrap();
    session.execute(LEGACY).await.unwrap();
    let catalog = catalog::load(&mut session, database.schema()).await.unwrap();
    assert_eq!(catalog.flavour, Flavour::MariaDb);
    assert_eq!(catalog.tables.keys().collect::<Vec<_>>(), ["parents", "things"]);
    let things = &catalog.tables["things"];
    assert_eq!((things.engine.as_str(), &things.primary_key[..]), ("InnoDB", &["id".to_owned()][..]));
    assert_eq!(things.triggers, ["trg"]);
    let c = |name: &str| things.column(name).unwrap();
    assert!(c("id").is_unsigned() && c("id").auto_increment && !c("id").nullable);
    assert!(c("metadata").json && c("odd`name").json && !c("long_text").json);
    assert!(c("twice").generated && !c("amount").generated);
    assert_eq!((c("amount").numeric_precision, c("amount").numeric_scale), (Some(14), Some(2)));
    assert!(c("at").on_update && !c("kind").on_update);
    assert_eq!(
        (c("parent").collation.as_deref(), c("parent").max_length),
        (Some("ascii_general_ci"), Some(36))
    );
    let indexes: Vec<_> =
        things.indexes.iter().map(|i| (i.name.as_str(), i.unique, i.columns.join(","))).collect();
    assert_eq!(
        indexes,
        [
            ("PRIMARY", true, "id".to_owned()),
            ("ix_two", false, "parent,kind".to_owned()),
            ("uq_prefix", false, "long_text".to_owned())
        ]
    );
    let key = &things.foreign_keys[0];
    assert_eq!(
        (key.references.as_str(), key.on_delete.as_str(), key.on_update.as_str()),
        ("parents", "CASCADE", "SET NULL")
    );

    migrate(&database, &deployment("p"), false).await.unwrap();
    assert!(catalog::stored(&mut session, database.control()).await.unwrap().is_none());
    mysql::refresh_catalog(&mut session, &database).await.unwrap();
    let again = catalog::stored(&mut session, database.control()).await.unwrap().unwrap();
    assert_eq!(again.tables["things"].columns, things.columns);
}

#[tokio::test]
async fn no_privilege_is_told_apart_from_no_table() {
    let database = database("presence").await;
    let mut admin = database.session().await.unwrap();
    let schema = database.schema();
    admin
        .execute(&format!(
            "CREATE TABLE open (id INT); CREATE TABLE shut (id INT); DROP USER IF EXISTS cfmysql_few@'127.0.0.1'; \
             CREATE USER cfmysql_few@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT SELECT ON {schema}.open TO cfmysql_few@'127.0.0.1'"
        ))
        .await
        .unwrap();
    let few = Database::new(common::as_user(&database, "cfmysql_few", "pw").parse().unwrap(), "none");
    let mut session = few.session().await.unwrap();
    assert_eq!(catalog::presence(&mut session, schema, "open").await.unwrap(), Presence::Readable);
    assert_eq!(catalog::presence(&mut session, schema, "shut").await.unwrap(), Presence::Denied);
    assert_eq!(catalog::presence(&mut admin, schema, "gone").await.unwrap(), Presence::Absent);
    let wrong = Database::new(common::as_user(&database, "cfmysql_few", "wrong").parse().unwrap(), "none");
    let error = wrong.session().await.map(drop).unwrap_err();
    assert_eq!(error.class, Class::Privilege);
    admin.execute("DROP USER cfmysql_few@'127.0.0.1'").await.unwrap();
}

fn entity(table: &str, key: Column, kind: IdKind) -> Entity {
    Entity { table: table.into(), key, kind, map: format!("{table}_id_map") }
}

fn checked(schema: &str, entities: Vec<Entity>) -> Checked {
    Checked {
        schema: schema.into(),
        flavour: Flavour::MariaDb,
        digest: "d".into(),
        entities,
        targets: Vec::new(),
        watched: BTreeMap::new(),
        required_rows: Vec::new(),
        reverse_of: None,
    }
}

#[tokio::test]
async fn maps_are_made_and_wrong_ones_are_refused() {
    let database = database("maps").await;
    let schema = database.schema();
    let mut session = database.session().await.unwrap();
    session.execute(LEGACY).await.unwrap();
    let catalog = catalog::load(&mut session, schema).await.unwrap();
    let key = |t: &str| catalog.tables[t].column("id").unwrap().clone();
    let good = vec![
        entity("parents", key("parents"), IdKind::Text),
        entity("things", key("things"), IdKind::Integer),
    ];
    let checked_good = checked(schema, good.clone());
    for _ in 0..2 {
        ensure_maps(&mut session, &checked_good).await.unwrap();
    }
    // Two ids are one exactly where the legacy key's collation says so.
    let sql = "INSERT INTO parents_id_map (legacy_id, uuid_binary) VALUES ('Ab', x'00000000000000000000000000000001')";
    session.execute(sql).await.unwrap();
    let twice = session.execute(&sql.replace("Ab", "aB ").replace("01'", "02'")).await.unwrap_err();
    assert_eq!((twice.class, twice.names()), (Class::Duplicate, Some("PRIMARY")));

    let mut bad = good;
    bad.push(entity("signed", column("bigint", "bigint(20)"), IdKind::Integer));
    bad.last_mut().unwrap().map = "things_id_map".into();
    bad.push(entity("no_map", key("things"), IdKind::Integer));
    bad.last_mut().unwrap().map = "things".into();
    let error = ensure_maps(&mut session, &checked(schema, bad)).await.unwrap_err().to_string();
    for part in [
        "`things_id_map`: legacy_id is bigint(20) unsigned",
        "`things`: uuid_binary is missing",
        "primary key is id",
    ] {
        assert!(error.contains(part), "{error}");
    }
}
