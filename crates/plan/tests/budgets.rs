//! A plan's files are bounded: whatever stands in them, the answer comes fast and without much memory.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::{Duration, Instant};

fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.yaml"), "version: 1\n").unwrap();
    fs::write(folder.path().join("t.yaml"), text).unwrap();
    let start = Instant::now();
    let problems = plan::load(folder.path()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    problems.to_string()
}

#[test]
fn an_alias_bomb_is_defused() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (new, old) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        let list = vec![format!("*{old}"); 10].join(", ");
        bomb += &format!("{new}: &{new} [{list}]\n");
    }
    refused(&bomb);
    let inside = "table: t\ncolumns: &c { a: 1, b: 2 }\nlists:\n".to_string() + &"  - *c\n".repeat(100_000);
    refused(&inside);
}

#[test]
fn ten_thousand_levels_are_too_deep() {
    refused(&format!("table: {}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let mut block = String::new();
    for depth in 0..10_000 {
        block += &format!("{}a:\n", " ".repeat(depth.min(400)));
    }
    refused(&block);
}

#[test]
fn fifty_megabytes_are_too_much() {
    let problem = refused(&"# x\n".repeat(50 << 18));
    assert!(problem.contains("bytes"), "{problem}");
}

#[test]
fn a_deep_expression_is_refused() {
    let nested = format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let text = format!("table: t\ncolumns: {{ a: \"{nested}\" }}\n");
    let sources = [("plan.yaml", "version: 1\n"), ("t.yaml", &text)];
    let raw =
        plan::parse_files(sources.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect()).unwrap();
    let mut catalog = plan::catalog::Catalog {
        schema: "s".into(),
        flavour: plan::catalog::Flavour::MariaDb,
        tables: Default::default(),
    };
    let column = |name: &str| plan::catalog::Column {
        name: name.into(),
        data_type: "int".into(),
        column_type: "int".into(),
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
    };
    let table = plan::catalog::Table {
        name: "t".into(),
        engine: "InnoDB".into(),
        columns: vec![column("id"), column("a")],
        primary_key: vec!["id".into()],
        indexes: vec![plan::catalog::Index {
            name: "PRIMARY".into(),
            unique: true,
            columns: vec!["id".into()],
        }],
        foreign_keys: vec![],
        triggers: vec![],
    };
    catalog.tables.insert("t".into(), table);
    let start = Instant::now();
    let problems = plan::check(&raw, &catalog, &plan::Parameters::new()).unwrap_err().to_string();
    assert!(problems.contains("nested too deeply"), "{problems}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn an_empty_folder_and_a_missing_one_say_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(plan::load(folder.path()).unwrap_err().to_string().contains("plan.yaml"));
    assert!(plan::load(&folder.path().join("none")).unwrap_err().to_string().contains("can't be read"));
}
