-- What PHASE2 says of the legacy rows, computed over whole tables: f_* are facts in between, x_* one row per legacy row.
-- A column named <column>_of holds the legacy id that a reference means, whether or not its row exists.
-- Temporary tables are read once per statement, because MySQL cannot open one twice.

-- Audit entries that belong to somebody: digits only, no leading zero, within BIGINT UNSIGNED, blanks at the end ignored
-- as the column's collation ignores them.
CREATE TEMPORARY TABLE f_audit (PRIMARY KEY (id), KEY (kind, owner)) AS
SELECT a.id, a.kind, CAST(a.digits AS UNSIGNED) AS owner, a.creates, a.approves, a.actor, a.at, a.details
FROM (SELECT id,
             CAST(CASE WHEN entity_type = 'users' THEN 'user' WHEN entity_type = 'assignments' THEN 'assi'
                       WHEN entity_type = 'delays' THEN 'dela' WHEN entity_type = 'delay_justifications' THEN 'just'
                       WHEN entity_type = 'feature_flags' THEN 'flag' END AS CHAR(4)) AS kind,
             TRIM(TRAILING ' ' FROM entity_id) AS digits, action = 'create' AS creates, action = 'approve' AS approves,
             actor_user_id AS actor, created_at AS at, details
      FROM audit_logs) a
WHERE a.kind IS NOT NULL AND CHAR_LENGTH(a.digits) BETWEEN 1 AND 20 AND a.digits NOT REGEXP '[^0-9]'
  AND (a.digits = '0' OR LEFT(a.digits, 1) <> '0') AND CAST(a.digits AS DECIMAL(30, 0)) <= 18446744073709551615;

CREATE TEMPORARY TABLE f_user (PRIMARY KEY (id)) AS
SELECT owner AS id, COUNT(*) AS entries, MAX(at) AS latest FROM f_audit WHERE kind = 'user' GROUP BY owner;

CREATE TEMPORARY TABLE f_created (PRIMARY KEY (id)) AS
SELECT owner AS id, actor FROM (
  SELECT owner, actor, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY at, id) AS n FROM f_audit WHERE kind = 'assi' AND creates) r WHERE n = 1;

CREATE TEMPORARY TABLE f_delay_approved (PRIMARY KEY (id)) AS
SELECT owner AS id, actor, at FROM (
  SELECT owner, actor, at, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY at DESC, id DESC) AS n FROM f_audit WHERE kind = 'dela' AND approves) r WHERE n = 1;

CREATE TEMPORARY TABLE f_justification_approved (PRIMARY KEY (id)) AS
SELECT owner AS id, actor, at FROM (
  SELECT owner, actor, at, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY at DESC, id DESC) AS n FROM f_audit WHERE kind = 'just' AND approves) r WHERE n = 1;

CREATE TEMPORARY TABLE f_flag (PRIMARY KEY (id)) AS
SELECT owner AS id, actor, at, details FROM (
  SELECT owner, actor, at, details, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY at DESC, id DESC) AS n FROM f_audit WHERE kind = 'flag') r WHERE n = 1;

CREATE TEMPORARY TABLE f_hold (PRIMARY KEY (id)) AS
SELECT audit_log_id AS id, reason, held_by_user_id AS by_of, held_at AS at FROM (
  SELECT h.*, ROW_NUMBER() OVER (PARTITION BY audit_log_id ORDER BY held_at DESC, id DESC) AS n FROM legal_holds h) r WHERE n = 1;

-- Per assignment, the one before it on the same request for the same user.
CREATE TEMPORARY TABLE f_before (PRIMARY KEY (id)) AS
SELECT id, LAG(id) OVER (PARTITION BY request_id, assigned_to_user_id ORDER BY created_at, id) AS earlier
FROM assignments WHERE assigned_to_user_id IS NOT NULL;

CREATE TEMPORARY TABLE f_latest_step (PRIMARY KEY (request_id)) AS
SELECT request_id, process_step_id FROM (
  SELECT request_id, process_step_id, ROW_NUMBER() OVER (PARTITION BY request_id ORDER BY created_at DESC, id DESC) AS n FROM assignments) r WHERE n = 1;

CREATE TEMPORARY TABLE f_request (PRIMARY KEY (request_id)) AS
SELECT request_id, MIN(created_at) AS started, MAX(completed_at) AS completed, SUM(completed_at IS NULL) AS open
FROM assignments GROUP BY request_id;

-- The assignment at (request, time).
CREATE TEMPORARY TABLE f_delay_at (PRIMARY KEY (id)) AS
SELECT id, assignment, assigned FROM (
  SELECT d.id, a.id AS assignment, a.assigned_to_user_id AS assigned, ROW_NUMBER() OVER (PARTITION BY d.id ORDER BY a.created_at DESC, a.id DESC) AS n
  FROM delays d JOIN assignments a ON a.request_id = d.request_id AND a.created_at <= d.detected_at) r WHERE n = 1;

