//! The printed grants on a real server: each account has exactly them, they are enough for the statements of its
//! service, and they do not let it do what it must not.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::database;
use mysql::control::fidelity::{self, Compared};
use mysql::control::sample;
use mysql::{Class, Database, DbError, Deployment, Held, Inquiry, Rights, Role, Session, Severity};
use plan::checked::{Checked, TargetKind};
use plan::sql::{IdentitySql, Range, Scopes, TargetSql};

const LEGACY: &str = include_str!("../../testkit/sql/legacy.sql");

/// The account of a role; each test has its own.
fn user(test: &str, role: Role) -> String {
    format!("cfmysql_{test}_{}", role.name())
}

fn account(test: &str, role: Role) -> String {
    format!("'{}'@'127.0.0.1'", user(test, role))
}

struct World {
    test: &'static str,
    database: Database,
    root: Session,
    plan: Checked,
    catalog: plan::catalog::Catalog,
    deployment: Deployment,
}

impl World {
    /// The legacy schema, the plan, and accounts without any right.
    async fn new(test: &'static str) -> World {
        let database = database(test).await;
        let mut root = database.session().await.unwrap();
        root.execute(LEGACY).await.unwrap();
        let catalog = mysql::catalog::load(&mut root, database.schema()).await.unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans/phase2");
        let raw = plan::load(&folder).unwrap_or_else(|p| panic!("{}", p.render()));
        let plan =
            plan::check(&raw, &catalog, &Default::default()).unwrap_or_else(|p| panic!("{}", p.render()));
        let deployment = Deployment { plan_digest: plan.digest.clone(), namespace: ids::default_namespace() };
        for role in Role::ALL {
            let account = account(test, role);
            let sql = format!("DROP USER IF EXISTS {account}; CREATE USER {account} IDENTIFIED BY 'pw'");
            root.execute(&sql).await.unwrap();
        }
        World { test, database, root, plan, catalog, deployment }
    }

    fn rights(&self) -> Rights<'_> {
        Rights {
            plan: &self.plan,
            catalog: &self.catalog,
            control: self.database.control(),
            include_deferred: true,
        }
    }

    /// The printed text, part by part, as an administrator of the server would run it.
    async fn run_printed(&mut self, part: impl Fn(&str) -> bool) {
        let text = mysql::print_grants(&self.rights(), |role| account(self.test, role));
        for (heading, statements) in text.split("\n-- ").skip(1).filter_map(|p| p.split_once('\n')) {
            if part(heading) && !statements.is_empty() && statements.contains("GRANT") {
                self.root.execute(statements).await.unwrap();
            }
        }
    }

    fn database_of(&self, role: Role) -> Database {
        let url = common::as_user(&self.database, &user(self.test, role), "pw");
        Database::new(url.parse().unwrap(), self.database.control())
    }

    async fn session_of_root(&self) -> Session {
        self.database.session().await.unwrap()
    }

    async fn session(&self, role: Role) -> Session {
        self.database_of(role).session().await.unwrap()
    }

    async fn drop(mut self) {
        for role in Role::ALL {
            self.root.execute(&format!("DROP USER {}", account(self.test, role))).await.unwrap();
        }
    }
}

async fn must(session: &mut Session, role: Role, sql: &str) {
    if let Err(e) = session.rows(sql).await {
        panic!("{}: {}\n{sql}", role.name(), e.server_message());
    }
}

async fn refused(session: &mut Session, sql: &str, codes: &[u16]) {
    let error: DbError = session.rows(sql).await.map(drop).expect_err(sql);
    assert!(error.class == Class::Privilege && codes.contains(&error.code.unwrap()), "{sql}: {error}");
}

