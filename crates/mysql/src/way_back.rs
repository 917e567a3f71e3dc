//! A plan for the way back writes what another deployment reads. Two writers would answer each other for ever, and an
//! old new side would overwrite the legacy one: the other deployment must leave these targets alone, and the application
//! must write the new side.

use plan::checked::Checked;
use plan::quote::text;

use crate::database::Database;
use crate::error::{Class, DbError};
use crate::session::Session;

/// Why a plan for the way back must not run now. Empty: it may, or it is no such plan.
pub async fn obstacles(
    session: &mut Session,
    database: &Database,
    plan: &Checked,
) -> Result<Vec<String>, DbError> {
    let Some(of) = &plan.reverse_of else { return Ok(vec![]) };
    if of.control_schema == database.control() {
        return Ok(vec![format!(
            "`{}` is the control schema of both: run this plan with another --control-schema",
            of.control_schema
        )]);
    }
    let forward = Database::new(database.url().clone(), &of.control_schema);
    let mut found = Vec::new();
    for target in &of.targets {
        match look(session, &forward, target).await {
            Ok(Seen { lanes: 0, .. }) => found.push(format!("`{target}` has no lanes there")),
            Ok(Seen { busy: 1.., .. }) => found.push(format!("`{target}` is not in mode `off` there")),
            Ok(Seen { flag, .. }) if flag == "legacy" => found
                .push(format!("the flag of `{target}` is at `legacy` there: nobody writes its new side")),
            Ok(Seen { parked: n @ 1.., .. }) => found.push(format!(
                "{n} scopes of `{target}` are parked there, waived or not: what the new side lacks would be lost"
            )),
            Ok(_) => {}
            Err(e) if e.class == Class::Connection => return Err(e),
            Err(e) => {
                found.push(format!("`{}` can't be read: {e}", of.control_schema));
                break;
            }
        }
    }
    Ok(found)
}

/// A target of the other deployment.
struct Seen {
    lanes: u64,
    /// Lanes that are not off.
    busy: u64,
    parked: u64,
    flag: String,
}

async fn look(session: &mut Session, forward: &Database, target: &str) -> Result<Seen, DbError> {
    let sql = format!(
        "SELECT COUNT(*), COALESCE(SUM(mode <> 'off'), 0), \
         (SELECT COUNT(DISTINCT scope_fold) FROM {} WHERE target_table = {t} AND kind = 'parked' AND closed_at IS NULL), \
         (SELECT state FROM {} WHERE target = {t}) FROM {} WHERE target = {t}",
        forward.control_table("exceptions"),
        forward.control_table("flag"),
        forward.control_table("lane"),
        t = text(target),
    );
    let row = session.row(&sql).await?;
    let number = |i| row.as_ref().map_or(Ok(None), |r| r.u64(i)).map(Option::unwrap_or_default);
    let flag = row.as_ref().map_or(Ok(None), |r| r.text(3))?.unwrap_or("legacy").to_owned();
    Ok(Seen { lanes: number(0)?, busy: number(1)?, parked: number(2)?, flag })
}

/// How to mend them.
pub const MEND: &str = "in that deployment: `crossfade mode set TARGET off --because …`, its flag above `legacy`, and no parked scopes";
