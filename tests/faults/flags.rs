//! Who serves the flags dies while one moves.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testkit::servers::Mariadb;
use testkit::wait::until;
use tokio_util::sync::CancellationToken;

use crate::http::Site;
use crate::rig::{Rig, times};
use crate::support;

const STATES: [&str; 4] = ["legacy", "dual_write", "shadow_read", "new_read"];

/// What an application does: it asks all the time; who does not answer says legacy.
async fn ask(address: String, seen: Arc<Mutex<Vec<String>>>, stop: CancellationToken) {
    let site = Site { address };
    while !stop.is_cancelled() {
        let asked = site.post("/ofrep/v1/evaluate/flags/items_new", &[], json!({})).await;
        let answer = asked.and_then(|r| r.json());
        let value = answer.ok().and_then(|a| a["value"].as_str().map(str::to_owned));
        if let Ok(mut seen) = seen.lock() {
            seen.push(value.unwrap_or_else(|| "unreachable".into()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_the_flags_dies_while_one_moves() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F5 kill -9 of who serves the flags, while one moves").await?;
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    rig.deployment = rig.deployment.clone().set("CROSSFADE_CONSOLE", &address);
    rig.load();
    let mut up = rig.up().await?;
    let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let asking = tokio::spawn(ask(address, seen.clone(), stop.clone()));
    let flag =
        format!("SELECT COALESCE(MAX(state), 'legacy') FROM `{}`.flag", rig.deployment.schemas.control);
    let (kills, mut raised) = (times(4, 15), 0);
    for kill in 0..kills {
        // Up as far as the verdict lets it go, and now and then all the way down; the kill falls beside the move.
        let moved = until("a verdict that allows it", Duration::from_secs(60), || async {
            let at = server.sql(&flag).await.map_err(|e| e.to_string())?;
            let next = STATES.iter().position(|s| *s == at).and_then(|i| STATES.get(i + 1));
            let to = next.filter(|_| kill % 4 != 3).unwrap_or(&"legacy");
            let arguments = ["flags", "set", "items_new", to, "--because", "a kill is near"];
            match rig.deployment.run(&arguments).await {
                Ok(output) if output.status.success() => Ok(*to),
                Ok(output) => Err(String::from_utf8_lossy(&output.stdout).into_owned()),
                Err(e) => Err(e.to_string()),
            }
        });
        let pause = tokio::time::sleep(Duration::from_millis(300 * u64::from(kill % 3)));
        let killed = async {
            pause.await;
            support::kill(&mut up).await?;
            up = rig.deployment.start(&["up"])?;
            anyhow::Ok(())
        };
        let (moved, killed) = tokio::join!(moved, killed);
        let to = moved?;
        killed?;
        // It goes back by itself where a verdict falls.
        let now = server.sql(&flag).await?;
        ensure!(now == to || now == "dual_write", "set to {to}, and it is {now}");
        raised += u32::from(now != "legacy");
        rig.more(30).await?;
    }
    ensure!(raised > 0, "no flag ever went up");
    rig.deployment.yes(&["flags", "history"]).await.context("the trail is whole")?;
    stop.cancel();
    asking.await?;
    let seen = seen.lock().map(|s| s.clone()).unwrap_or_default();
    let served = seen.iter().filter(|s| STATES.contains(&s.as_str())).count();
    let other = seen.iter().find(|s| *s != "unreachable" && !STATES.contains(&s.as_str()));
    ensure!(other.is_none(), "an answer that is none: {other:?}");
    ensure!(served > 20 && served < seen.len(), "{served} of {} questions were answered", seen.len());
    rig.pass(
        &mut up,
        &format!(
            "{kills} kills; {served} of {} questions were answered, the others are `legacy`",
            seen.len()
        ),
    )
    .await
}
