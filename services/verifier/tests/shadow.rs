//! Shadow reads against a pipeline that is as late as the test wants it: what is on its way is no difference, what stays
//! is one until it reads alike, and what is parked is left out.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use change::{Cell, Key};
use mysql::control::exceptions;
use mysql::{Database, Session};
use plan::Parameters;
use plan::checked::Checked;
use plan::sql::TargetSql;
use testkit::servers::empty_schema;
use tokio::sync::Mutex;
use verifier::shadow::{self, ReadEvidence};

const SCHEMA: &str = "
CREATE TABLE users (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, email VARCHAR(60) NOT NULL);
CREATE TABLE people LIKE users;
INSERT INTO users SELECT seq, CONCAT('u', seq) FROM seq_1_to_300;
INSERT INTO people SELECT * FROM users;
";
const PEOPLE: &str =
    "shadow: people\nfrom: users\nscope: { id: users.id }\ncolumns: { email: users.email }\n";
const READS: &str = "reads:\n  by_id:\n    legacy: SELECT email FROM users WHERE id = :id\n    new: SELECT email FROM people WHERE id = :id\n";
const CATCH_UP: &str = "UPDATE people JOIN users USING (id) SET people.email = users.email";

struct Stage {
    db: Database,
    session: Session,
    /// What the pipeline does before it says that it has applied everything.
    pipeline: Arc<Mutex<String>>,
}