/// Whole images ask for more of the reader, who sees types and no data, and of the verifier, who takes samples of whole
/// rows; for nothing of the others.
#[tokio::test]
async fn whole_images_show_reader_and_verifier_more_columns_and_nobody_else() {
    let mut world = World::new("grants_rows").await;
    let keys = mysql::print_grants(&world.rights(), |role| role.name().into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans/phase2");
    let mut sources = plan::load(&folder).unwrap().sources;
    *sources.get_mut("plan.yaml").unwrap() += "\npublish: rows\n";
    let raw = plan::parse_files(sources).unwrap_or_else(|p| panic!("{p}"));
    world.plan = plan::check(&raw, &world.catalog, &Default::default()).unwrap_or_else(|p| panic!("{p}"));
    let rows = mysql::print_grants(&world.rights(), |role| role.name().into());
    let (old, new) = (keys.split("\n-- "), rows.split("\n-- "));
    let changed: Vec<&str> =
        old.zip(new).filter(|(o, n)| o != n).filter_map(|(o, _)| o.lines().next()).collect();
    assert_eq!(changed, ["cdc-reader", "verifier"], "{rows}");

    mysql::migrate(&world.database, &world.deployment, false).await.unwrap();
    sample::ensure(&mut world.root, &world.database, &world.plan).await.unwrap();
    mysql::ensure_maps(&mut world.root, &world.plan).await.unwrap();
    world.run_printed(|heading| matches!(heading, "cdc-reader" | "verifier")).await;
    samples_can_be_taken_and_compared(&world).await;
    let mut reader = world.session(Role::CdcReader).await;
    for (table, watched) in &world.plan.watched {
        let seen = reader
            .rows(&format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = {} AND table_name = {}",
                plan::quote::text(world.database.schema()),
                plan::quote::text(table)
            ))
            .await
            .unwrap();
        let seen: Vec<&str> = seen.iter().map(|r| r.text(0).unwrap().unwrap()).collect();
        let image = &watched.image.as_ref().unwrap().columns;
        assert!(image.iter().all(|c| seen.contains(&c.name.as_str())), "{table}: {seen:?}");
    }
    refused(&mut reader, &format!("SELECT email FROM `{}`.users", world.database.schema()), &[1142, 1143])
        .await;
    world.drop().await;
}

#[tokio::test]
async fn the_printed_grants_are_enough_and_not_more() {
    let mut world = World::new("grants").await;

    // The administrator's own rights are enough to make everything.
    world.run_printed(|heading| heading == "admin").await;
    let admin = world.database_of(Role::Admin);
    mysql::migrate(&admin, &world.deployment, false).await.unwrap();
    let mut session = admin.session().await.unwrap();
    let catalog = mysql::refresh_catalog(&mut session, &admin).await.unwrap();
    assert_eq!(
        serde_json::to_value(&catalog.tables["file_attachments"]).unwrap(),
        serde_json::to_value(&world.catalog.tables["file_attachments"]).unwrap(),
        "the administrator's account sees the whole catalog"
    );
    mysql::ensure_maps(&mut session, &world.plan).await.unwrap();
    sample::ensure(&mut session, &admin, &world.plan).await.unwrap();
    session.close().await;

    world.run_printed(|heading| heading != "admin").await;
    for role in Role::SERVICES {
        let mut session = world.session(role).await;
        let held = Held::by(&mut session).await.unwrap();
        for needed in mysql::required_grants(role, &world.rights()) {
            assert_eq!(held.missing(&needed), None, "{}", role.name());
        }
        assert!(held.excessive().is_empty());
        mysql::check_control(&mut session, world.database.control(), &world.deployment).await.unwrap();
        let stored = mysql::catalog::stored(&mut session, world.database.control()).await.unwrap();
        assert!(stored.is_some(), "every service can take the catalog from the control schema");
    }
    services_can_work(&world).await;
    samples_can_be_taken_and_compared(&world).await;
    services_cannot_do_harm(&world).await;
    world.drop().await;
}

