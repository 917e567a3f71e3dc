-- Requests and what hangs on them. testkit_r holds one id per number, also for requests that are gone (beyond $REQUESTS).

INSERT INTO testkit_r (n, id, at)
SELECT n,
  CASE
    WHEN RND(req.form, n, 1000) < 30 THEN CONCAT('REQ-', 2005 + n % 15, '-', LPAD(n, 6, '0'))
    WHEN RND(req.form, n, 1000) < 35 THEN CONCAT('{', REPLACE(UUIDTEXT(req, n), '-', ''), '}')
    WHEN RND(req.form, n, 1000) < 40 THEN LEFT(REPLACE(UUIDTEXT(req, n), '-', ''), 31)
    WHEN RND(req.form, n, 1000) < 70 THEN REPLACE(UUIDTEXT(req, n), '-', '')
    WHEN RND(req.form, n, 1000) < 120 THEN UPPER(UUIDTEXT(req, n))
    WHEN RND(req.form, n, 1000) < 140 THEN CONCAT(UPPER(LEFT(UUIDTEXT(req, n), 13)), SUBSTR(UUIDTEXT(req, n), 14))
    WHEN n <= $REQUESTS AND RND(req.form, n, 1000) < 145 THEN REPLACE(UUIDTEXT(req, n - 1), '-', '')
    ELSE UUIDTEXT(req, n)
  END, AT(req, n)
FROM testkit_n WHERE n <= $REQUESTS + $REQUESTS DIV 50 + 5;

-- The second spelling of a neighbour's UUID may be what the neighbour already has: then this number has no request.
INSERT IGNORE INTO requests (id, title, description, status, priority, amount, tags, created_by_user_id, created_at, updated_at)
SELECT r.id, CONCAT('Request ', r.n), CASE WHEN r.n % 5 = 0 THEN NULL ELSE REPEAT('lorem ipsum ', 1 + r.n % 9) END,
       ELT(1 + RND(req.status, r.n, 5), 'draft', 'open', 'in_progress', 'done', 'cancelled'), 1 + r.n % 5,
       CASE WHEN r.n % 4 = 0 THEN NULL ELSE RND(req.amount, r.n, 10000000) / 100 END,
       ELT(1 + r.n % 4, '', 'urgent', 'vip,legal', 'urgent,finance'), WHO(req.by, r.n), r.at,
       TIMESTAMP'2025-02-03 04:05:06.789' + INTERVAL r.n SECOND
FROM testkit_r r WHERE r.n <= $REQUESTS;

INSERT INTO assignments (id, request_id, process_step_id, assigned_to_user_id, status, remarks, created_at, completed_at, updated_at)
SELECT x.n, CASE WHEN x.n % 20 = 0 THEN UPPER(x.rid) WHEN x.n % 21 = 0 THEN LOWER(x.rid) ELSE x.rid END,
       CASE WHEN RND(asg.k, x.n, 40) = 0 THEN NULL WHEN RND(asg.k, x.n, 40) = 1 THEN $STEPS + 700 + x.n % 5 ELSE 1 + RND(asg.step, x.n, $STEPS) END,
       WHO(asg.to, x.n), ELT(1 + RND(asg.status, x.n, 3), 'pending', 'active', 'done'),
       CASE RND(asg.rem, x.n, 5) WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN CONCAT('  ', x.n, ' ') ELSE CONCAT('remark ', x.n, ' é') END,
       x.at,
       CASE WHEN RND(asg.done, x.n, 10) < 7 THEN x.at + INTERVAL RND(asg.took, x.n, 400) HOUR END,
       TIMESTAMP'2025-02-03 04:05:06.789' + INTERVAL x.n SECOND
FROM (SELECT a.n, r.id AS rid,
             r.at + INTERVAL (CASE WHEN RND(asg.tie, a.n, 25) = 0 THEN 0 ELSE 1 + RND(asg.hour, a.n, 480) END) HOUR AS at
      FROM testkit_n a JOIN testkit_r r ON r.n = 1 + RND(asg.req, a.n, $REQUESTS + $REQUESTS DIV 50)
      WHERE a.n <= $ASSIGNMENTS) x;

INSERT INTO file_attachments (id, request_id, file_name, size_bytes, metadata, created_at)
SELECT f.n, r.id, CONCAT('file ', f.n, '.pdf'), f.n * 1024,
  CASE RND(att.form, f.n, 16)
    WHEN 0 THEN NULL
    WHEN 1 THEN ''
    WHEN 2 THEN CONCAT('{"content_type": "text/plain", "storage_path": "/broken/', f.n)
    WHEN 3 THEN CONCAT('{"content_type": ', f.n, ', "storage_path": null, "description": ["a"]}')
    WHEN 4 THEN '{"content_type": "", "description": " "}'
    WHEN 5 THEN CONCAT('{"meta": {"content_type": "nested"}, "storage_path": "/a/', f.n, '", "description": "\\"q\\" \\u00e9 \\\\ ', f.n, '"}')
    ELSE CONCAT('{"content_type": "application/', ELT(1 + f.n % 3, 'pdf', 'zip', 'json'), '", "storage_path": "/store/', f.n, '", "description": "File ', f.n, ' ü 😀"}')
  END, r.at + INTERVAL RND(att.at, f.n, 100000) SECOND
