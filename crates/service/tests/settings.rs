//! Settings from flags and files.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use service::{Args, BusChoice, Settings, SettingsError};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    args: Args,
}

fn resolve(flags: &[&str]) -> Result<Settings, SettingsError> {
    let flags = ["program"].iter().chain(flags);
    Settings::resolve(Program::try_parse_from(flags).unwrap().args)
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

const URL: &str = "mysql://u:s3cret@127.0.0.1/app";

#[test]
fn defaults_need_only_a_database() {
    let settings = resolve(&["--database", URL]).unwrap();
    assert_eq!((settings.control_schema.as_str(), settings.lanes), ("crossfade", 4));
    assert_eq!(settings.lock_budget.as_millis(), 50);
    assert!(matches!(settings.bus, BusChoice::InProcess));
    assert_eq!(settings.namespace, ids::default_namespace());
    assert!(settings.listen.is_none() && settings.console.is_none(), "nothing is served unless asked for");
    assert!(!settings.instance.is_empty());
}

#[test]
fn flags_win_over_the_file() {
    let (_dir, path) = file(
        "crossfade.yaml",
        "database: mysql://file:s3cret@127.0.0.1/app\nlanes: 8\nsource: \"01\"\ninclude_deferred: true\n\
         params: { system_admin: 1, note: a=b }\nreplicas: [\"mysql://u@127.0.0.1/app\"]\nmax_replica_lag: 10s\n\
         bus: kafka://broker:9092\nplan: plans/phase2\n",
    );
    let settings = resolve(&["--config", &path, "--lanes", "2", "--param", "system_admin=7"]).unwrap();
    assert_eq!((settings.lanes, settings.source.as_str(), settings.include_deferred), (2, "01", true));
    assert_eq!(settings.params["system_admin"], "7");
    assert_eq!(settings.params["note"], "a=b");
    assert_eq!(settings.throttle.replica_lag.unwrap().as_secs(), 10);
    assert_eq!(settings.database.user(), "file");
    assert_eq!(settings.plan, std::path::Path::new("plans/phase2"));
}

#[test]
fn the_file_takes_no_unknown_key() {
    let (_dir, path) = file("crossfade.yaml", "lanse: 8\n");
    let error = resolve(&["--config", &path]).unwrap_err().to_string();
    assert!(error.contains("lanse") && error.contains(&path), "{error}");
}

#[test]
fn everything_wrong_is_said_at_once_and_no_secret_is_shown() {
    let wrong = [
        "--database",
        "mysql://u:s3cret@host",
        "--lanes",
        "0",
        "--bus",
        "amqp://u:s3cret@b",
        "--lock-budget-ms",
        "x",
        "--listen",
        "9300",
        "--verify-every",
        "soon",
        "--repair-limit",
        "some",
        "--namespace",
        "n",
        "--param",
        "s",
        "--max-replica-lag",
        "1s",
        "--log-format",
        "xml",
        "--insecure",
        "maybe",
    ];
    let error = resolve(&wrong).unwrap_err();
    let text = error.to_string();
    for key in [
        "database:",
        "lanes:",
        "bus:",
        "lock-budget-ms:",
        "listen:",
        "verify-every:",
        "repair-limit:",
        "namespace:",
        "param:",
        "max-replica-lag:",
        "log-format:",
        "insecure:",
    ] {
        assert!(text.contains(key), "{key} is missing in {text}");
    }
    assert!(!text.contains("s3cret") && !format!("{error:?}").contains("s3cret"), "{text}");
    let missing = resolve(&[]).unwrap_err().to_string();
    assert!(missing.contains("CROSSFADE_DATABASE=mysql://"), "{missing}");
    assert!(
        resolve(&["--database", "mysql://u@127.0.0.1/crossfade"]).is_err(),
        "control and legacy schema are one"
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let (_dir, properties) = file("kafka.properties", "# secrets\nsasl.password=s3cret=\n\nclient.id = me\n");
    let flags = [
        "--database",
        URL,
        "--bus",
        "kafka://b:9092?sasl.password=s3cret",
        "--kafka-properties-file",
        &properties,
    ];
    let settings = resolve(&flags).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
    let BusChoice::Kafka { properties, .. } = &settings.bus else { panic!("not Kafka") };
    assert_eq!((properties["sasl.password"].as_str(), properties["client.id"].as_str()), ("s3cret=", "me"));
    let args = Program::try_parse_from(["program"].iter().chain(&flags)).unwrap().args;
    assert!(!format!("{args:?}").contains("s3cret"), "{args:?}");
}

#[test]
fn the_database_may_stand_in_a_file() {
    let (_dir, path) = file("url", &format!("{URL}\n"));
    let settings = resolve(&["--database-file", &path]).unwrap();
    assert_eq!(settings.database.schema(), "app");
    assert!(settings.database_file.is_some());
    assert!(resolve(&["--database-file", "/nowhere"]).unwrap_err().to_string().contains("/nowhere"));
}
