//! The audit trail, its request logs and legal holds.

use super::{Deal, World};
use crate::connect::text;

/// An audit entry as a statement of its own.
pub fn entry(world: &mut World, entity: &str, id: &str, action: &str) -> String {
    let (key, actor, time) = (world.fresh("audit_logs"), world.user(), world.time());
    let log = if world.percent(40) { world.maybe("request_logs") } else { "NULL".into() };
    let entity = if world.percent(4) { entity.to_uppercase() + " " } else { entity.to_string() };
    let action = if world.percent(4) { action.to_uppercase() } else { action.to_string() };
    format!(
        "INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at) \
         VALUES ({key}, {}, {}, {}, {actor}, {log}, {time})",
        text(&entity),
        text(id),
        text(&action)
    )
}

pub fn write(world: &mut World, deal: &mut Deal) {
    for _ in 0..1 + world.below(3) {
        let (kind, action) = some_entity(world);
        let id = some_id(world, kind);
        let statement = entry(world, kind, &id, action);
        deal.sql(statement);
    }
}

fn some_entity(world: &mut World) -> (&'static str, &'static str) {
    match world.below(10) {
        0..3 => ("users", "update"),
        3..5 => ("assignments", "create"),
        5..8 => ("delays", "approve"),
        8 => ("delay_justifications", "approve"),
        _ => ("requests", "update"),
    }
}

fn some_id(world: &mut World, kind: &'static str) -> String {
    if kind == "requests" {
        return world.request();
    }
    let id = world.any(kind);
    match world.below(30) {
        0 => format!("0{id}"),
        1 => format!("{id}abc"),
        2 => format!("+{id}"),
        3 => format!("{id} "),
        _ => id.to_string(),
    }
}

pub fn edit(world: &mut World, deal: &mut Deal) {
    let id = world.any("audit_logs");
    let set = match world.below(9) {
        0 => format!("actor_user_id = {}", world.user()),
        1 => format!("created_at = {}", world.time()),
        2 => format!("action = '{}'", world.one_of(&["create", "approve", "APPROVE", "update", "reject"])),
        3 => format!("request_log_id = {}", world.maybe("request_logs")),
        4 | 5 => {
            let (kind, action) = some_entity(world);
            format!(
                "entity_type = '{kind}', entity_id = {}, action = '{action}'",
                text(&some_id(world, kind))
            )
        }
        6 => format!("id = {}", world.fresh("audit_logs")),
        7 => "details = '{\"impact\": \"changed\"}'".into(),
        _ => {
            deal.sql(format!("DELETE FROM audit_logs WHERE id = {id}"));
            return;
        }
    };
    deal.sql(format!("UPDATE audit_logs SET {set} WHERE id = {id}"));
}

pub fn hold(world: &mut World, deal: &mut Deal) {
    let (id, old, entry) = (world.fresh("legal_holds"), world.any("legal_holds"), world.any("audit_logs"));
    let (by, time, reason) = (world.user(), world.time(), text(&world.text()));
    deal.sql(match world.below(8) {
        0 => format!("DELETE FROM legal_holds WHERE id = {old}"),
        1 => format!("UPDATE legal_holds SET id = {id} WHERE id = {old}"),
        2 => format!("UPDATE legal_holds SET audit_log_id = {entry} WHERE id = {old}"),
        3 => format!("UPDATE legal_holds SET held_by_user_id = {by}, reason = {reason} WHERE id = {old}"),
        4 => format!("UPDATE legal_holds SET held_at = {time} WHERE id = {old}"),
        _ => format!("INSERT INTO legal_holds VALUES ({id}, {entry}, {reason}, {by}, {time})"),
    });
}

pub fn request_log(world: &mut World, deal: &mut Deal) {
    let (id, old, time) = (world.fresh("request_logs"), world.any("request_logs"), world.time());
    let agent = world.text_or_null();
    match world.below(8) {
        0 => {
            deal.sql(format!("DELETE FROM request_logs WHERE id = {old}"));
            world.later(format!(
                "INSERT INTO request_logs VALUES ({old}, {agent}, {time}) ON DUPLICATE KEY UPDATE user_agent = {agent}"
            ));
        }
        1 => deal.sql(format!("UPDATE request_logs SET id = {id} WHERE id = {old}")),
        2 | 3 => deal.sql(format!("UPDATE request_logs SET user_agent = {agent} WHERE id = {old}")),
        // The log is written after the entry that names it.
        4 | 5 => {
            let entry = world.any("audit_logs");
            deal.sql(format!("UPDATE audit_logs SET request_log_id = {id} WHERE id = {entry}"));
            world.later(format!("INSERT INTO request_logs VALUES ({id}, {agent}, {time})"));
        }
        _ => deal.sql(format!("INSERT INTO request_logs VALUES ({id}, {agent}, {time})")),
    }
}
