//! How `up` begins and ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::servers::Mariadb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::small::Small;
use crate::{ask, refuses, support};

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_of_two_goes_on_and_the_older_says_why_it_stops() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_two").await?;
    let d = &small.deployment;
    let mut older = d.command(&["up"]).stderr(std::process::Stdio::piped()).spawn()?;
    let mut said = older.stderr.take().context("stderr")?;
    small.applied(&mut older).await?;

    let mut newer = d.start(&["up"])?;
    let ended =
        tokio::time::timeout(Duration::from_secs(30), older.wait()).await.context("the older goes on")??;
    let mut text = String::new();
    said.read_to_string(&mut text).await?;
    assert_eq!(ended.code(), Some(2), "{text}");
    let last = text.lines().filter(|l| l.starts_with("error: ")).collect::<String>();
    let clear = last.contains("another reader has taken over") || last.contains("this process was replaced");
    assert!(clear, "{text}");

    small.sql("UPDATE users SET minutes = 50 WHERE id = 1").await?;
    small.applied(&mut newer).await?;
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 1").await?, "3000");
    assert_eq!(support::terminate(&mut newer).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_in_good_order() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_term").await?;
    let mut up = small.up().await?;
    let began = Instant::now();
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // And in the middle of a start.
    let mut up = small.deployment.start(&["up"])?;
    testkit::wait::until("its sessions", Duration::from_secs(30), || async {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}'",
            small.deployment.schemas.legacy
        );
        match server.sql(&sql).await.map_err(|e| e.to_string())?.as_str() {
            "0" => Err("none".to_string()),
            _ => Ok(()),
        }
    })
    .await?;
    let began = Instant::now();
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    Ok(())
}

async fn scrape(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_numbers_can_be_scraped() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_metrics").await?;
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let mut up = small.deployment.start(&["up", "--listen", &address])?;
    small.applied(&mut up).await?;
    small.sql("UPDATE users SET minutes = 50 WHERE id = 1").await?;
    small.applied(&mut up).await?;
    let page = scrape(&address).await?;
    let value = |name: &str| -> Result<f64> {
        let line = page.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("{name} is missing in {page}"))?.parse()?)
    };
    for grown in [
        "crossfade_reader_published_rows_total",
        "crossfade_mapper_changes_total",
        "crossfade_writer_changed_rows_total",
    ] {
        assert!(value(grown)? >= 1.0, "{page}");
    }
    assert_eq!(value("crossfade_reader_connected")?, 1.0);
    assert!(value("crossfade_applied_age_seconds")? < 60.0, "{page}");

    // What the verdict says; a row that nobody may write is a finding.
    assert_eq!(value("crossfade_verdict{verdict=\"unknown\"}")?, 1.0, "{page}");
    small.deployment.yes(&["verify", "--once"]).await?;
    small.sql("UPDATE people SET email = 'eve' WHERE id = 2").await?;
    small.applied(&mut up).await?;
    testkit::wait::until("the numbers to follow", Duration::from_secs(30), || async {
        let page = scrape(&address).await.map_err(|e| e.to_string())?;
        let wanted = [
            "crossfade_verdict{verdict=\"unknown\"} 1",
            "crossfade_target_verdict{target=\"people\",verdict=\"unknown\"} 1",
            "crossfade_target_verdict{target=\"users\",verdict=\"ready\"} 1",
            "crossfade_target_verdict{target=\"users\",verdict=\"not_ready\"} 0",
            "crossfade_criterion{criterion=\"mappings complete\",verdict=\"ready\"} 1",
            "crossfade_open_findings{target=\"people\",kind=\"direct_write\"} 1",
            "crossfade_verdict_age_seconds ",
        ];
        match wanted.into_iter().find(|w| !page.lines().any(|l| l.starts_with(w))) {
            Some(missing) => Err(format!("{missing} is missing in {page}")),
            None => Ok(()),
        }
    })
    .await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn help_usage_and_completions() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_usage").await?;
    let d = &small.deployment;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ask(d, &["completions", shell]).await?;
        assert!(
            script.code == 0 && script.out.contains("preflight") && script.err.is_empty(),
            "{shell}: {}",
            script.err
        );
    }
    let help = ask(d, &["--help"]).await?;
    assert!(help.code == 0 && help.out.contains("Exit codes: 0 yes") && help.err.is_empty());
    let version = ask(d, &["--version"]).await?;
    assert_eq!((version.code, version.out.trim()), (0, concat!("crossfade ", env!("CARGO_PKG_VERSION"))));
    refuses(d, &[], &["Usage: crossfade"]).await?;
    refuses(d, &["bakcfill"], &["unrecognized subcommand 'bakcfill'", "'backfill'"]).await?;
    refuses(d, &["wait", "--timeout", "soon"], &["soon", "--timeout"]).await?;
    refuses(d, &["status", "--output", "xml"], &["xml", "text, json"]).await
}
