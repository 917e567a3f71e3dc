//! Users, roles, permissions and grants.

use super::audit::entry;
use super::{Deal, Effect, World};
use crate::connect::text;

pub fn user(world: &mut World, deal: &mut Deal) {
    match world.below(6) {
        0..2 => {
            let id = world.fresh("users");
            insert_user(world, deal, id);
            let audit = entry(world, "users", &id.to_string(), "create");
            deal.sql(audit);
        }
        2 => {
            let (id, role) = (world.any("users"), world.maybe("roles"));
            deal.sql(format!("UPDATE users SET role_id = {role} WHERE id = {id}"));
        }
        3 => {
            let (id, time) = (world.any("users"), world.time());
            deal.sql(format!("UPDATE users SET full_name = 'renamed', created_at = {time} WHERE id = {id}"));
        }
        _ => {
            let (id, name) = (world.any("users"), text(&world.text()));
            deal.sql(format!("UPDATE users SET full_name = {name} WHERE id = {id}"));
        }
    }
}

fn insert_user(world: &mut World, deal: &mut Deal, id: u64) {
    let (role, time, active) = (world.maybe("roles"), world.time(), some_active(world));
    deal.sql(format!(
        "INSERT INTO users (id, email, full_name, role_id, active, created_at) VALUES ({id}, 'u{id}-{}@example.org', 'New', {role}, {}, {time})",
        world.below(1_000_000),
        active.map_or("NULL".into(), |a| a.to_string())
    ));
    deal.effects.push(Effect::UserInserted { id, active });
}

fn some_active(world: &mut World) -> Option<i64> {
    match world.below(4) {
        0 => Some(0),
        1 => Some(1),
        _ => None,
    }
}

pub fn active(world: &mut World, deal: &mut Deal) {
    let (id, active) = (world.mine("users"), some_active(world));
    let value = active.map_or("NULL".into(), |a| a.to_string());
    deal.sql(format!("UPDATE users SET active = {value} WHERE id = {id}"));
    deal.effects.push(Effect::UserActive { id, active });
}

/// A user goes for a while, or for ever, or gets another id. Never the system administrator.
pub fn move_user(world: &mut World, deal: &mut Deal) {
    let id = world.mine("users");
    if id == crate::sample::SYSTEM_ADMIN {
        return active(world, deal);
    }
    if world.percent(40) {
        let to = world.fresh("users");
        deal.sql(format!("UPDATE users SET id = {to} WHERE id = {id}"));
        deal.effects.push(Effect::UserMoved { from: id, to });
        return;
    }
    deal.sql(format!("DELETE FROM users WHERE id = {id}"));
    deal.effects.push(Effect::UserDeleted { id });
    if world.percent(40) {
        insert_user(world, deal, id);
    }
}

pub fn role(world: &mut World, deal: &mut Deal) {
    let (id, old, time) = (world.fresh("roles"), world.any("roles"), world.time());
    match world.below(6) {
        0 => {
            deal.sql(format!("DELETE FROM roles WHERE id = {old}"));
            world.later(format!(
                "INSERT INTO roles VALUES ({old}, 'back {old}', {time}) ON DUPLICATE KEY UPDATE created_at = {time}"
            ));
        }
        1 => deal.sql(format!("UPDATE roles SET id = {id} WHERE id = {old}")),
        2..4 => {
            let word = world.one_of(&["Zeta", "alpha", "Ärger", "\"q\"", "back\\slash"]);
            deal.sql(format!("UPDATE roles SET name = {} WHERE id = {old}", text(&format!("{word} {old}"))));
        }
        _ => {
            deal.sql(format!("INSERT INTO roles VALUES ({id}, 'role {id}', {time})"));
            let user = world.any("users");
            deal.sql(format!("UPDATE users SET role_id = {id} WHERE id = {user}"));
        }
    }
}

const PERMISSIONS: &[&str] =
    &["audit.read", "Audit.Read", "audit.read ", "áudit.read", "flag.write", "FLAG.WRITE", "", " "];

pub fn permission(world: &mut World, deal: &mut Deal) {
    let (id, old) = (world.fresh("permissions"), world.any("permissions"));
    let name = if world.percent(50) { world.one_of(PERMISSIONS).to_string() } else { format!("p.{old}") };
    match world.below(6) {
        0 => {
            deal.sql(format!("DELETE FROM permissions WHERE id = {old}"));
            world.later(format!(
                "INSERT INTO permissions VALUES ({old}, {}) ON DUPLICATE KEY UPDATE name = VALUES(name)",
                text(&name)
            ));
        }
        1 => deal.sql(format!("UPDATE permissions SET id = {id} WHERE id = {old}")),
        2..5 => deal.sql(format!("UPDATE permissions SET name = {} WHERE id = {old}", text(&name))),
        _ => deal.sql(format!("INSERT INTO permissions VALUES ({id}, {})", text(&name))),
    }
}

pub fn grant(world: &mut World, deal: &mut Deal) {
    let (role, permission, time) = (world.any("roles"), world.any("permissions"), world.time());
    let (other_role, other) = (world.any("roles"), world.any("permissions"));
    deal.sql(match world.below(8) {
        0 | 1 => format!("DELETE FROM role_permissions WHERE role_id = {role} AND permission_id = {permission}"),
        2 => format!("DELETE FROM role_permissions WHERE role_id = {role} ORDER BY permission_id LIMIT 2"),
        3 => format!("UPDATE IGNORE role_permissions SET permission_id = {other} WHERE role_id = {role} AND permission_id = {permission}"),
        4 => format!("UPDATE IGNORE role_permissions SET role_id = {other_role} WHERE role_id = {role} AND permission_id = {permission}"),
        _ => format!(
            "INSERT INTO role_permissions VALUES ({role}, {permission}, {time}), ({role}, {other}, {time}) \
             ON DUPLICATE KEY UPDATE granted_at = VALUES(granted_at)"
        ),
    });
}
