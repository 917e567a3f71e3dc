-- Roles, users, permissions, steps and SLAs. The macros are explained in src/sample/template.rs.

INSERT INTO roles (id, name, created_at)
SELECT n, CONCAT(ELT(1 + n % 4, 'team ', 'Team-', 'zone ', 'Área '), n), AT(role, n) FROM testkit_n WHERE n <= $ROLES;

INSERT INTO permissions (id, name)
SELECT n, CONCAT(ELT(1 + n % 5, 'request', 'delay', 'flag', 'audit', 'user'), '.', ELT(1 + n % 4, 'read', 'write', 'approve', 'delete'), '.', n)
FROM testkit_n WHERE n <= $PERMISSIONS;

INSERT IGNORE INTO role_permissions (role_id, permission_id, granted_at)
SELECT 1 + RND(grant.role, n, $ROLES), 1 + RND(grant.perm, n, $PERMISSIONS), AT(grant, n)
FROM testkit_n WHERE n <= $ROLES * 12;

INSERT INTO users (id, email, full_name, role_id, active, created_at)
SELECT n, CONCAT('user', n, '@example.org'), CONCAT(ELT(1 + n % 6, 'Ana', 'Björn', 'Chloé', 'Dmitri', 'Eva', '李'), ' ', n),
       CASE WHEN RND(user.k, n, 50) = 0 THEN NULL WHEN RND(user.k, n, 50) = 1 THEN 99000 + n % 7 ELSE 1 + RND(user.role, n, $ROLES) END,
       CASE RND(user.active, n, 12) WHEN 0 THEN 0 WHEN 1 THEN 1 END,
       AT(user, n)
FROM testkit_n WHERE n <= $USERS;

INSERT INTO process_steps (id, process_name, name, position, role_id, default_sla_minutes)
SELECT n, CONCAT('process ', n DIV 8), CONCAT('step ', n), n % 8,
       CASE WHEN n % 11 = 0 THEN NULL WHEN n % 29 = 0 THEN 99100 ELSE 1 + RND(step.role, n, $ROLES) END,
       CASE WHEN n % 7 = 0 THEN NULL ELSE 30 * RND(step.sla, n, 200) END
FROM testkit_n WHERE n <= $STEPS;

INSERT INTO slas (id, process_step_id, name, minutes, role_id, created_at)
SELECT n,
       CASE WHEN n % 19 = 0 THEN NULL WHEN n % 23 = 0 THEN $STEPS + 900 + n % 3 ELSE 1 + RND(sla.step, n, $STEPS) END,
       CONCAT('sla ', n), 15 * RND(sla.min, n, 300),
       CASE WHEN RND(sla.k, n, 3) = 0 THEN NULL WHEN n % 31 = 0 THEN 99200 ELSE 1 + RND(sla.role, n, $ROLES) END, AT(sla, n)
FROM testkit_n WHERE n <= $STEPS * 3 DIV 4;
