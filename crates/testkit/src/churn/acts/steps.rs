//! Process steps and their SLAs.

use super::{Deal, World};

const MINUTES: &[&str] = &["0", "15", "60", "-5", "35791394", "35791395", "-35791395", "2147483647"];

pub fn step(world: &mut World, deal: &mut Deal) {
    let (id, old, role) = (world.fresh("process_steps"), world.any("process_steps"), world.maybe("roles"));
    let minutes = if world.percent(20) { "NULL" } else { world.one_of(MINUTES) };
    match world.below(8) {
        0 => {
            deal.sql(format!("DELETE FROM process_steps WHERE id = {old}"));
            world.later(format!(
                "INSERT INTO process_steps (id, process_name, name, position, role_id, default_sla_minutes) \
                 VALUES ({old}, 'p', 'back', 1, {role}, {minutes}) ON DUPLICATE KEY UPDATE name = 'was back'"
            ));
        }
        1 => deal.sql(format!("UPDATE process_steps SET id = {id} WHERE id = {old}")),
        2 | 3 => deal.sql(format!("UPDATE process_steps SET default_sla_minutes = {minutes} WHERE id = {old}")),
        4 => deal.sql(format!("UPDATE process_steps SET role_id = {role} WHERE id = {old}")),
        5 => deal.sql(format!("UPDATE process_steps SET name = 'other', position = position % 90 + 1 WHERE id = {old}")),
        _ => deal.sql(format!(
            "INSERT INTO process_steps (id, process_name, name, position, role_id, default_sla_minutes) VALUES ({id}, 'p', 'new', 1, {role}, {minutes})"
        )),
    }
}

pub fn sla(world: &mut World, deal: &mut Deal) {
    let (id, old, step) = (world.fresh("slas"), world.any("slas"), world.maybe("process_steps"));
    let (minutes, role, time) = (world.one_of(MINUTES), world.maybe("roles"), world.time());
    deal.sql(match world.below(8) {
        0 => format!("DELETE FROM slas WHERE id = {old}"),
        1 => format!("UPDATE slas SET id = {id} WHERE id = {old}"),
        2 => format!("UPDATE slas SET minutes = {minutes} WHERE id = {old}"),
        3 => format!("UPDATE slas SET process_step_id = {step} WHERE id = {old}"),
        4 => format!("UPDATE slas SET role_id = {role}, name = 'other' WHERE id = {old}"),
        _ => format!(
            "INSERT INTO slas (id, process_step_id, name, minutes, role_id, created_at) VALUES ({id}, {step}, 'new', {minutes}, {role}, {time})"
        ),
    });
}
