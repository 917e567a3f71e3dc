//! Drafted plans: a copy passes the checks as it is; a draft has the right shape and says what is guessed.
#![allow(clippy::unwrap_used)]

mod common;

use plan::Parameters;
use plan::catalog::Catalog;

async fn check(
    catalog: &Catalog,
    files: Vec<(String, String)>,
) -> Result<plan::checked::Checked, plan::Problems> {
    plan::parse_files(files.into_iter().collect())
        .and_then(|raw| plan::check(&raw, catalog, &Parameters::new()))
}

#[tokio::test]
async fn a_copy_of_odd_tables_is_a_sound_plan() {
    let tables = "
CREATE TABLE `order` (id INT, `select` VARCHAR(20) COLLATE utf8mb4_bin, `a ``b` DATE, twice INT AS (id * 2) STORED,
  PRIMARY KEY (`select`, id));
CREATE TABLE `we'ird; --x` (`null` BIGINT UNSIGNED PRIMARY KEY, payload JSON, moved TIMESTAMP NOT NULL DEFAULT NOW() ON UPDATE NOW());
CREATE TABLE `order_new` LIKE `order`;
CREATE TABLE `we'ird; --x_new` LIKE `we'ird; --x`;
";
    let (_, catalog) = common::catalog("plan_copy", tables).await;
    let names = ["order".to_string(), "we'ird; --x".to_string()];
    let files = plan::init::identity(&catalog, &names, "{table}_new").unwrap();
    let plan = check(&catalog, files).await.unwrap_or_else(|p| panic!("{}", p.render()));
    let shape: Vec<(usize, usize, bool)> = plan
        .targets
        .iter()
        .map(|t| (t.scope.len(), t.columns.len(), t.columns.iter().all(|c| c.same_type)))
        .collect();
    assert_eq!(shape, [(2, 3, true), (1, 3, true)]);

    assert!(plan::init::identity(&catalog, &names, "copy").unwrap_err().contains("{table}"));
    assert!(plan::init::identity(&catalog, &names, "{table}").unwrap_err().contains("itself"));
    assert!(plan::init::identity(&catalog, &["none".into()], "{table}_new").unwrap_err().contains("none"));
}

#[tokio::test]
async fn a_draft_says_what_it_guessed() {
    let legacy = "
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(190) NOT NULL);
CREATE TABLE requests (id BIGINT UNSIGNED PRIMARY KEY, created_by_user_id BIGINT UNSIGNED, sla_minutes INT, title VARCHAR(80),
  KEY ix_by (created_by_user_id));
";
    let successor = "
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(190) NOT NULL);
CREATE TABLE requests (id BIGINT UNSIGNED PRIMARY KEY, created_by_user_id BIGINT UNSIGNED, sla_minutes INT, title VARCHAR(80),
  sla_seconds INT, created_by_id BINARY(16), mood DATE);
CREATE TABLE requests_new (id BINARY(16) PRIMARY KEY, title VARCHAR(80), created_by_id BINARY(16), titel VARCHAR(80));
";
    let (_, old) = common::catalog("plan_draft_legacy", legacy).await;
    let (_, new) = common::catalog("plan_draft_successor", successor).await;
    let files = plan::init::draft(&old, &new);
    let text: String = files.iter().map(|(name, text)| format!("--- {name}\n{text}")).collect();
    insta::assert_snapshot!("draft", text);

    // Once the successors stand in the legacy schema the draft passes.
    let both = format!(
        "{}{}",
        legacy.split("CREATE TABLE requests").next().unwrap(),
        successor.split_once(";").unwrap().1
    );
    let (mut session, _) = common::catalog("plan_draft_both", &both).await;
    session.execute("ALTER TABLE requests ADD KEY ix_by (created_by_user_id)").await.unwrap();
    let catalog = mysql::catalog::load(&mut session, "plan_draft_both").await.unwrap();
    check(&catalog, files).await.unwrap_or_else(|p| panic!("{}", p.render()));
}
