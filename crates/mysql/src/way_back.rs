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
        let read = async {
            let sql = format!(
                "SELECT COUNT(*), COALESCE(SUM(mode <> 'off'), 0), (SELECT state FROM {} WHERE target = {t}) FROM {} WHERE target = {t}",
                forward.control_table("flag"),
                forward.control_table("lane"),
                t = text(target),
            );
            let row = session.row(&sql).await?;
            let number = |i| row.as_ref().map_or(Ok(None), |r| r.u64(i)).map(Option::unwrap_or_default);
            let state = row.as_ref().map_or(Ok(None), |r| r.text(2))?.unwrap_or("legacy").to_owned();
            Ok::<_, DbError>((number(0)?, number(1)?, state))
        };
        match read.await {
            Ok((0, ..)) => found.push(format!("`{target}` has no lanes there")),
            Ok((_, 1.., _)) => found.push(format!("`{target}` is not in mode `off` there")),
            Ok((_, 0, state)) if state == "legacy" => found.push(format!(
                "the flag of `{target}` is at `legacy` there: nobody writes its new side"
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

/// How to mend them.
pub const MEND: &str = "in that deployment: `crossfade mode set TARGET off --because …`, and its flag above `legacy`";
