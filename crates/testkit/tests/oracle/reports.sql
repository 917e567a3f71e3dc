-- The reports that PHASE2 asks for, as a union of what is missing; for the naive pipeline.

INSERT INTO ctl.exceptions (target_table, scope_key, scope_fold, scope, kind, column_name, reason, missing_entity, missing_id, since)
SELECT r.t, r.k, r.k, '{}', 'report', r.c, 'reference', r.e, r.i, NOW(6) FROM (
  SELECT 'requests' AS t, r.id AS k, c.c AS c, 'users' AS e, r.created_by_user_id AS i FROM requests r CROSS JOIN (SELECT 'created_by_id' AS c UNION SELECT 'created_by_uuid') c
    WHERE r.created_by_user_id NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'assignments', x.id, 'assigned_by_id', 'users', x.actor FROM (
    SELECT t.id, (SELECT a.actor_user_id FROM audit_logs a WHERE a.entity_type = 'assignments' AND a.entity_id = CAST(t.id AS CHAR CHARACTER SET ascii)
       AND a.action = 'create' ORDER BY a.created_at, a.id LIMIT 1) AS actor FROM assignments t) x WHERE x.actor NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'delays', x.id, 'responsible_user_id', 'users', x.u FROM (
    SELECT d.id, (SELECT a.assigned_to_user_id FROM assignments a WHERE a.request_id = d.request_id AND a.created_at <= d.detected_at ORDER BY a.created_at DESC, a.id DESC LIMIT 1) AS u
    FROM delays d) x WHERE x.u NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'delays', x.id, 'justified_by_id', 'users', x.u FROM (
    SELECT d.id, (SELECT a.actor_user_id FROM audit_logs a WHERE a.entity_type = 'delays' AND a.entity_id = CAST(d.id AS CHAR CHARACTER SET ascii) AND a.action = 'approve'
     ORDER BY a.created_at DESC, a.id DESC LIMIT 1) AS u FROM delays d) x WHERE x.u NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'delay_justifications', x.id, 'approved_by_id', 'users', x.u FROM (
    SELECT d.id, (SELECT a.actor_user_id FROM audit_logs a WHERE a.entity_type = 'delay_justifications' AND a.entity_id = CAST(d.id AS CHAR CHARACTER SET ascii) AND a.action = 'approve'
     ORDER BY a.created_at DESC, a.id DESC LIMIT 1) AS u FROM delay_justifications d) x WHERE x.u NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'escalation_rules', x.id, 'process_step_id', 'process_steps', x.s FROM (
    SELECT e.id, (SELECT a.process_step_id FROM assignments a WHERE a.request_id = e.request_id ORDER BY a.created_at DESC, a.id DESC LIMIT 1) AS s FROM escalation_rules e) x
    WHERE x.s NOT IN (SELECT id FROM process_steps)
  UNION ALL SELECT 'escalation_rules', id, 'escalation_user_id', 'users', designated_user_id FROM escalation_rules WHERE designated_user_id NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'feature_flags', x.id, 'updated_by', 'users', x.u FROM (
    SELECT f.id, (SELECT a.actor_user_id FROM audit_logs a WHERE a.entity_type = 'feature_flags' AND a.entity_id = CAST(f.id AS CHAR CHARACTER SET ascii)
      ORDER BY a.created_at DESC, a.id DESC LIMIT 1) AS u FROM feature_flags f) x WHERE x.u NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'feature_flags', f.id, 'required_roles', 'roles', g.role_id FROM feature_flags f JOIN feature_flag_roles g ON g.flag_id = f.id WHERE g.role_id NOT IN (SELECT id FROM roles)
  UNION ALL SELECT 'audit_logs', id, 'user_agent', 'request_logs', request_log_id FROM audit_logs WHERE request_log_id NOT IN (SELECT id FROM request_logs)
  UNION ALL SELECT 'audit_logs', x.id, 'legal_hold_by', 'users', x.u FROM (
    SELECT a.id, (SELECT h.held_by_user_id FROM legal_holds h WHERE h.audit_log_id = a.id ORDER BY h.held_at DESC, h.id DESC LIMIT 1) AS u FROM audit_logs a) x WHERE x.u NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'role_permissions_text', role_id, NULL, 'permissions', permission_id FROM role_permissions WHERE permission_id NOT IN (SELECT id FROM permissions)
  UNION ALL SELECT DISTINCT 'role_permissions_text', role_id, NULL, 'roles', role_id FROM role_permissions WHERE role_id NOT IN (SELECT id FROM roles)
  UNION ALL SELECT 'escalation_history', id, 'escalated_by_id', 'users', escalated_by_user_id FROM escalation_histories WHERE escalated_by_user_id NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'escalation_history', id, 'escalated_to_id', 'users', escalated_to_user_id FROM escalation_histories WHERE escalated_to_user_id NOT IN (SELECT id FROM users)
  UNION ALL SELECT 'escalation_history', h.id, 'assignment_id', NULL, NULL FROM escalation_histories h
    WHERE NOT EXISTS (SELECT 1 FROM assignments a WHERE a.request_id = h.request_id AND a.created_at <= h.escalated_at)
  UNION ALL SELECT 'delay_debt_scores', id, 'role_id', 'roles', role_id FROM users WHERE role_id NOT IN (SELECT id FROM roles)
  UNION ALL SELECT 'slas_new', x.id, 'role_id', 'roles', x.r FROM (
    SELECT s.id, COALESCE((SELECT MAX(l.role_id) FROM slas l WHERE l.process_step_id = s.id), s.role_id) AS r FROM process_steps s
    JOIN process_steps_id_map m ON m.legacy_id = s.id JOIN slas_new n ON n.process_step_id = m.uuid_binary) x WHERE x.r NOT IN (SELECT id FROM roles)
) r;

