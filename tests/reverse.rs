//! After cutover, and back: the application writes the new side only, the legacy side follows, and stepping down loses
//! nothing. The commands are those of docs/cutover.md.

#[path = "support/answer.rs"]
mod answer;
#[path = "support/schema.rs"]
mod schema;
mod support;

use std::time::Duration;

use answer::{ask, json, refuses};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::Deployment;
use testkit::servers::Mariadb;
use testkit::wait::until;

const SCHEMA: &str = "
CREATE TABLE users (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE requests (id BIGINT UNSIGNED NOT NULL PRIMARY KEY AUTO_INCREMENT, title VARCHAR(40) NOT NULL,
  owner_id BIGINT UNSIGNED NULL, minutes INT NULL, started DATETIME(6) NULL,
  owner_uuid BINARY(16) NULL, seconds INT NULL, started_at DATETIME(6) NULL, named VARCHAR(60) NULL, KEY ix_owner (owner_uuid));
CREATE TABLE notes (id INT NOT NULL PRIMARY KEY, body VARCHAR(100) NULL);
CREATE TABLE notes_new (id INT NOT NULL PRIMARY KEY, text VARCHAR(100) NULL);
INSERT INTO users VALUES (1, 'ann'), (2, 'bob'), (3, 'cid');
INSERT INTO requests (title, owner_id, minutes, started) SELECT CONCAT('r', seq), 1 + seq % 3, seq, NOW(6) FROM seq_1_to_40;
INSERT INTO requests (title, owner_id, minutes) VALUES ('an owner who is gone', 99, 1), ('more than seconds hold', 1, 100000000), ('none', NULL, NULL);
INSERT INTO notes SELECT seq, CONCAT('note ', seq) FROM seq_1_to_40;
";

const PLAN: [(&str, &str); 3] = [
    ("plan.yaml", "version: 1\nentities:\n  users: {}\n"),
    (
        "requests.yaml",
        "table: requests\ncolumns:\n  owner_uuid: { value: requests.owner_id, id_of: users }\n  seconds: requests.minutes * 60\n  started_at: requests.started\n  named: CONCAT(requests.title, '!')\nrefresh:\n  users: by_verifier\n",
    ),
    (
        "notes_new.yaml",
        "shadow: notes_new\nfrom: notes\nscope: { id: notes.id }\ncolumns: { text: notes.body }\n",
    ),
];

const LEGACY: &str = "SELECT GROUP_CONCAT(CONCAT_WS('|', id, title, owner_id, COALESCE(minutes, '-'), started) ORDER BY id) FROM requests; SELECT GROUP_CONCAT(id, body ORDER BY id) FROM notes";
const NEW: &str = "SELECT GROUP_CONCAT(CONCAT_WS('|', id, HEX(owner_uuid), COALESCE(seconds, '-'), started_at) ORDER BY id) FROM requests; SELECT GROUP_CONCAT(id, text ORDER BY id) FROM notes_new";

struct Here<'a> {
    server: &'a Mariadb,
    d: Deployment,
    /// Control schema and folder of the way back.
    control: String,
    folder: String,
    docs: String,
}