FROM testkit_n f JOIN testkit_r r ON r.n = 1 + RND(att.req, f.n, $REQUESTS + 5) WHERE f.n <= $ATTACHMENTS;

INSERT INTO delays (id, request_id, delay_minutes, reason, comment, migration_source, detected_at)
SELECT d.n, CASE WHEN d.n % 20 = 0 THEN UPPER(r.id) ELSE r.id END, RND(del.min, d.n, 5000),
       CASE RND(del.reason, d.n, 6) WHEN 0 THEN NULL WHEN 1 THEN '   ' WHEN 2 THEN '' WHEN 3 THEN ' padded ' ELSE CONCAT('late because ', d.n) END,
       CASE RND(del.comment, d.n, 5) WHEN 0 THEN NULL WHEN 1 THEN '  ' WHEN 2 THEN CHAR(9 USING utf8mb4) ELSE CONCAT('comment ', d.n, '  ') END,
       CASE RND(del.src, d.n, 8) WHEN 0 THEN 'as400' WHEN 1 THEN '' END,
       r.at + INTERVAL (RND(del.at, d.n, 600) - 24) HOUR
FROM testkit_n d JOIN testkit_r r ON r.n = 1 + RND(del.req, d.n, $REQUESTS + $REQUESTS DIV 50) WHERE d.n <= $DELAYS;

INSERT INTO delay_justifications (id, delay_id, body, submitted_by_user_id, created_at)
SELECT n, 1 + RND(jus.delay, n, $DELAYS + 40), CONCAT('Justification ', n), WHO(jus.by, n), AT(jus, n)
FROM testkit_n WHERE n <= $JUSTIFICATIONS;

INSERT INTO escalation_rules (id, request_id, trigger_minutes, escalate_to_role_id, designated_user_id, created_at)
SELECT e.n, CASE WHEN e.n % 12 = 0 THEN NULL ELSE r.id END,
       CASE WHEN e.n % 9 = 0 THEN NULL ELSE RND(rule.min, e.n, 3000) END, 1 + e.n % $ROLES,
       CASE WHEN e.n % 3 = 0 THEN NULL ELSE WHO(rule.user, e.n) END, r.at
FROM testkit_n e JOIN testkit_r r ON r.n = 1 + RND(rule.req, e.n, $REQUESTS + $REQUESTS DIV 50) WHERE e.n <= $RULES;

INSERT INTO escalation_histories (id, request_id, escalated_by_user_id, escalated_to_user_id, level, reason, escalated_at, resolved_at)
SELECT h.n, r.id, WHO(his.by, h.n), WHO(his.to, h.n), 1 + h.n % 3, CASE WHEN h.n % 6 = 0 THEN NULL ELSE CONCAT('escalated ', h.n, ' ') END,
       r.at + INTERVAL (RND(his.at, h.n, 600) - 24) HOUR, CASE WHEN h.n % 2 = 0 THEN r.at + INTERVAL 700 HOUR END
FROM testkit_n h JOIN testkit_r r ON r.n = 1 + RND(his.req, h.n, $REQUESTS + $REQUESTS DIV 50) WHERE h.n <= $HISTORIES;

-- Half of the delegators really are assigned on the request at that time, so that one, none and several all occur.
INSERT INTO delegations (id, request_id, delegator_user_id, delegate_user_id, reason, starts_at, ends_at)
SELECT d.n, a.request_id,
       CASE WHEN d.n % 4 = 0 THEN 1 + RND(dlg.or, d.n, $USERS + 20) ELSE COALESCE(a.assigned_to_user_id, 1) END,
       1 + RND(dlg.ee, d.n, $USERS + 20), CASE WHEN d.n % 5 = 0 THEN NULL ELSE CONCAT('holiday ', d.n) END,
       CASE WHEN d.n % 7 = 0 THEN a.created_at ELSE a.created_at + INTERVAL RND(dlg.at, d.n, 200) HOUR END,
       CASE WHEN d.n % 3 = 0 THEN a.created_at + INTERVAL 300 HOUR END
FROM testkit_n d JOIN assignments a ON a.id = 1 + RND(dlg.asg, d.n, $ASSIGNMENTS) WHERE d.n <= $DELEGATIONS;
