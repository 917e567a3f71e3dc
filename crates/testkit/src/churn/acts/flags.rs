//! Feature flags, their roles, their configuration and their audit entries.

use super::{Deal, World};
use crate::connect::text;

pub fn flag(world: &mut World, deal: &mut Deal) {
    let (id, old, time) = (world.fresh("feature_flags"), world.any("feature_flags"), world.time());
    match world.below(9) {
        0 => deal.sql(format!("DELETE FROM feature_flags WHERE id = {old}")),
        1 => deal.sql(format!("UPDATE feature_flags SET id = {id} WHERE id = {old}")),
        2 => deal.sql(format!(
            "UPDATE feature_flags SET flag_key = 'renamed_{}' WHERE id = {old}",
            world.below(500)
        )),
        3 => deal.sql(format!("UPDATE feature_flags SET enabled = 1 - enabled WHERE id = {old}")),
        4 => {
            deal.sql(format!(
                "INSERT INTO feature_flags (id, flag_key, created_at) VALUES ({id}, 'flag_new_{id}', {time})"
            ));
            deal.sql(format!("INSERT INTO feature_flag_roles VALUES ({id}, 1), ({id}, 2)"));
        }
        _ => {
            deal.sql(format!("UPDATE feature_flags SET enabled = 1 - enabled WHERE id = {old}"));
            let audit = changed(world, old);
            if world.percent(70) { deal.sql(audit) } else { world.later(audit) }
        }
    }
}

fn changed(world: &mut World, flag: u64) -> String {
    let (key, actor, time) = (world.fresh("audit_logs"), world.user(), world.time());
    let details = world.one_of(&[
        "NULL",
        "''",
        "'{\"impact\": \"low\"}'",
        "'{\"impact\": \"high\", \"n\": 1}'",
        "'{\"impact\": null}'",
        "'{\"impact\": 3}'",
        "'{\"impact\": \"much too long for this column\"}'",
        "'{\"impact\": \"'",
        "'[]'",
    ]);
    format!(
        "INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, details, created_at) \
         VALUES ({key}, 'feature_flags', '{flag}', 'update', {actor}, {details}, {time})"
    )
}

pub fn flag_role(world: &mut World, deal: &mut Deal) {
    let (flag, role, other) = (world.any("feature_flags"), world.any("roles"), world.any("roles"));
    deal.sql(match world.below(5) {
        0 => format!("DELETE FROM feature_flag_roles WHERE flag_id = {flag} AND role_id = {role}"),
        1 => format!("DELETE FROM feature_flag_roles WHERE flag_id = {flag} ORDER BY role_id LIMIT 1"),
        2 => format!("UPDATE IGNORE feature_flag_roles SET role_id = {other} WHERE flag_id = {flag} AND role_id = {role}"),
        _ => format!(
            "INSERT INTO feature_flag_roles VALUES ({flag}, {role}) ON DUPLICATE KEY UPDATE role_id = {role}"
        ),
    });
}

pub fn config(world: &mut World, deal: &mut Deal) {
    let flag = world.any("feature_flags");
    let name = match world.below(4) {
        0 => format!("renamed_{}", world.below(500)),
        1 => format!("FLAG_{flag}"),
        2 => format!("flag_new_{flag}"),
        _ => format!("flag_{flag}"),
    };
    let key = text(&format!("feature.{name}.dependencies"));
    let value = world.one_of(&[
        "'[\"a\", \"b\"]'",
        "'[]'",
        "'{}'",
        "'broken ['",
        "''",
        "'[1.0, 2, {\"b\": 1, \"a\": null}]'",
        "'null'",
    ]);
    deal.sql(match world.below(6) {
        0 => format!("DELETE FROM app_config WHERE config_key = {key}"),
        1 => format!(
            "UPDATE IGNORE app_config SET config_key = 'feature.renamed_{}.dependencies' WHERE config_key = {key}",
            world.below(500)
        ),
        2 => format!("UPDATE app_config SET config_value = {value} WHERE config_key = {key}"),
        _ => format!("INSERT INTO app_config VALUES ({key}, {value}) ON DUPLICATE KEY UPDATE config_value = {value}"),
    });
}
