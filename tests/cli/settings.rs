//! Every setting is a flag, a variable and a key of crossfade.yaml; and no secret is ever printed.

use anyhow::{Context, Result, ensure};
use clap::Args as _;
use testkit::servers::Mariadb;
use tokio::process::Command;

use crate::small::Small;
use crate::{Answer, ask};

const URL: &str = "mysql://u:s3cret@127.0.0.1:1/app";

/// Flag, and a value that is refused. `None`: any value is right.
const SETTINGS: &[(&str, Option<&str>)] = &[
    ("database", Some("mysql://u@127.0.0.1")),
    ("database-file", Some("/nowhere/url")),
    ("control-schema", Some("a b")),
    ("source", Some("a b")),
    ("plan", None),
    ("param", Some("nameless")),
    ("bus", Some("amqp://b")),
    ("kafka-properties-file", Some("/nowhere/properties")),
    ("insecure", Some("maybe")),
    ("topic-prefix", Some("a b")),
    ("lanes", Some("0")),
    ("namespace", Some("nil")),
    ("include-deferred", Some("maybe")),
    ("lock-budget-ms", Some("0")),
    ("chunk-budget-ms", Some("0")),
    ("verify-every", Some("soon")),
    ("verify-share", Some("0")),
    ("repair-limit", Some("some")),
    ("replica", Some("mysql://u@127.0.0.1")),
    ("max-replica-lag", Some("soon")),
    ("max-threads-running", Some("few")),
    ("max-history-length", Some("short")),
    ("listen", Some("9300")),
    ("console", Some("9301")),
    ("console-tokens", Some("/nowhere/tokens")),
    ("step-down", Some("sometimes")),
    ("output", Some("xml")),
    ("log-format", Some("xml")),
    ("log-filter", Some("a=b=c")),
    ("otlp-endpoint", Some("collector:4317")),
    ("instance", None),
];

/// The names that do not follow from the flag.
fn variable(flag: &str) -> String {
    match flag {
        "log-filter" => "CROSSFADE_LOG".into(),
        "param" => "CROSSFADE_PARAMS".into(),
        "replica" => "CROSSFADE_REPLICAS".into(),
        other => format!("CROSSFADE_{}", other.replace('-', "_").to_uppercase()),
    }
}

fn key(flag: &str) -> String {
    match flag {
        "replica" => "replicas".into(),
        other => other.replace('-', "_"),
    }
}

/// `health` with nothing but these settings: it reads them all and asks nobody.
async fn health(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Answer> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CROSSFADE_")) {
        command.env_remove(name);
    }
    let folder = tempfile::tempdir()?;
    command.current_dir(folder.path()).arg("health").args(arguments).envs(variables.iter().copied());
    let output = command.output().await?;
    let text = |bytes| String::from_utf8(bytes).context("not UTF-8");
    Ok(Answer {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout)?,
        err: text(output.stderr)?,
    })
}

#[tokio::test]
async fn every_setting_is_a_flag_a_variable_and_a_key_of_the_file() -> Result<()> {
    let command = service::Args::augment_args(clap::Command::new("x"));
    let flags: Vec<&str> =
        command.get_arguments().filter_map(|a| a.get_long()).filter(|l| *l != "config").collect();
    assert_eq!(
        flags,
        SETTINGS.iter().map(|(flag, _)| *flag).collect::<Vec<_>>(),
        "a setting without its line here"
    );
    for argument in command.get_arguments() {
        let flag = argument.get_long().context("every setting has a flag")?;
        assert_eq!(argument.get_env().and_then(|e| e.to_str()), Some(variable(flag).as_str()));
        assert!(argument.is_global_set(), "--{flag} stands only before the command");
    }

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("settings.yaml");
    for (flag, wrong) in SETTINGS {
        let value = wrong.unwrap_or("anything");
        let base = if flag.starts_with("database") { vec![] } else { vec![("CROSSFADE_DATABASE", URL)] };
        let long = format!("--{flag}={value}");
        let by_flag = health(&[&long], &base).await?;
        let name = variable(flag);
        let by_variable = health(&[], &[base.clone(), vec![(name.as_str(), value)]].concat()).await?;
        let text = match *flag {
            "param" => "params: nameless".to_string(),
            "replica" => format!("replicas: [\"{value}\"]"),
            _ => format!("{}: \"{value}\"", key(flag)),
        };
        std::fs::write(&path, text)?;
        let config = path.to_str().context("a path")?;
        let by_file = health(&["--config", config], &base).await?;
        for (way, answer) in [("flag", by_flag), ("variable", by_variable), ("file", by_file)] {
            ensure!(answer.code == 2, "{flag} as {way}: {}", answer.err);
            ensure!(
                !answer.err.contains("unknown field") && !answer.err.contains("unexpected argument"),
                "{flag} as {way}: {}",
                answer.err
            );
            match wrong {
                None => {
                    ensure!(answer.err.contains("`listen` is not set"), "{flag} as {way}: {}", answer.err)
                }
                Some(_) => {
                    let said = answer.err.contains(&format!("{flag}:"))
                        || answer.err.contains(&format!("{}:", key(flag)));
                    ensure!(
                        said || answer.err.contains("params"),
                        "{flag} as {way} has no effect: {}",
                        answer.err
                    );
                }
            }
            ensure!(!answer.err.contains("s3cret"), "{flag} as {way}: {}", answer.err);
        }
    }
    Ok(())
}

