//! `crossfade pause` and `crossfade resume`.

use mysql::Database;
use mysql::control::hold;
use serde_json::json;

use crate::output::{self, Exit, Format};

pub async fn pause(db: &Database, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    hold::hold(&mut session, db, db.url().user()).await?;
    say(format, true, "passes are held; the stream goes on. `crossfade resume` lets them go on")
}

pub async fn resume(db: &Database, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    hold::release(&mut session, db).await?;
    say(format, false, "passes go on")
}

fn say(format: Format, held: bool, message: &str) -> anyhow::Result<Exit> {
    output::say(format, &json!({ "schema_version": 1, "held": held }), || message.into())?;
    Ok(Exit::Yes)
}