async fn services_can_work(world: &World) {
    let (plan, control) = (&world.plan, world.database.control());
    let (range, keys) = (Range::default(), [change::Key(vec![change::Cell::UInt(1), change::Cell::UInt(1)])]);
    let all = Scopes::Range(&range);
    let mut writer = world.session(Role::Writer).await;
    let mut verifier = world.session(Role::Verifier).await;
    let mut mapper = world.session(Role::Mapper).await;
    let mut minter = world.session(Role::IdMapper).await;
    for target in &plan.targets {
        let sql = TargetSql::new(plan, target, control);
        let (staging, apply) = (sql.staging(), sql.apply());
        for statement in [staging.create(), staging.clear()] {
            must(&mut writer, Role::Writer, &statement).await;
        }
        writer.begin().await.unwrap();
        let mut statements: Vec<String> = apply.lock(all).into_iter().collect();
        statements.extend([staging.empty(), staging.fill(all), staging.problems(), staging.keys()]);
        statements.extend(apply.missing_in_lists(all));
        statements.extend([apply.update(), apply.insert(), apply.extras(all)].into_iter().flatten());
        if target.kind == TargetKind::Shadow {
            statements.push(apply.delete(&keys));
        }
        for sql in &statements {
            must(&mut writer, Role::Writer, sql).await;
        }
        writer.rollback().await.unwrap();
        for digest in [sql.digest_wanted(all), sql.digest_present(all)] {
            must(&mut verifier, Role::Verifier, &digest.sum).await;
            must(&mut verifier, Role::Verifier, &digest.rows).await;
        }
        let one = change::Key(vec![change::Cell::UInt(1); target.scope.len()]);
        for form in target.reads.iter().flat_map(|r| [&r.legacy, &r.new]) {
            must(&mut verifier, Role::Verifier, &sql.read(form, &one)).await;
        }
        if let Some(unmapped) = sql.unmapped(all) {
            must(&mut minter, Role::IdMapper, &unmapped.sql).await;
        }
        for route in &target.routes {
            if let plan::checked::RouteBy::Lookup { query, uses } = &route.by {
                let image = vec![change::Cell::Null; uses.len()];
                must(&mut mapper, Role::Mapper, &plan::sql::lookup(query, uses, &[image])).await;
            }
        }
        must(&mut writer, Role::Writer, &sql.scope_table().boundary(&plan.schema, None, 10)).await;
        let lane =
            format!("UPDATE {control}.lane SET next_offset = 1 WHERE target = 'x' AND next_offset = 0");
        must(&mut writer, Role::Writer, &lane).await;
    }
    for entity in &plan.entities {
        let sql = IdentitySql::new(plan, entity);
        let derive = ids::sql_expression(
            ids::Namespace::of(world.deployment.namespace, &entity.table),
            ids::KeyKind::Integer,
            &sql.key_expression(),
        );
        for statement in [
            sql.unmapped(all),
            sql.mapped(all),
            sql.insert(&[(change::Cell::UInt(1), [1; 16])]),
            sql.insert_range(all, &derive),
        ] {
            must(&mut minter, Role::IdMapper, &statement).await;
        }
        must(&mut verifier, Role::Verifier, &sql.uncovered()).await;
        must(&mut verifier, Role::Verifier, &sql.bijection()).await;
    }
    let mut reader = world.session(Role::CdcReader).await;
    must(&mut reader, Role::CdcReader, "SHOW MASTER STATUS").await;
    let beat =
        format!("INSERT INTO {control}.reader (source) VALUES ('s') ON DUPLICATE KEY UPDATE source = source");
    must(&mut reader, Role::CdcReader, &beat).await;
    let seen = "SELECT column_type FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'role_id' \
                AND table_schema = DATABASE()";
    assert!(reader.row(seen).await.unwrap().is_some(), "the reader sees the types of what it publishes");
}

/// The verifier takes them, the reader reads and records; neither can do more.
async fn samples_can_be_taken_and_compared(world: &World) {
    let (db, plan) = (&world.database, &world.plan);
    let users = "INSERT INTO users (id, email, full_name, created_at) VALUES (1, 'a', 'b', NOW(6))";
    world.session_of_root().await.execute(users).await.unwrap();
    let mut verifier = world.session(Role::Verifier).await;
    let mut reader = world.session(Role::CdcReader).await;
    for table in plan.watched.keys() {
        let taken = sample::take(&mut verifier, db, plan, table).await;
        assert!(taken.unwrap_or_else(|e| panic!("{table}: {}", e.server_message())));
        let samples = db.control_table(&sample::table(table));
        must(&mut reader, Role::CdcReader, &format!("SELECT * FROM {samples}")).await;
        for change in ["DELETE FROM", "TRUNCATE TABLE"] {
            refused(&mut reader, &format!("{change} {samples}"), &[1142]).await;
        }
        refused(&mut verifier, &format!("DROP TABLE {samples}"), &[1142]).await;
    }
    let found =
        Compared { table: "users".into(), column: "id".into(), position: "0-1-1".into(), rows: 1, differ: 0 };
    must(&mut reader, Role::CdcReader, &fidelity::record(db, 1, &[found])).await;
    assert!(fidelity::disagreeing(&mut reader, db).await.unwrap().is_empty());
    assert!(!fidelity::all(&mut verifier, db).await.unwrap().is_empty());
    sample::clear(&mut verifier, db, plan, "users").await.unwrap();
    let forged = format!("UPDATE {} SET differ = 0", db.control_table("fidelity"));
    refused(&mut verifier, &forged, &[1142]).await;
    let forged = format!("UPDATE {} SET since = sample", db.control_table("sample"));
    refused(&mut reader, &forged, &[1142]).await;
}