#[tokio::test]
async fn flags_go_before_variables_before_the_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("settings.yaml");
    std::fs::write(&path, "listen: file\nparams: { admin: 1 }\n")?;
    let config = ["--config", path.to_str().context("a path")?];
    let file = health(&config, &[("CROSSFADE_DATABASE", URL)]).await?;
    assert!(file.err.contains("`file`"), "{}", file.err);
    let variables = [("CROSSFADE_DATABASE", URL), ("CROSSFADE_LISTEN", "variable")];
    let variable = health(&config, &variables).await?;
    assert!(variable.err.contains("`variable`") && !variable.err.contains("`file`"), "{}", variable.err);
    let flag = health(&[&config[..], &["--listen", "flag"]].concat(), &variables).await?;
    assert!(flag.err.contains("`flag`") && !flag.err.contains("`variable`"), "{}", flag.err);
    // Which file? The one in the working directory, if there is one.
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    std::fs::write(folder.path().join("crossfade.yaml"), "lanse: 8\n")?;
    command
        .current_dir(folder.path())
        .arg("health")
        .env("CROSSFADE_DATABASE", URL)
        .env_remove("CROSSFADE_CONFIG");
    let unknown = String::from_utf8(command.output().await?.stderr)?;
    assert!(
        unknown.contains("crossfade.yaml") && unknown.contains("lanse") && unknown.contains("lanes"),
        "{unknown}"
    );
    let missing = health(&["--config", "/nowhere.yaml"], &[]).await?;
    assert!(missing.code == 2 && missing.err.contains("/nowhere.yaml: can't be read"), "{}", missing.err);
    Ok(())
}

/// Neither the password nor what stands in the application's rows, in no output and at no level of the log.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_at_any_level() -> Result<()> {
    const PASSWORD: &str = "p4ssw0rd-of-a-test";
    const CELL: &str = "cell-of-a-test";
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_secret").await?;
    let account = format!("secret_{}", std::process::id());
    let create = format!(
        "CREATE OR REPLACE USER {account}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {account}@'127.0.0.1'"
    );
    server.sql(&create).await?;
    small.sql(&format!("UPDATE users SET email = '{CELL}' WHERE id IN (1, 2)")).await?;
    let url = &mut small.deployment.schemas.url;
    *url = url.replace("//cf:cf@", &format!("//{account}:{PASSWORD}@"));
    small.deployment = small.deployment.clone().set("CROSSFADE_LOG", "trace");
    let d = &small.deployment;

    let mut said = String::new();
    let mut up = d.command(&["up"]);
    up.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let up = up.spawn()?;
    let pid = up.id().context("it runs")?.to_string();
    let running = tokio::spawn(up.wait_with_output());
    testkit::wait::until("crossfade up", std::time::Duration::from_secs(60), || async {
        small
            .control("SELECT COUNT(*) FROM applied WHERE position IS NOT NULL")
            .await
            .map_err(|e| e.to_string())
            .and_then(|n| if n == "1" { Ok(()) } else { Err(n) })
    })
    .await?;
    small.sql(&format!("UPDATE users SET email = '{CELL}' WHERE id = 3")).await?;
    for command in [
        &["wait"][..],
        &["preflight"],
        &["preflight", "--print-grants"],
        &["plan", "check"],
        &["plan", "explain"],
        &["verify", "--once"],
        &["verdict"],
        &["status"],
        &["exceptions", "list"],
        &["exceptions", "redrive"],
        &["--help"],
        &["up", "--nonsense"],
    ] {
        for format in ["text", "json"] {
            let answer = ask(d, &[command, &["--output", format]].concat()).await?;
            said += &answer.out;
            said += &answer.err;
        }
    }
    std::process::Command::new("kill").args(["-TERM", &pid]).status()?;
    let output = running.await??;
    for bytes in [output.stdout, output.stderr] {
        said += &String::from_utf8_lossy(&bytes);
    }
    assert!(said.contains("TRACE"), "the log is on");
    // Errors that quote their source.
    for (from, to) in [(PASSWORD, "wr0ng-of-a-test"), ("mysql://", "mysq://"), ("127.0.0.1:", "127.0.0.1:1")]
    {
        let mut other = d.clone();
        other.schemas.url = d.schemas.url.replace(from, to);
        let answer = ask(&other, &["status"]).await?;
        ensure!(answer.code == 2 && !answer.err.contains("wr0ng-of"), "{}", answer.err);
        said += &answer.err;
    }
    server.sql(&format!("DROP USER {account}@'127.0.0.1'")).await?;

    for secret in [PASSWORD, CELL] {
        if let Some(at) = said.find(secret) {
            let (from, to) =
                (said[..at].rfind('\n').unwrap_or(0), said[at..].find('\n').map_or(said.len(), |e| at + e));
            panic!("`{secret}` is printed: {}", &said[from..to]);
        }
    }
    Ok(())
}