CREATE TEMPORARY TABLE f_history_at (PRIMARY KEY (id)) AS
SELECT id, assignment FROM (
  SELECT h.id, a.id AS assignment, ROW_NUMBER() OVER (PARTITION BY h.id ORDER BY a.created_at DESC, a.id DESC) AS n
  FROM escalation_histories h JOIN assignments a ON a.request_id = h.request_id AND a.created_at <= h.escalated_at) r WHERE n = 1;

-- ---- one row per row of each table with parallel columns

CREATE TEMPORARY TABLE x_users (PRIMARY KEY (id)) AS
SELECT u.id, f.entries AS version_num, COALESCE(f.latest, u.created_at) AS updated_at, u.role_id AS role_of
FROM users u LEFT JOIN f_user f ON f.id = u.id;

CREATE TEMPORARY TABLE x_process_steps (PRIMARY KEY (id)) AS
SELECT id, CAST(default_sla_minutes AS SIGNED) * 60 AS default_sla_duration_seconds FROM process_steps;

CREATE TEMPORARY TABLE x_requests (PRIMARY KEY (id)) AS
SELECT r.id, r.created_by_user_id AS created_by_of, COALESCE(f.started, r.created_at) AS started_at,
       CASE WHEN f.open = 0 THEN f.completed END AS completed_at
FROM requests r LEFT JOIN f_request f ON f.request_id = r.id;

CREATE TEMPORARY TABLE x_file_attachments (PRIMARY KEY (id)) AS
SELECT id,
  CASE WHEN JSON_TYPE(JSON_EXTRACT(m, '$.content_type')) = 'STRING' THEN JSON_UNQUOTE(JSON_EXTRACT(m, '$.content_type')) END AS content_type,
  CASE WHEN JSON_TYPE(JSON_EXTRACT(m, '$.storage_path')) = 'STRING' THEN JSON_UNQUOTE(JSON_EXTRACT(m, '$.storage_path')) END AS storage_path,
  CASE WHEN JSON_TYPE(JSON_EXTRACT(m, '$.description')) = 'STRING' THEN JSON_UNQUOTE(JSON_EXTRACT(m, '$.description')) END AS description
FROM (SELECT id, CASE WHEN JSON_VALID(metadata) THEN metadata END AS m FROM file_attachments) a;

CREATE TEMPORARY TABLE x_assignments (PRIMARY KEY (id)) AS
SELECT a.id, CAST(CASE WHEN f.actor IS NULL THEN :admin ELSE f.actor END AS UNSIGNED) AS assigned_by_of
FROM assignments a LEFT JOIN f_created f ON f.id = a.id;

CREATE TEMPORARY TABLE x_delays (PRIMARY KEY (id), KEY (responsible_of)) AS
SELECT d.id, f.assigned AS responsible_of,
       CASE WHEN CHAR_LENGTH(REPLACE(d.reason, ' ', '')) > 0 THEN d.reason
            WHEN CHAR_LENGTH(REPLACE(d.comment, ' ', '')) > 0 THEN d.comment END AS justification,
       v.actor AS justified_by_of, v.at AS justified_at, b.earlier AS original_of, v.id IS NOT NULL AS is_justified,
       d.migration_source IS NOT NULL AS is_shadow_delay, d.delay_minutes, d.detected_at
FROM delays d LEFT JOIN f_delay_at f ON f.id = d.id LEFT JOIN f_before b ON b.id = f.assignment
LEFT JOIN f_delay_approved v ON v.id = d.id;

CREATE TEMPORARY TABLE x_delay_justifications (PRIMARY KEY (id)) AS
SELECT j.id, v.actor AS approved_by_of, v.at AS approved_at FROM delay_justifications j LEFT JOIN f_justification_approved v ON v.id = j.id;

CREATE TEMPORARY TABLE x_escalation_rules (PRIMARY KEY (id)) AS
SELECT e.id, CAST(e.trigger_minutes AS SIGNED) * 60 AS cooldown_seconds, f.process_step_id AS step_of, e.designated_user_id AS user_of
FROM escalation_rules e LEFT JOIN f_latest_step f ON f.request_id = e.request_id;

CREATE TEMPORARY TABLE x_feature_flags (PRIMARY KEY (id)) AS
SELECT id, CASE WHEN JSON_TYPE(JSON_EXTRACT(d, '$.impact')) = 'STRING' THEN JSON_UNQUOTE(JSON_EXTRACT(d, '$.impact')) ELSE 'neutral' END AS impact,
       updated_by_of, updated_at,
       CASE WHEN JSON_TYPE(v) = 'ARRAY' THEN v ELSE '[]' END AS dependencies
