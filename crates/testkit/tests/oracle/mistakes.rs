//! One mistake or more in each row of PHASE2: what is done, and where the judge must see it.

use testkit::connect;
use testkit::oracle::{Difference, Options, judge};
use testkit::servers::Schemas;

#[derive(Debug)]
pub struct Mistake {
    pub row: &'static str,
    pub table: &'static str,
    pub key: &'static str,
    /// `None`: the row or the report as a whole.
    pub column: Option<&'static str>,
    pub sql: &'static str,
}

impl Mistake {
    pub fn is(&self, found: &Difference) -> bool {
        found.row == self.row
            && found.table == self.table
            && found.key == self.key
            && found.column.as_deref() == self.column
    }
}

pub async fn make_and_judge(at: &Schemas, options: &Options) -> anyhow::Result<Vec<Difference>> {
    let mut db = connect::to(&at.url).await?;
    for mistake in ALL {
        let sql = mistake.sql.replace("ctl.", &format!("`{}`.", at.control));
        let rows = db.execute(&sql).await.map_err(connect::said)?;
        assert_eq!(rows, 1, "a mistake concerns one row: {mistake:?}");
    }
    db.close().await;
    judge(&at.url, &at.control, options).await
}

const fn cell(
    row: &'static str,
    table: &'static str,
    key: &'static str,
    column: &'static str,
    sql: &'static str,
) -> Mistake {
    Mistake { row, table, key, column: Some(column), sql }
}

const fn whole(row: &'static str, table: &'static str, key: &'static str, sql: &'static str) -> Mistake {
    Mistake { row, table, key, column: None, sql }
}

