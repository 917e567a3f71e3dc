//! `crossfade pause` and `crossfade resume`.

use mysql::Database;
use mysql::control::hold;

use crate::output::Exit;

pub async fn pause(db: &Database) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    hold::hold(&mut session, db, db.url().user()).await?;
    eprintln!("passes are held; the stream goes on. `crossfade resume` lets them go on");
    Ok(Exit::Yes)
}

pub async fn resume(db: &Database) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    hold::release(&mut session, db).await?;
    eprintln!("passes go on");
    Ok(Exit::Yes)
}