fn plan_of(catalog: &plan::catalog::Catalog, people: &str) -> Checked {
    let files = [("plan.yaml", "version: 1\n"), ("people.yaml", people)];
    let raw = plan::parse_files(files.map(|(n, t)| (n.to_string(), t.to_string())).into()).unwrap();
    plan::check(&raw, catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{}", p.render()))
}

impl Stage {
    async fn new() -> (Self, Checked, Checked) {
        let url = empty_schema("shadow_reads").await.unwrap();
        let db = Database::new(url.parse().unwrap(), "shadow_reads_c");
        let mut session = db.session().await.unwrap();
        session.execute("DROP DATABASE IF EXISTS shadow_reads_c").await.unwrap();
        session.execute(SCHEMA).await.unwrap();
        let catalog = mysql::catalog::load(&mut session, db.schema()).await.unwrap();
        let (with, without) = (plan_of(&catalog, &format!("{PEOPLE}{READS}")), plan_of(&catalog, PEOPLE));
        let deployment =
            mysql::Deployment { plan_digest: with.digest.clone(), namespace: Default::default() };
        mysql::migrate(&db, &deployment, false).await.unwrap();
        session
            .execute(&format!(
                "INSERT INTO {} (source, incarnation) VALUES ('s', 1)",
                db.control_table("applied")
            ))
            .await
            .unwrap();
        let pipeline = Arc::new(Mutex::new(String::from("DO 0")));
        tokio::spawn(follow(db.clone(), pipeline.clone()));
        (Self { db, session, pipeline }, with, without)
    }

    async fn sql(&mut self, statements: &str) {
        self.session.execute(statements).await.unwrap();
    }

    async fn number(&mut self, query: &str) -> u64 {
        self.session.row(query).await.unwrap().unwrap().u64(0).unwrap().unwrap_or_default()
    }

    async fn open(&mut self) -> u64 {
        let table = self.db.control_table("finding");
        let sql = format!(
            "SELECT IF(COUNT(*) = COUNT(DISTINCT scope_key), COUNT(*), 9999) FROM {table} WHERE kind = 'shadow_read' AND closed_at IS NULL"
        );
        self.number(&sql).await
    }

    async fn read(&mut self, plan: &Checked, repair: bool) -> Vec<ReadEvidence> {
        let sql = TargetSql::new(plan, &plan.targets[0], self.db.control());
        shadow::run(&mut self.session, &self.db, "s", &sql, 0.0, repair).await.unwrap()
    }
}

async fn text(session: &mut Session, query: &str) -> String {
    session.row(query).await.unwrap().unwrap().text(0).unwrap().unwrap().to_string()
}

/// The rest of Crossfade: for each barrier it does its work, then says up to where it has applied all.
async fn follow(db: Database, pipeline: Arc<Mutex<String>>) {
    let mut session = db.session().await.unwrap();
    let (barrier, applied) = (db.control_table("barrier"), db.control_table("applied"));
    let mut last = String::new();
    loop {
        // In this order: a position without the barrier never counts as work that was done behind it.
        let position = text(&mut session, "SELECT @@GLOBAL.gtid_binlog_pos").await;
        let n = text(&mut session, &format!("SELECT n FROM {barrier}")).await;
        if n != last {
            session.execute(&pipeline.lock().await).await.unwrap();
            last = n;
        }
        let sql = format!("UPDATE {applied} SET position = '{position}'");
        session.execute(&sql).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_outlives_its_proofs_counts_and_it_counts_until_it_reads_alike() {
    let (mut stage, plan, without) = Stage::new().await;
    let read = &stage.read(&plan, true).await[0];
    assert_eq!((read.keys, read.differ, read.unanswered), (50, 0, 0), "{read:?}");
    assert!(read.legacy.p50_us > 0 && read.new.p99_us >= read.new.p50_us, "{read:?}");

    // Everything is on its way: it comes with the first proof.
    *stage.pipeline.lock().await = CATCH_UP.into();
    stage.sql("UPDATE users SET email = CONCAT('v', id)").await;
    let read = &stage.read(&plan, false).await[0];
    assert_eq!((read.differ, read.unstable, stage.open().await), (0, 0, 0), "{read:?}");

    // The target changes behind each proof: nothing can be said.
    *stage.pipeline.lock().await = "UPDATE people SET email = UUID()".into();
    let read = &stage.read(&plan, false).await[0];
    assert_eq!((read.differ, stage.open().await), (0, 0), "{read:?}");
    stage.sql("UPDATE people SET email = 'before'").await;
    let read = &stage.read(&plan, false).await[0];
    assert_eq!((read.unstable, read.differ), (50, 0), "{read:?}");

    // It stays different: from all over the keys, and each scope once.
    *stage.pipeline.lock().await = "DO 0".into();
    assert_eq!(stage.read(&plan, false).await[0].differ, 50);
    let table = stage.db.control_table("finding");
    for half in ["<=", ">"] {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE CAST(scope_key AS UNSIGNED) {half} 150");
        assert!(stage.number(&sql).await > 5, "{half} 150");
    }
    let known = stage.read(&plan, false).await[0].differ;
    assert!((50..=100).contains(&known) && stage.open().await == known, "{known}");

    // It is mended: scopes that are known to differ are read again, whatever is drawn.
    stage.sql(CATCH_UP).await;
    for _ in 0..3 {
        stage.read(&plan, false).await;
    }
    assert_eq!(stage.open().await, 0);

    // Parked scopes count by themselves.
    stage.sql("DELETE FROM users WHERE id > 1; DELETE FROM people WHERE id > 1; UPDATE people SET email = 'parked'").await;
    let key = Key(vec![Cell::UInt(1)]);
    let fold = plan::quote::bytes(&exceptions::identity(&plan.targets[0].folds(), &key));
    let parked = stage.db.control_table("exceptions");
    stage
        .sql(&format!(
            "INSERT INTO {parked} (target_table, scope_key, scope_fold, scope, kind, reason, since) VALUES ('people', '1', {fold}, {}, 'parked', 'duplicate', NOW(6))",
            plan::quote::text(&mysql::control::key_to_json(&key))
        ))
        .await;
    let read = &stage.read(&plan, false).await[0];
    assert_eq!((read.keys, read.differ, stage.open().await), (1, 0, 0), "{read:?}");
    stage.sql(&format!("DELETE FROM {parked}")).await;
    assert_eq!(stage.read(&plan, false).await[0].differ, 1);

    // A read that the plan does not name any more holds nothing.
    assert!(stage.read(&without, false).await.is_empty());
    assert_eq!(stage.open().await, 0);
}
