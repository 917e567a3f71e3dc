//! Requests, assignments, delays and what else hangs on a request.

use super::audit::entry;
use super::{Deal, Effect, World};
use crate::connect::text;

pub fn open(world: &mut World, deal: &mut Deal) {
    let id = world.fresh_request();
    let (by, time, title) = (world.user(), world.time(), world.text_or_null());
    let insert = format!(
        "INSERT INTO requests (id, title, created_by_user_id, created_at) VALUES ({}, COALESCE({title}, ''), {by}, {time})",
        text(&id)
    );
    // Now and then the children are there long before the request is.
    if world.percent(10) {
        world.later(insert);
    } else {
        deal.sql(insert);
    }
    for _ in 0..world.below(4) {
        assign_to(world, deal, &id);
    }
    if world.percent(30) {
        attach_to(world, deal, &id);
    }
}

pub fn edit(world: &mut World, deal: &mut Deal) {
    let id = text(&world.request());
    let set = match world.below(5) {
        0 => format!("title = COALESCE({}, '')", world.text_or_null()),
        1 => format!("status = '{}'", world.one_of(&["draft", "open", "in_progress", "done", "cancelled"])),
        2 => format!("created_by_user_id = {}", world.user()),
        3 => format!("created_at = {}", world.time()),
        _ => format!(
            "amount = {}, tags = '{}', priority = 2",
            world.below(10_000),
            world.one_of(&["", "vip", "urgent,legal"])
        ),
    };
    deal.sql(format!("UPDATE requests SET {set} WHERE id = {id}"));
}

/// The primary key changes: in its case only, to the UUID's other spelling, or to another id; children follow or not.
pub fn rename(world: &mut World, deal: &mut Deal) {
    let old = world.request();
    let new = match world.below(3) {
        0 => old.to_uppercase(),
        1 if old.len() == 36 => old.replace('-', ""),
        _ => world.fresh_request(),
    };
    let (old, new) = (text(&old), text(&new));
    deal.sql(format!("UPDATE requests SET id = {new} WHERE id = {old}"));
    let tables = [
        "assignments",
        "delays",
        "file_attachments",
        "escalation_rules",
        "escalation_histories",
        "delegations",
    ];
    let chance = world.one_of(&[&0, &100, &50]);
    for table in tables {
        if world.percent(*chance) {
            let follow = format!("UPDATE {table} SET request_id = {new} WHERE request_id = {old}");
            if world.percent(70) { deal.sql(follow) } else { world.later(follow) }
        }
    }
}

pub fn delete(world: &mut World, deal: &mut Deal) {
    let id = world.request();
    deal.sql(format!("DELETE FROM requests WHERE id = {}", text(&id)));
    let (by, time) = (world.user(), world.time());
    if world.percent(70) {
        world.later(format!(
            "INSERT INTO requests (id, title, created_by_user_id, created_at) VALUES ({}, 'back', {by}, {time}) \
             ON DUPLICATE KEY UPDATE title = 'was back'",
            text(&id)
        ));
    }
    if world.percent(20) {
        deal.sql(format!("DELETE FROM delays WHERE request_id = {}", text(&id)));
    }
}

pub fn assign(world: &mut World, deal: &mut Deal) {
    let request = world.request();
    assign_to(world, deal, &request);
}

fn assign_to(world: &mut World, deal: &mut Deal, request: &str) {
    let id = world.fresh("assignments");
    let remarks = optional_text(world);
    let notes = if world.percent(15) { optional_text(world) } else { None };
    let (step, user, time) = (world.maybe("process_steps"), world.user(), world.time());
    let completed = if world.percent(40) { world.time() } else { "NULL".into() };
    deal.sql(format!(
        "INSERT INTO assignments (id, request_id, process_step_id, assigned_to_user_id, remarks, notes, created_at, completed_at) \
         VALUES ({id}, {}, {step}, {user}, {}, {}, {time}, {completed})",
        text(request),
        literal(&remarks),
        literal(&notes),
    ));
    deal.effects.push(Effect::AssignmentInserted { id, remarks, notes });
    // The audit entry comes with it, later, or never.
    let audit = entry(world, "assignments", &id.to_string(), "create");
    match world.below(10) {
        0 => {}
        1..4 => world.later(audit),
        _ => deal.sql(audit),
    }
}

pub fn edit_assignment(world: &mut World, deal: &mut Deal) {
    let id = world.any("assignments");
    let set = match world.below(8) {
        0 | 1 => format!("status = 'done', completed_at = {}", world.time()),
        2 => "status = 'active', completed_at = NULL".into(),
        3 => format!("assigned_to_user_id = {}", world.user()),
        4 => format!("process_step_id = {}", world.maybe("process_steps")),
        5 => format!("created_at = {}", world.time()),
        6 => format!("request_id = {}", text(&world.request())),
        _ => format!("status = '{}'", world.one_of(&["pending", "active", "blocked"])),
    };
    deal.sql(format!("UPDATE assignments SET {set} WHERE id = {id}"));
}