async fn services_cannot_do_harm(world: &World) {
    let control = world.database.control();
    let mut writer = world.session(Role::Writer).await;
    refused(&mut writer, "UPDATE users SET full_name = 'x'", &[1143]).await;
    refused(&mut writer, "UPDATE users SET role_id = 1, active = 1", &[1143]).await;
    refused(&mut writer, "INSERT INTO users (id) VALUES (1)", &[1142, 1143]).await;
    refused(&mut writer, "DELETE FROM users", &[1142]).await;
    refused(&mut writer, "SELECT email FROM users", &[1143]).await;
    refused(&mut writer, "UPDATE users_id_map SET uuid_binary = ''", &[1142]).await;
    refused(&mut writer, "ALTER TABLE users ADD x INT", &[1142]).await;
    refused(&mut writer, &format!("DELETE FROM {control}.lane"), &[1142]).await;
    let mut verifier = world.session(Role::Verifier).await;
    for sql in [
        "INSERT INTO users (id) VALUES (1)",
        "UPDATE users SET active = 1",
        "DELETE FROM role_permissions_text",
    ] {
        refused(&mut verifier, sql, &[1142]).await;
    }
    refused(&mut verifier, &format!("UPDATE {control}.lane SET next_offset = 0"), &[1143]).await;
    let mode = format!("UPDATE {control}.lane SET mode = 'write' WHERE target = 'x'");
    must(&mut verifier, Role::Verifier, &mode).await;
    let mut reader = world.session(Role::CdcReader).await;
    refused(&mut reader, "SELECT id FROM users", &[1142, 1143]).await;
    let mut mapper = world.session(Role::Mapper).await;
    refused(&mut mapper, "UPDATE users SET active = 1", &[1142]).await;
    refused(&mut mapper, "SELECT email FROM users", &[1143]).await;
    let mut minter = world.session(Role::IdMapper).await;
    refused(&mut minter, "DELETE FROM users_id_map", &[1142]).await;
}

#[tokio::test]
async fn the_preflight_says_what_is_wrong_and_how_to_mend_it() {
    let world = World::new("preflight").await;
    let inquiry = Inquiry {
        plan: &world.plan,
        catalog: &world.catalog,
        deployment: &world.deployment,
        roles: &Role::SERVICES,
        include_deferred: false,
    };
    let checks = mysql::preflight(&world.database, &inquiry).await.unwrap();
    let find = |setting: &str| {
        checks
            .iter()
            .find(|c| c.setting.contains(setting))
            .unwrap_or_else(|| panic!("no check of {setting}: {checks:#?}"))
    };
    assert!(!mysql::passes(&checks));
    for fine in [
        "version",
        "log_bin",
        "binlog_format",
        "binlog_row_image",
        "binlog_row_metadata",
        "engine",
        "read_only",
        "binlog_optimize_thread_scheduling",
        "binlog_do_db",
        "namespace",
        "of the writer",
    ] {
        assert!(find(fine).ok, "{:#?}", find(fine));
    }
    // No row 1 in `users`, no control schema, an account that may do anything.
    let admin = find("parameter system_admin");
    assert!(
        !admin.ok && admin.severity == Severity::Refuse && admin.mend.contains("--param system_admin="),
        "{admin:#?}"
    );
    assert!(find("schema `cfmysql_preflight_c`").mend.contains("crossfade migrate"));
    assert!(!find("no service needs").ok && find("no service needs").severity == Severity::Warn);

    let mut root = world.database.session().await.unwrap();
    root.execute("INSERT INTO users (id, email, full_name, created_at) VALUES (1, 'a', 'b', NOW(6))")
        .await
        .unwrap();
    mysql::migrate(&world.database, &world.deployment, false).await.unwrap();
    let checks = mysql::preflight(&world.database, &inquiry).await.unwrap();
    assert!(mysql::passes(&checks), "{checks:#?}");

    // An account with nothing: each missing right is named with the statement that gives it.
    root.execute(&format!(
        "GRANT SELECT ON {}.meta TO {}",
        world.database.control(),
        account("preflight", Role::Writer)
    ))
    .await
    .unwrap();
    root.execute(&format!("GRANT SELECT ON users TO {}", account("preflight", Role::Writer))).await.unwrap();
    let poor = Inquiry { roles: &[Role::Writer], ..inquiry };
    let checks = mysql::preflight(&world.database_of(Role::Writer), &poor).await.unwrap();
    let rights = checks.iter().find(|c| c.setting == "of the writer").unwrap();
    assert!(!rights.ok && !mysql::passes(&checks));
    for part in [
        "GRANT CREATE TEMPORARY TABLES ON `cfmysql\\_preflight\\_c`.*",
        "UPDATE (`active`",
        "TO 'cfmysql_preflight_writer'@'127.0.0.1';",
    ] {
        assert!(rights.mend.contains(part), "{part} is missing in {}", rights.mend);
    }
    assert!(!rights.mend.contains(".`meta`"), "what is held is not asked for: {}", rights.mend);
    // The statements it names are all that is missing.
    let mend: String = rights.mend.lines().filter(|l| !l.contains("_id_map")).collect::<Vec<_>>().join("\n");
    root.execute(&mend).await.unwrap();
    let again = mysql::preflight(&world.database_of(Role::Writer), &poor).await.unwrap();
    let rights = again.iter().find(|c| c.setting == "of the writer").unwrap();
    assert!(rights.mend.lines().all(|l| l.contains("_id_map")), "{}", rights.mend);
    world.drop().await;
}