impl Here<'_> {
    async fn sql(&self, statements: &str) -> Result<String> {
        let head = format!("USE `{}`; SET group_concat_max_len = 1000000; ", self.d.schemas.legacy);
        self.server.sql(&format!("{head}{statements}")).await
    }

    /// What a documented command is here.
    fn command(&self, documented: &str) -> Result<Vec<String>> {
        ensure!(
            self.docs.contains(&format!("$ crossfade {documented}\n")),
            "docs/cutover.md does not say `crossfade {documented}`"
        );
        let word = |w: &str| match w {
            "crossfade_reverse" => self.control.clone(),
            "plan-reverse" => self.folder.clone(),
            other => other.to_string(),
        };
        Ok(documented.split(' ').map(word).collect())
    }

    async fn yes(&self, documented: &str) -> Result<String> {
        let command = self.command(documented)?;
        self.d.yes(&command.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The same of another target than the documented one.
    async fn yes_of(&self, target: &str, documented: &str) -> Result<String> {
        let mut command = self.command(documented)?;
        command.iter_mut().filter(|w| *w == "requests").for_each(|w| *w = target.into());
        self.d.yes(&command.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn settled(&self) -> Result<()> {
        self.yes("wait --control-schema crossfade_reverse").await.map(drop)
    }

    async fn verdict(&self) -> Result<(i32, Value)> {
        let arguments =
            self.command("verify --once --plan plan-reverse --control-schema crossfade_reverse")?;
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--output", "json"]);
        let answer = ask(&self.d, &arguments).await?;
        Ok((answer.code, serde_json::from_str(&answer.out).context(answer.err)?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_legacy_side_follows_the_new_one_and_stepping_down_loses_nothing() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("reverse").await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("plan"))?;
    for (file, text) in PLAN {
        std::fs::write(path("plan").join(file), text)?;
    }
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cutover.md");
    let here = Here {
        server,
        control: format!("{}_back", schemas.control),
        folder: path("back").to_string_lossy().into_owned(),
        d: Deployment::new(schemas, path("plan")),
        docs: std::fs::read_to_string(docs)?,
    };
    here.sql(SCHEMA).await?;
    let mut forward = here.d.start(&["up"])?;
    here.d.begun().await?;
    here.yes("wait").await?;
    here.yes("verify --once").await?;
    for state in ["dual_write", "shadow_read", "new_read"] {
        for target in ["requests", "notes_new"] {
            here.d.yes(&["flags", "set", target, state, "--because", "cutover"]).await?;
        }
    }

    // F31: whoever runs dies after each step, and goes on.
    support::kill(&mut forward).await?;
    forward = here.d.start(&["up"])?;

    // The plan for the way back.
    let explained = here.yes("plan explain --only requests").await?;
    ensure!(explained.contains("seconds: minutes = requests.seconds DIV 60"), "{explained}");
    ensure!(explained.contains("named: cannot be inverted: CONCAT is not known"), "{explained}");
    let made = json(
        &here.d,
        &["plan", "reverse", "--into", path("other").to_string_lossy().as_ref()],
        0,
        "plan_reverse",
    )
    .await?;
    assert_eq!(made["targets"], serde_json::json!(["notes", "requests"]));
    assert_eq!(made["left_out"].as_array().map(Vec::len), Some(1), "{made}");
    here.yes("plan reverse --into plan-reverse").await?;
    refuses(&here.d, &["plan", "reverse", "--into", here.folder.as_str()], &["exists already"]).await?;
    here.yes("plan check --plan plan-reverse").await?;
    std::fs::create_dir_all(path("none"))?;
    std::fs::write(path("none/plan.yaml"), "version: 1\n")?;
    std::fs::write(path("none/requests.yaml"), "table: requests\ncolumns: { named: \"'x'\" }\n")?;
    let none = path("none").to_string_lossy().into_owned();
    let parts = ["nothing of this plan can be inverted", "requests.named: a constant says nothing"];
    refuses(&here.d, &["plan", "reverse", "--plan", none.as_str(), "--into", "nowhere"], &parts).await?;

    // Not while the forward deployment writes.
    let up = here.command("up --plan plan-reverse --control-schema crossfade_reverse")?;
    let up: Vec<&str> = up.iter().map(String::as_str).collect();
    refuses(&here.d, &up, &["`requests` is not in mode `off`"]).await?;
    for target in ["requests", "notes_new"] {
        here.yes_of(target, "mode set requests off --because CHG-1240").await?;
    }
    // Nor while nobody writes the new side, nor with rows that it lacks.
    let control = |statement: &str| format!("USE `{}`; {statement}", here.d.schemas.control);
    for (wrong, message, right) in [
        (
            "UPDATE flag SET state = 'legacy' WHERE target = 'notes_new'",
            "the flag of `notes_new` is at `legacy`",
            "UPDATE flag SET state = 'new_read' WHERE target = 'notes_new'",
        ),
        (
            "INSERT INTO exceptions (target_table, scope_key, scope_fold, scope, kind, reason, since, waived_at) SELECT target_table, scope_key, scope_fold, scope, 'parked', 'row_error', NOW(6), NOW(6) FROM exceptions LIMIT 1",
            "1 scopes of `requests` are parked",
            "DELETE FROM exceptions WHERE reason = 'row_error'",
        ),
    ] {
        server.sql(&control(wrong)).await?;
        refuses(&here.d, &up, &[message]).await?;
        server.sql(&control(right)).await?;
    }
    let (legacy, new) = (here.sql(LEGACY).await?, here.sql(NEW).await?);
    let mut back = here.d.start(&up)?;
    until("the way back to begin", Duration::from_secs(60), async || {
        let lanes = server.sql(&format!("SELECT COUNT(*) FROM `{}`.lane", here.control)).await;
        if lanes.as_deref().is_ok_and(|n| n.trim() != "0") { Ok(()) } else { Err(format!("{lanes:?}")) }
    })
    .await?;
    ensure!(back.try_wait()?.is_none(), "it has ended");
    here.settled().await?;
    let changed = server.sql(&format!("SELECT SUM(changed), COUNT(*) FROM `{}`.pass", here.control)).await?;
    assert_eq!(changed.trim(), "0\t2", "the inverse of what is there changes nothing");
    assert_eq!(here.sql(LEGACY).await?, legacy);
    let (code, verdict) = here.verdict().await?;
    assert_eq!((code, &verdict["verdict"]), (0, &"ready".into()), "{verdict}");

    // The application writes the new side only.
    let uuid = |user: u8| format!("(SELECT uuid_binary FROM users_id_map WHERE legacy_id = {user})");
    here.sql(&format!(
        "UPDATE requests SET seconds = 1800, owner_uuid = {} WHERE id = 1;
         UPDATE requests SET owner_uuid = NULL, seconds = NULL, started_at = NULL WHERE id = 2;
         DELETE FROM requests WHERE id = 3;
         INSERT INTO requests (title, seconds, owner_uuid, started_at) VALUES ('new', 60, {}, '2030-01-01 00:00:00.000001');
         UPDATE requests SET seconds = 600 WHERE title LIKE 'more than%';
         UPDATE requests SET seconds = 61 WHERE id = 4;
         UPDATE requests SET owner_uuid = UNHEX(MD5('nobody')) WHERE id = 5;
         INSERT INTO notes_new VALUES (100, 'added'); UPDATE notes_new SET text = 'changed' WHERE id = 1;
         UPDATE notes_new SET id = 200 WHERE id = 2; DELETE FROM notes_new WHERE id = 3",
        uuid(1),
        uuid(3),
    ))
    .await?;
    support::kill(&mut back).await?;
    back = here.d.start(&up)?;
    here.settled().await?;
    let row =
        |id: &str| format!("SELECT CONCAT_WS('|', owner_id, minutes, started) FROM requests WHERE {id}");
    assert_eq!(here.sql(&row("id = 1")).await?.split('|').take(2).collect::<Vec<_>>(), ["1", "30"]);
    assert_eq!(here.sql(&row("id = 2")).await?, "");
    assert_eq!(here.sql(&row("title = 'new'")).await?, "3|1|2030-01-01 00:00:00.000001");
    assert_eq!(here.sql(&row("title LIKE 'more than%'")).await?, "1|10");
    assert_eq!(here.sql(&row("title LIKE 'an owner%'")).await?, "99|1", "nobody touched it");
    let notes = "SELECT GROUP_CONCAT(id, ' ', body ORDER BY id) FROM notes WHERE id < 4 OR id > 40";
    assert_eq!(here.sql(notes).await?, "1 changed,100 added,200 note 2");

    // What the legacy columns can't say is refused, and stands against the verdict.
    assert_eq!(
        here.sql("SELECT GROUP_CONCAT(minutes ORDER BY id) FROM requests WHERE id IN (4, 5)").await?,
        "4,5"
    );
    let parked = format!(
        "SELECT GROUP_CONCAT(scope_key, ' ', reason ORDER BY scope_key) FROM `{}`.exceptions WHERE kind = 'parked' AND closed_at IS NULL",
        here.control
    );
    assert_eq!(server.sql(&parked).await?.trim(), "4 does_not_fit,5 does_not_fit");
    let (code, verdict) = here.verdict().await?;
    assert_eq!((code, &verdict["verdict"]), (1, &"not_ready".into()), "{verdict}");
    // A user whom the map learns of later is found by the index on the UUID.
    here.sql("INSERT INTO users_id_map (legacy_id, uuid_binary) VALUES (77, UNHEX(MD5('nobody'))); UPDATE requests SET seconds = 7200 WHERE id = 4").await?;
    here.settled().await?;
    let mended = "SELECT GROUP_CONCAT(owner_id, ' ', minutes ORDER BY id) FROM requests WHERE id IN (4, 5)";
    assert_eq!(here.sql(mended).await?, "2 120,77 5");
    here.sql(&format!("UPDATE requests SET owner_uuid = {} WHERE id = 5", uuid(2))).await?;
    here.settled().await?;
    let (code, verdict) = here.verdict().await?;
    assert_eq!((code, &verdict["verdict"]), (0, &"ready".into()), "{verdict}");

    // And back.
    let written = here.sql(NEW).await?;
    assert_ne!(written, new);
    for target in ["requests", "notes_new"] {
        here.yes_of(target, "flags set requests dual_write --because CHG-1250").await?;
    }
    // From here on the application writes both sides again.
    here.sql("UPDATE requests SET minutes = 9, seconds = 540 WHERE id = 9").await?;
    support::kill(&mut back).await?;
    back = here.d.start(&up)?;
    here.settled().await?;
    assert_eq!(support::terminate(&mut back).await?, Some(0));
    for target in ["requests", "notes_new"] {
        here.yes_of(target, "mode set requests write --because CHG-1250").await?;
    }
    support::kill(&mut forward).await?;
    forward = here.d.start(&["up"])?;
    here.yes("wait").await?;
    here.yes("verify --once").await?;
    assert_eq!(here.sql(NEW).await?, written, "nothing of what the application wrote is lost");
    for target in ["requests", "notes_new"] {
        here.yes_of(target, "flags set requests legacy --because CHG-1250").await?;
    }
    here.sql("UPDATE requests SET minutes = 11 WHERE title = 'new'; DELETE FROM notes WHERE id = 100")
        .await?;
    here.yes("wait").await?;
    let followed =
        "SELECT seconds, (SELECT COUNT(*) FROM notes_new WHERE id = 100) FROM requests WHERE title = 'new'";
    assert_eq!(here.sql(followed).await?, "660\t0", "legacy leads again");
    here.yes("verify --once").await?;
    assert_eq!(support::terminate(&mut forward).await?, Some(0));
    Ok(())
}
