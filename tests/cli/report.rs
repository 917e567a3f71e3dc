//! The report on a real deployment, in both formats: all of it there, well-formed, and nothing in it is markup but its own.

use anyhow::{Context, Result, ensure};
use testkit::servers::Mariadb;

use crate::small::Small;
use crate::{ask, json, refuses, support};

const HOSTILE: &str = "<img src=x onerror=alert(1)> | **bold** \"quoted\" & 'so'";

/// The scope is a text, which holds what people put there.
const NOTES: &str =
    "shadow: notes_new\nfrom: notes\nscope: { name: notes.name }\ncolumns: { n: notes.n }\nrisk: high\n";
const LATER: &str = "shadow: later\nfrom: notes\nscope: { name: notes.name }\ncolumns: { n: notes.n }\nrisk: high\ndefer: { reason: \"owners <decide> first\", review_by: 2027-03-31 }\n";

/// Every element ends, in order; attributes are quoted; text has no bare `<` or `&`.
fn well_formed(page: &str) -> Result<Vec<String>> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").context("no doctype")?;
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    while let Some((text, after)) = rest.split_once('<') {
        entities(text)?;
        let (tag, behind) =
            after.split_once('>').with_context(|| format!("a tag without an end: {after:.80}"))?;
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            ensure!(last.as_deref() == Some(name), "</{name}> ends {last:?}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_string();
        ensure!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}>");
        ensure!(tag.matches('"').count() % 2 == 0 && !tag.contains('<'), "<{tag}>");
        entities(tag)?;
        seen.push(name.clone());
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    ensure!(open.is_empty() && rest.trim().is_empty(), "left open: {open:?}");
    Ok(seen)
}

fn entities(text: &str) -> Result<()> {
    for after in text.split('&').skip(1) {
        let name = after.split(';').next().unwrap_or_default();
        ensure!(["lt", "gt", "amp", "quot", "#39"].contains(&name), "&{after:.20}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_all_and_what_people_wrote_stays_text() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_report").await?;
    let d = &small.deployment;
    refuses(d, &["report"], &["there is no control schema"]).await?;
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, n INT NULL)"
        )
    };
    small.sql(&[table("notes"), table("notes_new"), table("later")].join(";")).await?;
    small
        .sql(&format!("INSERT INTO notes VALUES ('plain', 1), ('{}', 2)", HOSTILE.replace('\'', "''")))
        .await?;
    small.plan("notes_new.yaml", NOTES)?;
    small.plan("later.yaml", LATER)?;
    let mut up = small.up().await?;
    assert_eq!(ask(d, &["report"]).await?.code, 2, "nobody has looked yet");
    d.yes(&["verify", "--once"]).await?;

    let moved = format!("week one {HOSTILE}");
    json(d, &["flags", "set", "people", "dual_write", "--because", &moved], 0, "flag_set").await?;
    json(d, &["mode", "set", "people", "compare", "--because", "week one"], 0, "mode_set").await?;
    small.sql("START TRANSACTION; UPDATE users SET email = 'abe' WHERE id = 1; UPDATE people SET email = 'abe' WHERE id = 1; COMMIT").await?;
    // Somebody else changes a row behind our back: it is found, and repaired.
    small.sql("UPDATE notes_new SET n = 9").await?;
    small.applied(&mut up).await?;
    d.yes(&["verify", "--once"]).await?;
    // One email for two people: a parked scope is a definite no.
    json(d, &["mode", "set", "people", "write", "--because", "back"], 0, "mode_set").await?;
    small.sql("UPDATE users SET email = 'abe' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    d.run(&["verify", "--once"]).await?;

    let markdown = ask(d, &["report"]).await?;
    assert_eq!(markdown.code, 1, "{}", markdown.err);
    let file = small.file("report.html", "")?;
    let html = ask(d, &["report", "--format", "html", "--out", &file]).await?;
    assert_eq!((html.code, html.out.as_str()), (1, ""), "{}", html.err);
    let html = std::fs::read_to_string(&file)?;

    let seen = well_formed(&html)?;
    for wrong in ["img", "b", "script", "link", "iframe"] {
        assert!(!seen.iter().any(|name| name == wrong), "an element {wrong}");
    }
    assert_eq!(seen.iter().filter(|name| *name == "svg").count(), 2, "rows and dual writes");
    assert!(!html.contains("src=\"") && !html.contains("url("), "it loads nothing");
    assert!(
        html.contains("&lt;img src=x onerror=alert(1)&gt; | **bold** &quot;quoted&quot; &amp; &#39;so&#39;")
    );
    assert!(!markdown.out.contains("<img") && !markdown.out.contains("**bold**"), "{}", markdown.out);
    let table_rows = markdown.out.lines().filter(|l| l.starts_with("| notes\\_new |")).count();
    assert!(table_rows >= 3, "its target and its findings, a line each: {}", markdown.out);

    let digest = small.control("SELECT SHA2(body, 256) FROM verdict WHERE target = ''").await?;
    let last = small.control("SELECT LOWER(HEX(digest)) FROM audit ORDER BY id DESC LIMIT 1").await?;
    let plan = small.control("SELECT value FROM meta WHERE name = 'plan_digest'").await?;
    let unescaped = markdown.out.replace('\\', "").replace("&#58;", ":");
    for part in [
        digest.trim(),
        last.trim(),
        plan.trim(),
        "not_ready",
        "1 scopes are parked",
        "zero-change re-run",
        "identical dual writes",
        "operator",
        "dual_write",
        "duplicate",
        "2027-03-31",
        "week one",
        "different",
        "whole",
        env!("CARGO_PKG_VERSION"),
        "MariaDB",
        "Signature",
    ] {
        assert!(html.contains(part), "`{part}` is not in the page");
        assert!(unescaped.contains(part), "`{part}` is not in: {unescaped}");
    }
    assert!(html.contains("owners &lt;decide&gt; first"), "deferred with its reason");

    small.control("UPDATE audit SET because = 'somebody else' WHERE id = 1").await?;
    let broken = ask(d, &["report"]).await?.out;
    assert!(broken.contains("BROKEN at entry 1"), "{broken}");
    // A verdict that has expired says nothing, and its evidence is still there.
    small.control("UPDATE verdict SET expires_at = NOW(6) - INTERVAL 1 DAY").await?;
    let old = ask(d, &["report"]).await?;
    assert!(
        old.code == 2 && old.out.contains("the last verdict has expired") && old.out.contains("zero-change"),
        "{}",
        old.out
    );
    refuses(d, &["report", "--output", "json"], &["--format markdown", "crossfade verdict"]).await?;
    refuses(d, &["report", "--out", "/nowhere/at/all"], &["can't be written"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