#[rustfmt::skip]
pub const ALL: &[Mistake] = &[
    cell("1", "users", "3", "active", "UPDATE users SET active = NULL WHERE id = 3"),
    cell("2", "users", "4", "version_num", "UPDATE users SET version_num = COALESCE(version_num, 0) + 1 WHERE id = 4"),
    cell("2", "users", "1000000001", "version_num", "UPDATE users SET version_num = 0 WHERE id = 1000000001"),
    cell("3", "users", "5", "updated_at", "UPDATE users SET updated_at = updated_at + INTERVAL 1 MICROSECOND WHERE id = 5"),
    cell("4", "process_steps", "1000000001", "default_sla_duration_seconds", "UPDATE process_steps SET default_sla_duration_seconds = 2147483647 WHERE id = 1000000001"),
    cell("5", "requests", "6F9619FF-8B86-D011-B42D-00CF4FC964AA", "created_by_id", "UPDATE requests SET created_by_id = created_by_user_id WHERE id = '6F9619FF-8B86-D011-B42D-00CF4FC964AA'"),
    cell("5b", "requests", "42", "created_by_uuid", "UPDATE requests SET created_by_uuid = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 12) WHERE id = '42'"),
    cell("6", "requests", "42", "started_at", "UPDATE requests SET started_at = created_at WHERE id = '42'"),
    cell("7", "requests", "42", "completed_at", "UPDATE requests SET completed_at = '2024-04-02' WHERE id = '42'"),
    cell("8", "file_attachments", "1000000008", "description", "UPDATE file_attachments SET description = CONCAT(description, ' ') WHERE id = 1000000008"),
    cell("8", "file_attachments", "0", "content_type", "UPDATE file_attachments SET content_type = REPEAT('x', 120) WHERE id = 0"),
    cell("8", "file_attachments", "1000000005", "storage_path", "UPDATE file_attachments SET storage_path = '1e400' WHERE id = 1000000005"),
    cell("9", "assignments", "1000000001", "assigned_by_id", "UPDATE assignments SET assigned_by_id = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 1) WHERE id = 1000000001"),
    cell("10", "assignments", "1000000002", "notes", "UPDATE assignments SET notes = NULL WHERE id = 1000000002"),
    cell("11", "delays", "1000000005", "responsible_user_id", "UPDATE delays SET responsible_user_id = NULL WHERE id = 1000000005"),
    cell("12", "delays", "1000000002", "justification", "UPDATE delays SET justification = 'c' WHERE id = 1000000002"),
    cell("13", "delays", "0", "justified_by_id", "UPDATE delays SET justified_by_id = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 0) WHERE id = 0"),
    cell("13", "delays", "1000000001", "justified_at", "UPDATE delays SET justified_at = NULL WHERE id = 1000000001"),
    cell("14", "delays", "1000000005", "original_assignment_id", "UPDATE delays SET original_assignment_id = (SELECT uuid_binary FROM assignments_id_map WHERE legacy_id = 1000000011) WHERE id = 1000000005"),
    cell("15", "delays", "1000000006", "is_justified", "UPDATE delays SET is_justified = 1 WHERE id = 1000000006"),
    cell("15b", "delays", "1000000001", "is_shadow_delay", "UPDATE delays SET is_shadow_delay = 0 WHERE id = 1000000001"),
    cell("16", "delay_justifications", "0", "approved_by_id", "UPDATE delay_justifications SET approved_by_id = NULL WHERE id = 0"),
    cell("16", "delay_justifications", "1000000001", "approved_at", "UPDATE delay_justifications SET approved_at = NULL WHERE id = 1000000001"),
    cell("17", "escalation_rules", "0", "cooldown_seconds", "UPDATE escalation_rules SET cooldown_seconds = 0 WHERE id = 0"),
    cell("18", "escalation_rules", "1000000002", "process_step_id", "UPDATE escalation_rules SET process_step_id = NULL WHERE id = 1000000002"),
    cell("19", "escalation_rules", "1000000003", "escalation_user_id", "UPDATE escalation_rules SET escalation_user_id = (SELECT uuid_binary FROM roles_id_map WHERE legacy_id = 1) WHERE id = 1000000003"),
    cell("20", "feature_flags", "1000000001", "impact", "UPDATE feature_flags SET impact = 'Neutral' WHERE id = 1000000001"),
    cell("20b", "feature_flags", "1000000002", "updated_by", "UPDATE feature_flags SET updated_by = NULL WHERE id = 1000000002"),
    cell("20b", "feature_flags", "1000000001", "updated_at", "UPDATE feature_flags SET updated_at = created_at WHERE id = 1000000001"),
    cell("21", "feature_flags", "0", "required_roles", "UPDATE feature_flags SET required_roles = JSON_REMOVE(required_roles, '$[0]') WHERE id = 0"),
    cell("21", "feature_flags", "1000000005", "required_roles", "UPDATE feature_flags SET required_roles = NULL WHERE id = 1000000005"),
    cell("22", "feature_flags", "1000000003", "dependencies", "UPDATE feature_flags SET dependencies = '[\"x\", \"x\", \"é\"]' WHERE id = 1000000003"),
    cell("22", "feature_flags", "1000000004", "dependencies", "UPDATE feature_flags SET dependencies = NULL WHERE id = 1000000004"),
    cell("23", "audit_logs", "0", "user_agent", "UPDATE audit_logs SET user_agent = REPEAT('x', 399) WHERE id = 0"),
    cell("24", "audit_logs", "0", "legal_hold_reason", "UPDATE audit_logs SET legal_hold_reason = 'first' WHERE id = 0"),
    cell("24", "audit_logs", "1000000001", "legal_hold_by", "UPDATE audit_logs SET legal_hold_by = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 1) WHERE id = 1000000001"),
    cell("24", "audit_logs", "1000000002", "legal_hold_at", "UPDATE audit_logs SET legal_hold_at = NULL WHERE id = 1000000002"),
    cell("25", "role_permissions_text", "0", "permission", "UPDATE role_permissions_text SET permission = 'Zero.Permission' WHERE role_id = 0"),
    cell("25", "role_permissions_text", "77", "permission", "INSERT INTO role_permissions_text VALUES (77, 'invented')"),
    cell("26", "escalation_history", "0", "level", "UPDATE escalation_history SET level = 2 WHERE id = (SELECT uuid_binary FROM escalation_histories_id_map WHERE legacy_id = 0)"),
    cell("26", "escalation_history", "0", "reason", "UPDATE escalation_history SET reason = TRIM(reason) WHERE id = (SELECT uuid_binary FROM escalation_histories_id_map WHERE legacy_id = 0)"),
    cell("26", "escalation_history", "1", "assignment_id", "UPDATE escalation_history SET assignment_id = UNHEX(REPEAT('ab', 16)) WHERE id = (SELECT uuid_binary FROM escalation_histories_id_map WHERE legacy_id = 1)"),
    whole("26", "escalation_history", "2", "DELETE FROM escalation_history WHERE id = (SELECT uuid_binary FROM escalation_histories_id_map WHERE legacy_id = 2)"),
    cell("27", "slas_new", "1000000003", "duration_seconds", "UPDATE slas_new SET duration_seconds = 1 WHERE process_step_id = (SELECT uuid_binary FROM process_steps_id_map WHERE legacy_id = 1000000003)"),
    cell("27", "slas_new", "1000000011", "role_id", "UPDATE slas_new SET role_id = (SELECT uuid_binary FROM roles_id_map WHERE legacy_id = 1) WHERE process_step_id = (SELECT uuid_binary FROM process_steps_id_map WHERE legacy_id = 1000000011)"),
    whole("27", "slas_new", "1000000005", "INSERT INTO slas_new SELECT uuid_binary, NULL, 300, NULL FROM process_steps_id_map WHERE legacy_id = 1000000005"),
    cell("28", "delegations_new", "1000000005", "reason", "UPDATE delegations_new SET reason = NULL WHERE id = (SELECT uuid_binary FROM delegations_id_map WHERE legacy_id = 1000000005)"),
    whole("28", "delegations_new", "0", "DELETE FROM delegations_new WHERE id = (SELECT uuid_binary FROM delegations_id_map WHERE legacy_id = 0)"),
    cell("29", "delay_debt_scores", "5", "debt_minutes", "UPDATE delay_debt_scores SET debt_minutes = debt_minutes + 1 WHERE user_id = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 5)"),
    cell("29", "delay_debt_scores", "0", "role_id", "UPDATE delay_debt_scores SET role_id = NULL WHERE user_id = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 0)"),
    whole("29", "delay_debt_scores", "6", "DELETE FROM delay_debt_scores WHERE user_id = (SELECT uuid_binary FROM users_id_map WHERE legacy_id = 6)"),
    // Reports: one that is missing, one that is wrong, one without a reason.
    whole("5", "requests", "6f9619ff-8b86-d011-b42d-00cf4fc964aa", "UPDATE ctl.exceptions SET closed_at = NOW(6) WHERE target_table = 'requests' AND scope_key = '6F9619FF-8B86-D011-B42D-00CF4FC964AA' AND column_name = 'created_by_id'"),
    whole("19", "escalation_rules", "1000000001", "UPDATE ctl.exceptions SET missing_id = '7' WHERE target_table = 'escalation_rules' AND scope_key = '1000000001' AND column_name = 'escalation_user_id'"),
    whole("12", "delays", "7", "INSERT INTO ctl.exceptions (target_table, scope_key, scope_fold, scope, kind, column_name, reason, since) VALUES ('delays', '7', '7', '{}', 'parked', 'justification', 'busy', NOW(6))"),
    whole("25", "role_permissions_text", "4", "UPDATE ctl.exceptions SET closed_at = NOW(6) WHERE target_table = 'role_permissions_text' AND scope_key = '4' AND missing_id = '1000000077'"),
    // Maps: an entry that is missing, and one with other bytes.
    whole("map", "delay_justifications", "5", "DELETE FROM delay_justifications_id_map WHERE legacy_id = 5"),
    cell("map", "delay_justifications_id_map", "6", "uuid_binary", "UPDATE delay_justifications_id_map SET uuid_binary = UNHEX(REPEAT('cd', 16)) WHERE legacy_id = 6"),
];
