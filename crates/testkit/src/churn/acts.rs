//! What the application does: each act is one transaction, made from the session's choices alone.

mod audit;
mod flags;
mod people;
mod requests;
mod steps;
mod sweeps;

use super::ledger::Effect;
use super::world::World;

/// One transaction.
#[derive(Debug)]
pub struct Deal {
    pub act: &'static str,
    pub statements: Vec<String>,
    /// What it does to the fill columns once it is committed.
    pub effects: Vec<Effect>,
    pub commits: bool,
}

impl Deal {
    fn sql(&mut self, statement: impl Into<String>) {
        self.statements.push(statement.into());
    }
}

type Act = fn(&mut World, &mut Deal);

/// How often in proportion, its name, and what it does.
const ACTS: &[(u32, &str, Act)] = &[
    (10, "open_request", requests::open),
    (6, "edit_request", requests::edit),
    (2, "rename_request", requests::rename),
    (2, "delete_request", requests::delete),
    (10, "assign", requests::assign),
    (8, "edit_assignment", requests::edit_assignment),
    (3, "remark", requests::remark),
    (3, "note", requests::note),
    (2, "delete_assignment", requests::delete_assignment),
    (1, "rename_assignment", requests::rename_assignment),
    (6, "delay", requests::delay),
    (5, "edit_delay", requests::edit_delay),
    (3, "justify", requests::justify),
    (4, "attach", requests::attach),
    (4, "escalate", requests::escalate),
    (4, "rule", requests::rule),
    (4, "delegate", requests::delegate),
    (10, "audit", audit::write),
    (5, "edit_audit", audit::edit),
    (4, "hold", audit::hold),
    (4, "request_log", audit::request_log),
    (5, "user", people::user),
    (3, "active", people::active),
    (2, "move_user", people::move_user),
    (3, "role", people::role),
    (4, "permission", people::permission),
    (5, "grant", people::grant),
    (4, "step", steps::step),
    (4, "sla", steps::sla),
    (5, "flag", flags::flag),
    (3, "flag_role", flags::flag_role),
    (4, "config", flags::config),
    (4, "sweep", sweeps::sweep),
    (6, "comeback", sweeps::comeback),
    (4, "contend", sweeps::contend),
];

/// The session's next transaction. Some hold two acts, some are rolled back, wholly or to a savepoint.
pub fn next(world: &mut World) -> Deal {
    let (act, make) = choose(world);
    let mut deal = Deal { act, statements: Vec::new(), effects: Vec::new(), commits: true };
    make(world, &mut deal);
    match world.below(40) {
        0 => {
            deal.commits = false;
            deal.effects.clear();
        }
        1 | 2 => {
            let mut undone =
                Deal { act: "undone", statements: Vec::new(), effects: Vec::new(), commits: true };
            choose(world).1(world, &mut undone);
            let before = world.below(2) == 0;
            let mut part = vec!["SAVEPOINT half_way".to_string()];
            part.append(&mut undone.statements);
            part.push("ROLLBACK TO SAVEPOINT half_way".into());
            let at = if before { 0 } else { deal.statements.len() };
            deal.statements.splice(at..at, part);
        }
        3..9 => choose(world).1(world, &mut deal),
        _ => {}
    }
    deal
}

fn choose(world: &mut World) -> (&'static str, Act) {
    let without = world.without;
    let played = || ACTS.iter().filter(|(_, name, _)| !without.contains(name));
    let all: u32 = played().map(|(weight, ..)| weight).sum();
    let mut at = world.below(u64::from(all)) as u32;
    for (weight, name, act) in played() {
        if at < *weight {
            return (name, *act);
        }
        at -= weight;
    }
    (ACTS[0].1, ACTS[0].2)
}

/// The names of all acts, for reports.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTS.iter().map(|(_, name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::world::Ground;
    use super::*;

    fn world(session: u64, seed: u64) -> World {
        let requests = (0..50).map(|n| format!("req-{n}")).collect();
        let ground = Arc::new(Ground { sessions: 3, tables: BTreeMap::new(), requests });
        World::new(session, seed, ground, Default::default())
    }

    fn statements(mut world: World, deals: usize) -> Vec<String> {
        (0..deals).flat_map(|_| next(&mut world).statements).collect()
    }

    #[test]
    fn a_session_s_choices_depend_on_its_seed_and_number_alone() {
        assert_eq!(statements(world(1, 7), 500), statements(world(1, 7), 500));
        assert_ne!(statements(world(1, 7), 500), statements(world(2, 7), 500));
        assert_ne!(statements(world(1, 7), 500), statements(world(1, 8), 500));
    }

    #[test]
    fn every_table_is_inserted_into_updated_and_deleted_from() {
        let all = statements(world(0, 1), 6_000);
        let tables = [
            "roles",
            "users",
            "permissions",
            "role_permissions",
            "process_steps",
            "requests",
            "file_attachments",
            "assignments",
            "delays",
            "delay_justifications",
            "escalation_rules",
            "feature_flags",
            "feature_flag_roles",
            "app_config",
            "request_logs",
            "audit_logs",
            "legal_holds",
            "escalation_histories",
            "slas",
            "delegations",
        ];
        for table in tables {
            for verb in ["INSERT INTO", "UPDATE", "DELETE FROM"] {
                let ignore = format!("{verb} IGNORE {table} ");
                let plain = format!("{verb} {table} ");
                assert!(all.iter().any(|s| s.starts_with(&plain) || s.starts_with(&ignore)), "no {plain}");
            }
        }
    }

    #[test]
    fn ids_of_two_sessions_never_meet() {
        let (mut one, mut other) = (world(1, 7), world(2, 7));
        let ids: Vec<u64> = (0..100).map(|_| one.fresh("users")).collect();
        assert!(ids.iter().all(|id| one.owns(*id) && !other.owns(*id)));
        assert!((0..100).map(|_| other.fresh("users")).all(|id| !ids.contains(&id)));
        let mine: Vec<u64> = (0..1000).map(|_| other.mine("users")).collect();
        assert!(mine.iter().all(|id| other.owns(*id)));
    }
}