FROM (SELECT g.id, CASE WHEN JSON_VALID(f.details) THEN f.details END AS d, f.actor AS updated_by_of, f.at AS updated_at,
             CASE WHEN JSON_VALID(c.config_value) THEN c.config_value END AS v
      FROM feature_flags g LEFT JOIN f_flag f ON f.id = g.id
      LEFT JOIN app_config c ON c.config_key = CONCAT('feature.', g.flag_key, '.dependencies')) y;

CREATE TEMPORARY TABLE x_audit_logs (PRIMARY KEY (id)) AS
SELECT a.id, a.request_log_id AS request_log_of, l.user_agent, h.reason AS legal_hold_reason, h.by_of AS legal_hold_by_of, h.at AS legal_hold_at
FROM audit_logs a LEFT JOIN request_logs l ON l.id = a.request_log_id LEFT JOIN f_hold h ON h.id = a.id;

-- ---- shadow tables

CREATE TEMPORARY TABLE x_role_permissions_text AS
SELECT DISTINCT rp.role_id, FIRST_VALUE(p.name) OVER (PARTITION BY rp.role_id, p.name ORDER BY p.id) AS permission
FROM role_permissions rp JOIN permissions p ON p.id = rp.permission_id JOIN roles r ON r.id = rp.role_id;

CREATE TEMPORARY TABLE x_escalation_history (PRIMARY KEY (id)) AS
SELECT h.id, f.assignment AS assignment_of, h.escalated_by_user_id AS by_of, h.escalated_to_user_id AS to_of, h.level, h.reason, h.escalated_at, h.resolved_at
FROM escalation_histories h LEFT JOIN f_history_at f ON f.id = h.id;

CREATE TEMPORARY TABLE f_sla (PRIMARY KEY (id)) AS
SELECT process_step_id AS id, COUNT(*) AS slas, MIN(id) AS sla, MIN(minutes) AS minutes, MIN(role_id) AS role_of
FROM slas WHERE process_step_id IS NOT NULL GROUP BY process_step_id;

-- Steps whose SLAs are several have no duration here and `ambiguous` set; a step without any duration has neither.
CREATE TEMPORARY TABLE x_slas_new (PRIMARY KEY (id)) AS
SELECT s.id, COALESCE(f.slas, 0) > 1 AS ambiguous, CASE WHEN f.slas = 1 THEN f.sla END AS sla_of,
       CASE WHEN COALESCE(f.slas, 0) <= 1 THEN CAST(COALESCE(f.minutes, s.default_sla_minutes) AS SIGNED) * 60 END AS seconds,
       COALESCE(f.role_of, s.role_id) AS role_of
FROM process_steps s LEFT JOIN f_sla f ON f.id = s.id;

CREATE TEMPORARY TABLE f_delegation (PRIMARY KEY (id)) AS
SELECT d.id, COUNT(*) AS assignments, MIN(a.id) AS assignment
FROM delegations d JOIN assignments a ON a.request_id = d.request_id AND a.assigned_to_user_id = d.delegator_user_id
  AND a.created_at <= d.starts_at AND NOT COALESCE(a.completed_at < d.starts_at, FALSE)
GROUP BY d.id;

CREATE TEMPORARY TABLE x_delegations_new (PRIMARY KEY (id)) AS
SELECT d.id, CASE WHEN f.assignments = 1 AND u.id IS NOT NULL AND v.id IS NOT NULL THEN f.assignment END AS assignment_of,
       d.delegator_user_id AS delegator_of, d.delegate_user_id AS delegate_of, d.reason, d.starts_at, d.ends_at
FROM delegations d LEFT JOIN f_delegation f ON f.id = d.id LEFT JOIN users u ON u.id = d.delegator_user_id LEFT JOIN users v ON v.id = d.delegate_user_id;

CREATE TEMPORARY TABLE f_debt (PRIMARY KEY (id)) AS
SELECT responsible_of AS id, COUNT(*) AS total_delays, SUM(is_justified) AS justified_delays, SUM(delay_minutes) AS total_minutes,
       SUM(CASE WHEN is_justified THEN 0 ELSE delay_minutes END) AS debt_minutes, MAX(detected_at) AS last_delay_at
FROM x_delays WHERE responsible_of IS NOT NULL GROUP BY responsible_of;

CREATE TEMPORARY TABLE x_delay_debt_scores (PRIMARY KEY (id)) AS
SELECT u.id, u.role_id AS role_of, COALESCE(f.total_delays, 0) AS total_delays, COALESCE(f.justified_delays, 0) AS justified_delays,
       COALESCE(f.total_minutes, 0) AS total_minutes, COALESCE(f.debt_minutes, 0) AS debt_minutes, f.last_delay_at
FROM users u LEFT JOIN f_debt f ON f.id = u.id;