pub fn remark(world: &mut World, deal: &mut Deal) {
    let (id, remarks) = (world.mine("assignments"), optional_text(world));
    deal.sql(format!("UPDATE assignments SET remarks = {} WHERE id = {id}", literal(&remarks)));
    deal.effects.push(Effect::Remarks { id, remarks });
}

pub fn note(world: &mut World, deal: &mut Deal) {
    let id = world.mine("assignments");
    let notes = if world.percent(50) { None } else { optional_text(world) };
    deal.sql(format!("UPDATE assignments SET notes = {} WHERE id = {id}", literal(&notes)));
    deal.effects.push(Effect::Notes { id, notes });
}

pub fn delete_assignment(world: &mut World, deal: &mut Deal) {
    let id = world.mine("assignments");
    deal.sql(format!("DELETE FROM assignments WHERE id = {id}"));
    deal.effects.push(Effect::AssignmentDeleted { id });
    if world.percent(50) {
        // A new row of the same id: nothing of the old one may be left in it.
        let (request, user, time) = (text(&world.request()), world.user(), world.time());
        deal.sql(format!(
            "INSERT INTO assignments (id, request_id, assigned_to_user_id, remarks, created_at) VALUES ({id}, {request}, {user}, 'again', {time})"
        ));
        deal.effects.push(Effect::AssignmentInserted { id, remarks: Some("again".into()), notes: None });
    }
}

pub fn rename_assignment(world: &mut World, deal: &mut Deal) {
    let (from, to) = (world.mine("assignments"), world.fresh("assignments"));
    deal.sql(format!("UPDATE assignments SET id = {to} WHERE id = {from}"));
    deal.effects.push(Effect::AssignmentMoved { from, to });
    if world.percent(50) {
        deal.sql(format!(
            "UPDATE audit_logs SET entity_id = '{to}' WHERE entity_type = 'assignments' AND entity_id = '{from}'"
        ));
    }
}

pub fn delay(world: &mut World, deal: &mut Deal) {
    let rows = 1 + world.below(3);
    let mut values = Vec::new();
    for _ in 0..rows {
        let (id, request) = (world.fresh("delays"), text(&world.request()));
        let (minutes, reason, comment, time) =
            (world.below(9000), world.text_or_null(), world.text_or_null(), world.time());
        let source = world.one_of(&["NULL", "NULL", "'as400'", "''"]);
        values.push(format!("({id}, {request}, {minutes}, {reason}, {comment}, {source}, {time})"));
        if world.percent(40) {
            let audit = entry(world, "delays", &id.to_string(), "approve");
            world.later(audit);
        }
    }
    deal.sql(format!(
        "INSERT INTO delays (id, request_id, delay_minutes, reason, comment, migration_source, detected_at) VALUES {}",
        values.join(", ")
    ));
}

pub fn edit_delay(world: &mut World, deal: &mut Deal) {
    let id = world.any("delays");
    let set = match world.below(9) {
        0 => format!("detected_at = {}", world.time()),
        1 => format!("request_id = {}", text(&world.request())),
        2 => format!("reason = {}", world.text_or_null()),
        3 => format!("comment = {}", world.text_or_null()),
        4 => format!("delay_minutes = {}", world.below(10_000)),
        5 => format!("migration_source = {}", world.text_or_null()),
        6 => "reason = '  ', comment = NULL".into(),
        7 => {
            deal.sql(format!("DELETE FROM delays WHERE id = {id}"));
            return;
        }
        _ => format!("id = {}", world.fresh("delays")),
    };
    deal.sql(format!("UPDATE delays SET {set} WHERE id = {id}"));
}

pub fn justify(world: &mut World, deal: &mut Deal) {
    let (id, delay) = (world.fresh("delay_justifications"), world.any("delays"));
    let (by, time) = (world.user(), world.time());
    match world.below(5) {
        0 => deal.sql(format!(
            "DELETE FROM delay_justifications WHERE id = {}",
            world.any("delay_justifications")
        )),
        1 => {
            let old = world.any("delay_justifications");
            deal.sql(format!("UPDATE delay_justifications SET id = {id}, body = 'moved' WHERE id = {old}"));
        }
        _ => {
            deal.sql(format!(
                "INSERT INTO delay_justifications VALUES ({id}, {delay}, 'because', {by}, {time}, NULL, NULL)"
            ));
            let audit = entry(world, "delay_justifications", &id.to_string(), "approve");
            if world.percent(50) { deal.sql(audit) } else { world.later(audit) }
        }
    }
}

pub fn attach(world: &mut World, deal: &mut Deal) {
    let id = world.any("file_attachments");
    match world.below(5) {
        0 => deal.sql(format!("DELETE FROM file_attachments WHERE id = {id}")),
        1 => deal.sql(format!(
            "UPDATE file_attachments SET id = {} WHERE id = {id}",
            world.fresh("file_attachments")
        )),
        2 | 3 => {
            let metadata = metadata(world);
            deal.sql(format!("UPDATE file_attachments SET metadata = {metadata} WHERE id = {id}"));
        }
        _ => {
            let request = world.request();
            attach_to(world, deal, &request);
        }
    }
}

