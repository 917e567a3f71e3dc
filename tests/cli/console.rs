//! The console's API and the flags for applications, over HTTP.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::servers::Mariadb;
use testkit::wait::until;
use tokio::process::Child;

use crate::http::Site;
use crate::small::Small;
use crate::support;

const VIEWER: &str = "Authorization: Bearer viewer-0123456789";
const OPERATOR: &str = "Authorization: Bearer operator-0123456789";

async fn up(small: &Small<'_>, settings: &[&str]) -> Result<(Child, Site)> {
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let mut up = small.deployment.start(&[&["up", "--console", &address], settings].concat())?;
    small.applied(&mut up).await?;
    Ok((up, Site { address }))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_it_is_read_only_and_for_this_machine() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "console_open").await?;
    let (mut up, site) = up(&small, &[]).await?;
    let overview = site.get("/api/v1/overview", &[]).await?;
    let before = overview.json()?;
    assert_eq!((overview.status, &before["verdict"]["verdict"]), (200, &"unknown".into()), "{before}");
    assert_eq!(before["can_act"], false);
    small.deployment.yes(&["verify", "--once"]).await?;
    small.sql("UPDATE users SET boss_id = 99 WHERE id = 2").await?;
    small.applied(&mut up).await?;
    let now = until("the overview is of now", Duration::from_secs(20), || async {
        let now =
            site.get("/api/v1/overview", &[]).await.and_then(|r| r.json()).map_err(|e| e.to_string())?;
        if now["verdict"]["verdict"] == "ready" { Ok(now) } else { Err(now.to_string()) }
    })
    .await?;
    let criteria = now["verdict"]["criteria"].as_array().context("criteria")?;
    assert!(criteria.iter().any(|c| c["name"] == "mappings complete" && c["answer"] == "ready"), "{now}");
    let users = now["targets"].as_array().into_iter().flatten().find(|t| t["target"] == "users");
    let users = users.context("no users")?;
    assert_eq!((&users["phase"], &users["reports"]), (&"ready".into(), &1.into()), "{users}");
    assert_eq!(
        users["flag"],
        json!({"state": "legacy", "since": null, "by": null, "allowed_up": "dual_write", "blocked_because": null})
    );
    assert_eq!(now["services"].as_array().map(Vec::len), Some(5));
    assert_eq!(site.get("/api/v1/verdict", &[]).await?.json()?["verdict"], "ready");

    let target = site.get("/api/v1/targets/users", &[]).await?.json()?;
    assert_eq!(target["exceptions"][0]["missing_id"], "99", "{target}");
    assert!(target["lag"].as_array().is_some_and(|l| !l.is_empty()), "{target}");
    let part = &target["coverage"][0];
    assert!(part["high"].is_null() && part["rows"] == 3 && part["age_seconds"].is_u64(), "{target}");
    let page = site.get("/api/v1/exceptions?kind=report&limit=1", &[]).await?.json()?;
    assert_eq!((page["exceptions"].as_array().map(Vec::len), &page["next"]), (Some(1), &Value::Null));
    for missing in
        ["/api/v1/targets/nobody", "/api/v1/nothing", "/console/app.exe", "/console/..%2f..%2fCargo.toml"]
    {
        let reply = site.get(missing, &[]).await?;
        assert_eq!(reply.status, 404, "{missing}: {}", reply.body);
        assert_eq!(reply.json()?["error"]["code"], "NOT_FOUND");
    }

    let page = site.get("/", &[]).await?;
    assert!(page.status == 200 && page.body.contains("<title>Crossfade</title>"));
    assert!(
        page.header("content-security-policy").is_some_and(|p| p.contains("default-src 'none'")),
        "{}",
        page.head
    );
    assert_eq!(
        site.get("/console/app.js", &[]).await?.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );

    for (path, body) in [
        ("/api/v1/flags/users", json!({"to": "dual_write", "because": "x"})),
        ("/api/v1/exceptions/waive", json!({"ids": [1], "because": "x"})),
        ("/api/v1/exceptions/redrive", json!({"ids": [1]})),
    ] {
        assert_eq!(site.post(path, &[], body).await?.status, 403, "{path}");
    }
    let rebound = site.get("/api/v1/overview", &["Host: evil.example:80"]).await?;
    assert_eq!(rebound.status, 403, "{}", rebound.body);
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_have_roles_and_an_operator_may_act() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "console_tokens").await?;
    let tokens =
        small.file("tokens", "viewer vera viewer-0123456789\noperator olga operator-0123456789\n")?;
    let (mut up, site) = up(&small, &["--console-tokens", &tokens]).await?;
    for wrong in [&[][..], &["Authorization: Bearer viewer-012345678"], &["Authorization: Basic dmlld2Vy"]] {
        for path in ["/api/v1/overview", "/api/v1/events", "/api/v1/audit"] {
            let reply = site.get(path, wrong).await?;
            assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")), "{path}");
        }
        assert_eq!(site.post("/ofrep/v1/evaluate/flags", wrong, json!({})).await?.status, 401);
    }
    assert_eq!(site.get("/api/v1/overview", &[VIEWER]).await?.json()?["can_act"], false);
    assert_eq!(site.get("/api/v1/overview", &[OPERATOR]).await?.json()?["can_act"], true);

    let step = json!({"to": "dual_write", "because": "the week of the move"});
    assert_eq!(site.post("/api/v1/flags/people", &[VIEWER], step.clone()).await?.status, 403);
    let early = site.post("/api/v1/flags/people", &[OPERATOR], step.clone()).await?;
    assert_eq!((early.status, &early.json()?["error"]["code"]), (409, &"VERDICT".into()), "{}", early.body);
    small.deployment.yes(&["verify", "--once"]).await?;
    let moved = site.post("/api/v1/flags/people", &[OPERATOR], step).await?;
    assert_eq!((moved.status, &moved.json()?["flag"]["by"]), (200, &"olga".into()), "{}", moved.body);
    // A target that the application writes no more is the writer's again.
    small.deployment.yes(&["mode", "set", "people", "compare", "--because", "as planned"]).await?;
    let back = json!({"to": "legacy", "because": "not yet"});
    assert_eq!(site.post("/api/v1/flags/people", &[OPERATOR], back).await?.status, 200);
    assert_eq!(small.control("SELECT DISTINCT mode FROM lane").await?, "write");
    let unknown =
        site.post("/api/v1/flags/nobody", &[OPERATOR], json!({"to": "legacy", "because": "x"})).await?;
    assert_eq!(unknown.status, 404);

    small.sql("UPDATE users SET email = 'ann' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    let parked = site.get("/api/v1/exceptions?target=people&kind=parked", &[VIEWER]).await?.json()?;
    let id = parked["exceptions"][0]["id"].clone();
    let none =
        site.post("/api/v1/exceptions/waive", &[OPERATOR], json!({"ids": [id], "because": " "})).await?;
    assert_eq!(none.status, 400, "{}", none.body);
    let redriven = site.post("/api/v1/exceptions/redrive", &[OPERATOR], json!({"ids": [id]})).await?;
    assert_eq!(redriven.json()?, json!({"redriven": 1}));
    let waive = json!({"ids": [id], "because": "twins"});
    assert_eq!(
        site.post("/api/v1/exceptions/waive", &[OPERATOR], waive).await?.json()?,
        json!({"waived": 1})
    );

    let audit = site.get("/api/v1/audit", &[VIEWER]).await?.json()?;
    let said: Vec<String> = audit["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| format!("{} {} {}", e["who"], e["what"], e["because"]).replace('"', ""))
        .collect();
    let wanted = [
        "olga flag the week of the move",
        "cf mode as planned",
        "olga flag not yet",
        "olga mode not yet",
        "olga waive twins",
    ];
    assert_eq!(said, wanted);
    assert_eq!(audit["chain"], "intact");
    let target = site.get("/api/v1/targets/people", &[VIEWER]).await?.json()?;
    assert_eq!(target["history"].as_array().map(Vec::len), Some(2), "{target}");
    assert_eq!(support::terminate(&mut up).await?, Some(0));

    let open = small.deployment.run(&["up", "--console", "0.0.0.0:9301"]).await?;
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    ensure!(open.status.code() == Some(2) && said.contains("console-tokens"), "{said}");
    Ok(())
}

/// OFREP 0.3: single, bulk, what is not there, and a bulk answer that has not changed.
#[tokio::test(flavor = "multi_thread")]
async fn applications_ask_for_flags() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "console_ofrep").await?;
    let d = &small.deployment;
    let (mut up, site) = up(&small, &[]).await?;
    let context = json!({"context": {"targetingKey": "somebody"}});
    let one = |key: &'static str| {
        let context = context.clone();
        let site = &site;
        async move { site.post(&format!("/ofrep/v1/evaluate/flags/{key}"), &[], context).await }
    };
    let flag = one("people").await?;
    let wanted =
        json!({"key": "people", "reason": "STATIC", "variant": "legacy", "value": "legacy", "metadata": {}});
    assert_eq!((flag.status, flag.json()?), (200, wanted));
    let missing = one("nobody").await?;
    assert_eq!((missing.status, &missing.json()?["errorCode"]), (404, &"FLAG_NOT_FOUND".into()));

    let bulk = site.post("/ofrep/v1/evaluate/flags", &[], context.clone()).await?;
    let tag = bulk.header("etag").context("no ETag")?.to_owned();
    assert_eq!(bulk.json()?["flags"].as_array().map(Vec::len), Some(8));
    let known = format!("If-None-Match: {tag}");
    let same = site.post("/ofrep/v1/evaluate/flags", &[&known], context.clone()).await?;
    assert_eq!((same.status, same.body.as_str()), (304, ""));

    d.yes(&["verify", "--once"]).await?;
    d.yes(&["flags", "set", "people", "dual_write", "--because", "x"]).await?;
    let changed = site.post("/ofrep/v1/evaluate/flags", &[&known], context.clone()).await?;
    assert_eq!(changed.status, 200);
    assert_eq!(one("people.write_new").await?.json()?["value"], true);
    assert_eq!(one("people.read_new").await?.json()?["value"], false);
    d.yes(&["flags", "set", "people", "legacy", "--because", "back"]).await?;
    assert_eq!(one("people").await?.json()?["value"], "legacy", "a step down holds at once");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_nobody_reads_the_new_side_before_it_is_of_now() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "console_fresh").await?;
    small.sql("INSERT INTO users (id, email) SELECT seq, CONCAT('u', seq) FROM seq_10_to_20000").await?;
    let (mut first, site) = up(&small, &[]).await?;
    small.deployment.yes(&["verify", "--once"]).await?;
    for state in ["dual_write", "shadow_read", "new_read"] {
        small.deployment.yes(&["flags", "set", "people", state, "--because", "cutover"]).await?;
    }
    let served =
        async |site: &Site| site.post("/ofrep/v1/evaluate/flags/people", &[], json!({})).await?.json();
    until("new_read is served", Duration::from_secs(20), || async {
        let flag = served(&site).await.map_err(|e| e.to_string())?;
        if flag["value"] == "new_read" { Ok(()) } else { Err(flag.to_string()) }
    })
    .await?;
    assert_eq!(support::terminate(&mut first).await?, Some(0));

    small.sql("UPDATE users SET email = CONCAT(email, '!')").await?;
    let mut second = small.deployment.start(&["up", "--console", &site.address])?;
    let held = AtomicBool::new(false);
    until("new_read is served again", Duration::from_secs(60), || async {
        let flag = served(&site).await.map_err(|e| e.to_string())?;
        if flag["value"] == "new_read" {
            return Ok(());
        }
        assert_eq!(
            (&flag["value"], &flag["metadata"]["stored"]),
            (&"dual_write".into(), &"new_read".into()),
            "{flag}"
        );
        held.store(true, Relaxed);
        Err("held back".to_string())
    })
    .await?;
    let stale = "SELECT COUNT(*) FROM users u LEFT JOIN people p USING (id) WHERE NOT p.email <=> u.email";
    assert_eq!(small.sql(stale).await?, "0", "whoever reads now reads what is");
    assert!(held.load(Relaxed), "it was not held back for a moment");

    // A pipeline that stands still makes it old again, after its 30 s.
    let mut held = testkit::connect::to(&small.deployment.schemas.url).await?;
    let lanes = format!("SELECT * FROM `{}`.lane FOR UPDATE", small.deployment.schemas.control);
    held.begin().await?;
    held.rows(&lanes).await?;
    small.sql("UPDATE users SET email = 'late' WHERE id = 1").await?;
    until("new_read is held back again", Duration::from_secs(60), || async {
        let flag = served(&site).await.map_err(|e| e.to_string())?;
        if flag["value"] == "dual_write" { Ok(()) } else { Err(flag.to_string()) }
    })
    .await?;
    held.rollback().await?;
    until("new_read is served once more", Duration::from_secs(60), || async {
        let flag = served(&site).await.map_err(|e| e.to_string())?;
        if flag["value"] == "new_read" { Ok(()) } else { Err(flag.to_string()) }
    })
    .await?;
    assert_eq!(small.sql(stale).await?, "0");
    assert_eq!(support::terminate(&mut second).await?, Some(0));
    Ok(())
}