-- Ruling 4, and the rows that are not there.
INSERT INTO ctl.exceptions (target_table, scope_key, scope_fold, scope, kind, column_name, reason, since)
SELECT r.t, r.k, r.k, '{}', 'report', r.c, 'does not fit', NOW(6) FROM (
  SELECT 'process_steps' AS t, id AS k, 'default_sla_duration_seconds' AS c FROM process_steps WHERE ABS(default_sla_minutes) > 35791394
  UNION ALL SELECT 'escalation_rules', id, 'cooldown_seconds' FROM escalation_rules WHERE ABS(trigger_minutes) > 35791394
  UNION ALL SELECT 'file_attachments', id, 'content_type' FROM file_attachments WHERE JSON_VALID(metadata) AND JSON_TYPE(JSON_EXTRACT(metadata, '$.content_type')) = 'STRING' AND content_type IS NULL
  UNION ALL SELECT 'file_attachments', id, 'storage_path' FROM file_attachments WHERE JSON_VALID(metadata) AND JSON_TYPE(JSON_EXTRACT(metadata, '$.storage_path')) = 'STRING' AND storage_path IS NULL
  UNION ALL SELECT 'file_attachments', id, 'description' FROM file_attachments WHERE JSON_VALID(metadata) AND JSON_TYPE(JSON_EXTRACT(metadata, '$.description')) = 'STRING' AND description IS NULL
  UNION ALL SELECT 'feature_flags', id, 'impact' FROM feature_flags WHERE impact IS NULL
  UNION ALL SELECT 'slas_new', s.id, NULL FROM process_steps s WHERE (SELECT COUNT(*) FROM slas l WHERE l.process_step_id = s.id) > 1
  UNION ALL SELECT 'slas_new', s.id, NULL FROM process_steps s WHERE (SELECT COUNT(*) FROM slas l WHERE l.process_step_id = s.id) < 2
    AND ABS(COALESCE((SELECT MAX(l.minutes) FROM slas l WHERE l.process_step_id = s.id), s.default_sla_minutes)) > 35791394
  UNION ALL SELECT 'delegations_new', d.id, NULL FROM delegations d JOIN delegations_id_map m ON m.legacy_id = d.id WHERE m.uuid_binary NOT IN (SELECT id FROM delegations_new)
) r;
