//! Statements over many rows, and what was put off until now.

use super::{Deal, Effect, World};
use crate::connect::text;
use crate::sample::SYSTEM_ADMIN;

pub fn sweep(world: &mut World, deal: &mut Deal) {
    let (user, time, request) = (world.user(), world.time(), text(&world.request()));
    match world.below(9) {
        0 => {
            let from = world.any("audit_logs");
            deal.sql(format!(
                "UPDATE audit_logs SET actor_user_id = {user} WHERE id BETWEEN {from} AND {from} + 20"
            ));
        }
        1 => deal.sql(format!("UPDATE assignments SET completed_at = {time} WHERE request_id = {request}")),
        2 => deal.sql(format!(
            "UPDATE assignments SET created_at = created_at + INTERVAL 1 HOUR WHERE request_id = {request}"
        )),
        3 => {
            let from = world.any("delays");
            deal.sql(format!("UPDATE delays SET detected_at = {time}, delay_minutes = delay_minutes % 100 WHERE id BETWEEN {from} AND {from} + 10"));
        }
        4 => {
            let from = world.any("request_logs");
            deal.sql(format!("DELETE FROM request_logs WHERE id BETWEEN {from} AND {from} + 3"));
        }
        5 => {
            let (from, reason) = (world.any("audit_logs"), text(&world.text()));
            let holds: Vec<String> = (0..4)
                .map(|n| format!("({}, {from} + {n}, {reason}, {user}, {time})", world.fresh("legal_holds")))
                .collect();
            deal.sql(format!("INSERT INTO legal_holds VALUES {}", holds.join(", ")));
        }
        6 => {
            let role = world.any("roles");
            let from = world.any("users");
            deal.sql(format!("UPDATE users SET role_id = {role} WHERE id BETWEEN {from} AND {from} + 5"));
        }
        7 => {
            let from = world.any("escalation_histories");
            deal.sql(format!("DELETE FROM escalation_histories WHERE id BETWEEN {from} AND {from} + 2"));
        }
        // Two rows exchange their keys within one transaction.
        _ => {
            let (one, other, free) = (world.any("delays"), world.any("delays"), world.fresh("delays"));
            deal.sql(format!("UPDATE delays SET id = {free} WHERE id = {one}"));
            deal.sql(format!("UPDATE delays SET id = {one} WHERE id = {other}"));
            deal.sql(format!("UPDATE delays SET id = {other} WHERE id = {free}"));
        }
    }
}

/// Hot rows in any order: now and then two sessions wait for each other, and one has to start again.
pub fn contend(world: &mut World, deal: &mut Deal) {
    for _ in 0..6 {
        let id = 1 + world.below(6);
        deal.sql(format!("UPDATE users SET full_name = 'hot {id}' WHERE id = {id}"));
    }
}

/// Late audit entries, parents that come back, children that follow; and users who were gone.
pub fn comeback(world: &mut World, deal: &mut Deal) {
    for _ in 0..3 {
        if let Some(statement) = world.due() {
            deal.sql(statement);
        }
    }
    let id = world.mine("users");
    if id != SYSTEM_ADMIN && world.ledger.user(id).is_none() {
        let time = world.time();
        deal.sql(format!(
            "INSERT INTO users (id, email, full_name, created_at) VALUES ({id}, 'back{id}@example.org', 'Back', {time})"
        ));
        deal.effects.push(Effect::UserInserted { id, active: None });
    }
}