fn attach_to(world: &mut World, deal: &mut Deal, request: &str) {
    let (id, metadata, time) = (world.fresh("file_attachments"), metadata(world), world.time());
    deal.sql(format!(
        "INSERT INTO file_attachments (id, request_id, file_name, size_bytes, metadata, created_at) VALUES ({id}, {}, 'f', 1, {metadata}, {time})",
        text(request)
    ));
}

fn metadata(world: &mut World) -> String {
    let n = world.below(1000);
    let json = match world.below(9) {
        0 => return "NULL".into(),
        1 => String::new(),
        2 => "{\"content_type\": \"text/plain\", ".into(),
        3 => format!("{{\"content_type\": {n}, \"storage_path\": null, \"description\": {{\"a\": 1}}}}"),
        4 => format!(
            "{{\"content_type\": \"{}\", \"description\": \"long type\"}}",
            "y".repeat(119 + n as usize % 4)
        ),
        5 => format!("{{\"storage_path\": \"{}\"}}", "ü".repeat(499 + n as usize % 4)),
        _ => format!(
            "{{\"content_type\": \"image/{n}\", \"storage_path\": \"/s/{n}\", \"description\": \"d\\n{n} 😀\"}}"
        ),
    };
    text(&json)
}

pub fn escalate(world: &mut World, deal: &mut Deal) {
    let (id, old) = (world.fresh("escalation_histories"), world.any("escalation_histories"));
    let (request, by, to, time, reason) =
        (text(&world.request()), world.user(), world.user(), world.time(), world.text_or_null());
    deal.sql(match world.below(7) {
        0 => format!("DELETE FROM escalation_histories WHERE id = {old}"),
        1 => format!("UPDATE escalation_histories SET id = {id} WHERE id = {old}"),
        2 => format!("UPDATE escalation_histories SET escalated_at = {time}, reason = {reason} WHERE id = {old}"),
        3 => format!("UPDATE escalation_histories SET escalated_by_user_id = {by}, escalated_to_user_id = {to}, level = level % 9 + 1 WHERE id = {old}"),
        4 => format!("UPDATE escalation_histories SET request_id = {request}, resolved_at = {time} WHERE id = {old}"),
        _ => format!("INSERT INTO escalation_histories VALUES ({id}, {request}, {by}, {to}, 1, {reason}, {time}, NULL)"),
    });
}

pub fn rule(world: &mut World, deal: &mut Deal) {
    let (id, old) = (world.fresh("escalation_rules"), world.any("escalation_rules"));
    let request = if world.percent(10) { "NULL".into() } else { text(&world.request()) };
    let minutes = world.one_of(&["NULL", "5", "0", "-7", "35791394", "35791395", "-35791395", "1440"]);
    let (user, time) = (world.user(), world.time());
    deal.sql(match world.below(7) {
        0 => format!("DELETE FROM escalation_rules WHERE id = {old}"),
        1 => format!("UPDATE escalation_rules SET id = {id} WHERE id = {old}"),
        2 => format!("UPDATE escalation_rules SET trigger_minutes = {minutes} WHERE id = {old}"),
        3 => format!("UPDATE escalation_rules SET designated_user_id = {user} WHERE id = {old}"),
        4 => format!("UPDATE escalation_rules SET request_id = {request} WHERE id = {old}"),
        _ => format!(
            "INSERT INTO escalation_rules (id, request_id, trigger_minutes, escalate_to_role_id, designated_user_id, created_at) \
             VALUES ({id}, {request}, {minutes}, 1, {user}, {time})"
        ),
    });
}

pub fn delegate(world: &mut World, deal: &mut Deal) {
    let (id, old, request) = (world.fresh("delegations"), world.any("delegations"), text(&world.request()));
    let (one, other, time) = (world.any("users"), world.any("users"), world.time());
    deal.sql(match world.below(7) {
        0 => format!("DELETE FROM delegations WHERE id = {old}"),
        1 => format!("UPDATE delegations SET id = {id} WHERE id = {old}"),
        2 => format!("UPDATE delegations SET starts_at = {time}, reason = NULL WHERE id = {old}"),
        3 => format!("UPDATE delegations SET delegator_user_id = {one} WHERE id = {old}"),
        4 => format!("UPDATE delegations SET delegate_user_id = {other}, ends_at = {time} WHERE id = {old}"),
        _ => format!(
            "INSERT INTO delegations (id, request_id, delegator_user_id, delegate_user_id, reason, starts_at) \
             VALUES ({id}, {request}, {one}, {other}, 'away', {time})"
        ),
    });
}

fn optional_text(world: &mut World) -> Option<String> {
    if world.percent(25) { None } else { Some(world.text()) }
}

fn literal(value: &Option<String>) -> String {
    value.as_deref().map_or_else(|| "NULL".into(), text)
}
