-- Request logs, the audit trail and its legal holds. Ids of audit entries go up in blocks, one block per kind of entity.

INSERT INTO request_logs (id, user_agent, created_at)
SELECT n, CASE RND(log.k, n, 20) WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN CONCAT(' Agent ', n, ' ') ELSE CONCAT('Mozilla/5.0 (', n % 400, ')') END, AT(log, n)
FROM testkit_n WHERE n <= $LOGS AND RND(log.gone, n, 50) > 0;

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at)
SELECT n, IF(n % 40 = 0, 'USERS', 'users'), 1 + RND(aud.user, n, $USERS + 10), ELT(1 + RND(aud.uact, n, 4), 'update', 'login', 'create', 'Approve'),
       WHO(aud.uby, n), CASE WHEN n % 3 = 0 THEN NULL ELSE 1 + RND(aud.ulog, n, $LOGS) END, AT(aud.user, n)
FROM testkit_n WHERE n <= $A_USERS;

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at)
SELECT $A_USERS + n, 'assignments', IF(n <= $ASSIGNMENTS, n, 1 + RND(aud.asg, n, $ASSIGNMENTS)),
       CASE RND(aud.aact, n, 30) WHEN 0 THEN 'CREATE' WHEN 1 THEN 'update' WHEN 2 THEN 'creat' ELSE 'create' END,
       WHO(aud.aby, n), CASE WHEN n % 3 = 0 THEN NULL ELSE 1 + RND(aud.alog, n, $LOGS) END, AT(aud.asg, n)
FROM testkit_n WHERE n <= $A_ASSIGNMENTS AND RND(aud.agone, n, 12) > 0;

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at)
SELECT $A_USERS + $A_ASSIGNMENTS + n, 'delays', 1 + RND(aud.del, n, $DELAYS + 20),
       ELT(1 + RND(aud.dact, n, 4), 'approve', 'update', 'reject', IF(n % 30 = 0, 'APPROVE', 'approve')),
       WHO(aud.dby, n), NULL, AT(aud.del, n)
FROM testkit_n WHERE n <= $A_DELAYS;

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at)
SELECT $A_USERS + $A_ASSIGNMENTS + $A_DELAYS + n, 'delay_justifications', 1 + RND(aud.jus, n, $JUSTIFICATIONS + 20),
       ELT(1 + RND(aud.jact, n, 2), 'approve', 'update'), WHO(aud.jby, n), NULL, AT(aud.jus, n)
FROM testkit_n WHERE n <= $JUSTIFICATIONS;

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, created_at)
SELECT $A_USERS + $A_ASSIGNMENTS + $A_DELAYS + $JUSTIFICATIONS + r.n, 'requests', r.id, ELT(1 + r.n % 3, 'create', 'update', 'close'),
       WHO(aud.rby, r.n), 1 + RND(aud.rlog, r.n, $LOGS), r.at
FROM testkit_r r WHERE r.n <= $A_REQUESTS;

INSERT INTO legal_holds (id, audit_log_id, reason, held_by_user_id, held_at)
SELECT n, CASE WHEN n % 25 = 0 THEN 900000000 + n ELSE 1 + RND(hold.aud, n, $A_USERS DIV (1 + n % 3)) END,
       CONCAT('matter ', n, ELT(1 + n % 3, '', ' ', ' ü')), WHO(hold.by, n), AT(hold, n)
FROM testkit_n WHERE n <= $HOLDS;
