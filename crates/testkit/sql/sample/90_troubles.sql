-- One of each trouble, at known keys, whatever the scale. $MAX: an id that no generated row has; $BIG: beyond 2^63.

-- Ids 0 and beyond 2^63, with things that point to them.
INSERT INTO roles (id, name, created_at) VALUES
  (0, 'zero role', '2024-01-01'), ($BIG + 1, 'big role', '2024-01-01'), ($MAX + 1, '"quoted" \\ back', '2024-01-01'),
  ($MAX + 2, 'émoji 😀', '2024-01-01'), ($MAX + 3, 'tab\there', '2024-01-01'), ($MAX + 4, 'Zeta', '2024-01-01'), ($MAX + 5, 'alpha', '2024-01-01'),
  ($MAX + 6, 'trailing ', '2024-01-01');
INSERT INTO users (id, email, full_name, role_id, active, created_at) VALUES
  (0, 'zero@example.org', 'Zero', 0, NULL, '2024-01-01 00:00:00.000001'),
  ($BIG + 1, 'big@example.org', 'Big', $BIG + 1, NULL, '2024-01-02'),
  (18446744073709500000, 'bigger@example.org', 'Bigger', NULL, 0, '2024-01-02'),
  ($MAX + 1, 'roleless@example.org', 'Role gone', $MAX + 99, NULL, '2024-01-02');
INSERT INTO process_steps (id, process_name, name, position, role_id, default_sla_minutes) VALUES
  (0, 'p', 'zero', 0, 0, 0), ($BIG + 1, 'p', 'big', 1, $BIG + 1, 1), ($MAX + 1, 'p', 'overflow', 2, 1, 35791395),
  ($MAX + 2, 'p', 'underflow', 3, 1, -35791395), ($MAX + 3, 'p', 'just fits', 4, 1, 35791394), ($MAX + 4, 'p', 'least', 5, 1, -35791394),
  ($MAX + 5, 'p', 'two equal slas', 6, 1, 10), ($MAX + 6, 'p', 'sla overflow', 7, 1, 10), ($MAX + 7, 'p', 'sla only', 8, NULL, NULL),
  ($MAX + 8, 'p', 'no duration', 9, 1, NULL), ($MAX + 9, 'p', 'role gone', 9, $MAX + 99, 10), ($MAX + 10, 'p', 'three slas', 9, 1, NULL),
  ($MAX + 11, 'p', 'overflowing default, one sla', 9, 1, 35791395);
INSERT INTO slas (id, process_step_id, name, minutes, role_id, created_at) VALUES
  (0, 0, 'zero', 5, 0, '2024-01-01'), ($BIG + 1, $BIG + 1, 'big', 6, $BIG + 1, '2024-01-01'),
  ($MAX + 1, $MAX + 5, 'a', 5, 1, '2024-01-01'), ($MAX + 2, $MAX + 5, 'b', 5, 1, '2024-01-01'), ($MAX + 3, $MAX + 6, 'o', 2147483647, 1, '2024-01-01'),
  ($MAX + 4, $MAX + 7, 'only', 7, NULL, '2024-01-01'), ($MAX + 5, $MAX + 10, 'x', 5, 1, '2024-01-01'), ($MAX + 6, $MAX + 10, 'y', 6, 1, '2024-01-01'),
  ($MAX + 7, $MAX + 10, 'z', 7, 1, '2024-01-01'), ($MAX + 8, $MAX + 11, 'one', 8, $MAX + 99, '2024-01-01'), ($MAX + 9, NULL, 'process wide', 9, 1, '2024-01-01');

-- Permission names that the target's collation holds for one, and grants whose role or permission is gone.
INSERT INTO permissions (id, name) VALUES
  (0, 'zero.permission'), ($MAX + 1, 'Same.Name'), ($MAX + 2, 'same.name'), ($MAX + 3, 'same.name '), ($MAX + 4, 'sáme.name'), ($MAX + 5, 'Same.Name'),
  ($MAX + 6, ''), ($MAX + 7, ' '), ($BIG + 1, 'zero.permission');
INSERT INTO role_permissions (role_id, permission_id, granted_at) VALUES
  (1, $MAX + 2, '2024-01-01'), (1, $MAX + 3, '2024-01-01'), (1, $MAX + 5, '2024-01-01'), (2, $MAX + 4, '2024-01-01'), (2, $MAX + 1, '2024-01-01'),
  (3, $MAX + 6, '2024-01-01'), (3, $MAX + 7, '2024-01-01'), (0, 0, '2024-01-01'), (0, $BIG + 1, '2024-01-01'), ($BIG + 1, $BIG + 1, '2024-01-01'),
  (4, $MAX + 77, '2024-01-01'), (4, $MAX + 78, '2024-01-01'), ($MAX + 88, 1, '2024-01-01'), ($MAX + 88, $MAX + 77, '2024-01-01'), ($MAX + 89, 0, '2024-01-01');

-- Request ids of every form. The two spellings of one UUID collide.
INSERT INTO requests (id, title, created_by_user_id, created_at) VALUES
  ('REQ-2009-000123', 'not a UUID', 0, '2009-01-01'), ('{6f9619ff8b86d011b42d00cf4fc964ff}', 'braces', $BIG + 1, '2024-01-01'),
  ('6f9619ff8b86d011b42d00cf4fc964f', '31 digits', NULL, '2024-01-01'), ('00000000-0000-0000-0000-000000000000', 'nil', 1, '2024-01-01'),
  ('6F9619FF-8B86-D011-B42D-00CF4FC964AA', 'upper case', $MAX + 99, '2024-01-01'), ('6f9619ff8b86d011b42d00cf4fc964bb', '32 digits', 2, '2024-01-01'),
  ('6f9619ff-8b86-d011-b42d-00cf4fc964cc', 'two spellings, one', 3, '2024-01-01'), ('6F9619FF8B86D011B42D00CF4FC964CC', 'two spellings, other', 4, '2024-01-01'),
  ('6f9619ff-8b86-d011-b42d00cf4fc964dd', 'three hyphens', 5, '2024-01-01'), ('6f9619ff8b86-d011-b42d-00cf-4fc964de', 'hyphens elsewhere', 5, '2024-01-01'),
  ('6f9619ff-8b86-d011-b42d-00cf4fc96400', 'last byte zero', 6, '2024-01-01'), ('', 'empty id', 7, '2024-01-01'), ('tail ', 'trailing blank', 8, '2024-01-01'),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'max', 9, '2024-01-01'), ('zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz', 'no hex', 10, '2024-01-01'), ('42', 'a number', 11, '2024-01-01');
INSERT INTO assignments (id, request_id, process_step_id, assigned_to_user_id, remarks, created_at, completed_at) VALUES
  (0, 'req-2009-000123', 0, 0, 'zero', '2024-03-01', '2024-03-05'), ($BIG + 1, 'REQ-2009-000123', $BIG + 1, $BIG + 1, NULL, '2024-03-02', '2024-03-03'),
  ($MAX + 1, 'REQ-2009-000123', 1, 0, '', '2024-03-02', NULL), ($MAX + 2, 'Tail', 1, 5, ' ', '2024-03-01', '2024-03-01'),
  ($MAX + 3, 'tail ', NULL, 5, 'x', '2024-03-01', '2024-03-02'), ($MAX + 4, 'TAIL', $MAX + 99, $MAX + 99, 'y', '2024-03-01', '2024-03-03'),
  ($MAX + 5, 'request gone', 2, 6, 'the request is gone', '2024-03-01', '2024-03-04'), ($MAX + 6, 'REQUEST GONE', 3, 6, 'the same', '2024-03-02', NULL),
  ($MAX + 7, '', 4, NULL, 'nobody', '2024-03-01', NULL), ($MAX + 8, '', 4, NULL, 'nobody again', '2024-03-02', '2024-03-02'),
  ($MAX + 9, '42', 5, 7, NULL, '2024-03-01', '2024-03-02'), ($MAX + 10, '42', 5, 7, NULL, '2024-03-01 12:00:00', NULL), ($MAX + 11, '42', 6, 8, NULL, '2024-03-01', '2024-04-02');
INSERT INTO delays (id, request_id, delay_minutes, reason, comment, migration_source, detected_at) VALUES
  (0, 'REQ-2009-000123', 4294967295, '   ', ' \t ', 'old', '2024-03-01'), ($BIG + 1, 'req-2009-000123', 4294967295, NULL, NULL, NULL, '2024-03-02'),
  ($MAX + 1, 'REQ-2009-000123', 1, 'before all', 'c', '', '2024-02-29 23:59:59.999999'), ($MAX + 2, 'tail', 2, ' ', 'c ', 'x', '2024-03-01'),
  ($MAX + 3, 'Request Gone', 3, '', ' ', NULL, '2024-03-02'), ($MAX + 4, '', 4, NULL, '', NULL, '2024-03-03'),
  ($MAX + 5, '42', 5, '\n', 'c', NULL, '2024-03-02'), ($MAX + 6, 'nothing here', 6, 'r', NULL, NULL, '2024-03-02'), ($MAX + 7, 'TAIL ', 2, 'r', NULL, NULL, '2024-02-01');
INSERT INTO delay_justifications (id, delay_id, body, submitted_by_user_id, created_at) VALUES
  (0, 0, 'zero', 0, '2024-03-02'), ($BIG + 1, $BIG + 1, 'big', $BIG + 1, '2024-03-02'), ($MAX + 1, $MAX + 99, 'delay gone', 1, '2024-03-02');
INSERT INTO escalation_rules (id, request_id, trigger_minutes, escalate_to_role_id, designated_user_id, created_at) VALUES
  (0, 'REQ-2009-000123', 35791395, 1, 0, '2024-01-01'), ($BIG + 1, 'TAIL', 35791394, 1, $BIG + 1, '2024-01-01'), ($MAX + 1, NULL, -35791395, 1, $MAX + 99, '2024-01-01'),
  ($MAX + 2, 'request gone', -1, 1, NULL, '2024-01-01'), ($MAX + 3, 'nothing here', 0, 1, 1, '2024-01-01'), ($MAX + 4, 'tail', 2147483647, 1, 1, '2024-01-01');
INSERT INTO escalation_histories (id, request_id, escalated_by_user_id, escalated_to_user_id, level, reason, escalated_at) VALUES
  (0, 'REQ-2009-000123', 0, $BIG + 1, 1, ' r ', '2024-03-02'), ($BIG + 1, 'request gone', $MAX + 99, NULL, 255, NULL, '2024-03-05'),
  ($MAX + 1, 'nothing here', $MAX + 99, $MAX + 99, 0, '', '2024-03-05'), ($MAX + 2, 'tail', NULL, 1, 1, 'a', '2024-02-01');
INSERT INTO delegations (id, request_id, delegator_user_id, delegate_user_id, reason, starts_at) VALUES
  (0, 'REQ-2009-000123', $BIG + 1, 0, 'one', '2024-03-02'), ($BIG + 1, 'REQ-2009-000123', 0, $BIG + 1, 'two', '2024-03-02'), ($MAX + 1, 'request gone', 6, 1, 'several', '2024-03-03'),
  ($MAX + 2, 'TAIL', $MAX + 99, 1, 'delegator gone', '2024-03-02'), ($MAX + 3, '42', 8, $MAX + 99, 'delegate gone', '2024-03-02'), ($MAX + 4, 'nothing here', 1, 2, 'none', '2024-03-02'),
  ($MAX + 5, 'tail ', 5, 5, 'edge: ends as it starts', '2024-03-02'), ($MAX + 6, 'tail', 1, 5, 'not assigned', '2024-03-02');

-- Audit entries that belong to nobody, or to somebody in an unusual spelling.
INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, request_log_id, details, created_at) VALUES
  (0, 'users', '0', 'update', 0, 0, NULL, '2030-01-01'), ($BIG + 1, 'users', '$BIG1', 'update', $BIG + 1, $BIG + 1, NULL, '2030-01-01'),
  ($MAX + 1, 'Users ', '12', 'update', 1, $MAX + 99, NULL, '2030-01-02'), ($MAX + 2, 'users', '012', 'update', 1, NULL, NULL, '2030-01-03'),
  ($MAX + 3, 'users', '12abc', 'update', 1, NULL, NULL, '2030-01-04'), ($MAX + 4, 'users', '+12', 'update', 1, NULL, NULL, '2030-01-05'),
  ($MAX + 5, 'users', '12 ', 'update', 1, NULL, NULL, '2030-01-01 12:00:00'), ($MAX + 6, 'users', ' 12', 'update', 1, NULL, NULL, '2030-01-07'),
  ($MAX + 7, 'users', '12.0', 'update', 1, NULL, NULL, '2030-01-08'), ($MAX + 8, 'users', '1.2e1', 'update', 1, NULL, NULL, '2030-01-09'),
  ($MAX + 9, 'users', '', 'update', 1, NULL, NULL, '2030-01-10'), ($MAX + 10, 'users', '00', 'update', 1, NULL, NULL, '2030-01-10'), ($MAX + 11, 'users', '-0', 'update', 1, NULL, NULL, '2030-01-10'),
  ($MAX + 12, ' users', '12', 'update', 1, NULL, NULL, '2030-01-11'), ($MAX + 13, 'users', '18446744073709551628', 'update', 1, NULL, NULL, '2030-01-12'),
  ($MAX + 20, 'assignments', '0', 'create', 0, NULL, NULL, '2030-01-01'), ($MAX + 21, 'assignments', '0', 'Create ', $BIG + 1, NULL, NULL, '2030-01-01'),
  ($MAX + 22, 'assignments', '$BIG1', 'create', NULL, NULL, NULL, '2030-01-01'), ($MAX + 23, 'assignments', '$BIG1', 'create', 1, NULL, NULL, '2030-01-02'),
  ($MAX + 24, 'assignments', '$MAX1', 'create', $MAX + 99, NULL, NULL, '2030-01-01'), ($MAX + 25, 'assignments', '$MAX1', 'create', 1, NULL, NULL, '2030-01-02'),
  ($MAX + 30, 'delays', '0', 'approve', 0, NULL, NULL, '2030-01-01'), ($MAX + 31, 'delays', '0', 'approve', $BIG + 1, NULL, NULL, '2030-01-01'),
  ($MAX + 32, 'DELAYS', '$BIG1', 'approve ', $MAX + 99, NULL, NULL, '2030-01-01'), ($MAX + 33, 'delays', '$MAX1', 'approve', NULL, NULL, NULL, '2030-01-01'),
  ($MAX + 40, 'delay_justifications', '0', 'approve', 0, NULL, NULL, '2030-01-01'), ($MAX + 41, 'delay_justifications', '$BIG1', 'approve', $MAX + 99, NULL, NULL, '2030-01-01'),
  ($MAX + 42, 'delay_justifications', '$MAX1', 'APPROVE', NULL, NULL, NULL, '2030-01-01');
INSERT INTO request_logs (id, user_agent, created_at) VALUES (0, REPEAT('x', 400), '2024-01-01'), ($BIG + 1, ' ', '2024-01-01');
INSERT INTO legal_holds (id, audit_log_id, reason, held_by_user_id, held_at) VALUES
  (0, 0, 'first', 1, '2024-01-01'), ($MAX + 1, 0, 'same time, greater id', 0, '2024-01-01'), ($BIG + 1, $BIG + 1, REPEAT('ü', 400), $BIG + 1, '2024-01-01'),
  ($MAX + 2, $MAX + 1, 'by someone gone', $MAX + 99, '2024-01-01'), ($MAX + 3, $MAX + 2, 'by nobody', NULL, '2024-01-01'), ($MAX + 4, $MAX + 99, 'entry gone', 1, '2024-01-01');

-- Attachments: too long, exactly fitting, nested deeper than MariaDB reads (32) and less than MySQL does (100), duplicate keys, numbers, escapes.
INSERT INTO file_attachments (id, request_id, file_name, size_bytes, metadata, created_at) VALUES
  (0, 'nothing here', 'z', 0, CONCAT('{"content_type": "', REPEAT('x', 121), '", "storage_path": "', REPEAT('é', 501), '", "description": "', REPEAT('é', 32768), '"}'), '2024-01-01'),
  ($BIG + 1, 'tail', 'z', 18446744073709551615, CONCAT('{"content_type": "', REPEAT('é', 120), '", "storage_path": "', REPEAT('é', 500), '", "description": "', REPEAT('é', 32767), 'x"}'), '2024-01-01'),
  ($MAX + 1, 'tail', 'z', 0, CONCAT('{"content_type": "x', REPEAT(' ', 120), '", "description": "kept"}'), '2024-01-01'),
  ($MAX + 2, 'tail', 'z', 0, CONCAT('{"content_type": "deep", "x": ', REPEAT('[', 60), REPEAT(']', 60), '}'), '2024-01-01'),
  ($MAX + 3, 'tail', 'z', 0, CONCAT('{"content_type": "shallow", "x": ', REPEAT('[', 20), REPEAT(']', 20), '}'), '2024-01-01'),
  ($MAX + 4, 'tail', 'z', 0, '{"content_type": "first", "content_type": "second", "storage_path": "a", "storage_path": null}', '2024-01-01'),
  ($MAX + 5, 'tail', 'z', 0, '{"content_type": true, "storage_path": 1e400, "description": {"a": 1}}', '2024-01-01'),
  ($MAX + 6, 'tail', 'z', 0, '"content_type"', '2024-01-01'), ($MAX + 7, 'tail', 'z', 0, '[{"content_type": "in an array"}]', '2024-01-01'),
  ($MAX + 8, 'tail', 'z', 0, ' {"content_type" : "spaces\\tand\\nlines", "storage_path": "\\/x\\\\y", "description": "\\ud83d\\ude00 \\u0041"} ', '2024-01-01'),
  ($MAX + 9, 'tail', 'z', 0, '{"content_type": "x"} trailing', '2024-01-01'), ($MAX + 10, 'tail', 'z', 0, '{}', '2024-01-01'), ($MAX + 11, 'tail', 'z', 0, '{"Content_Type": "case"}', '2024-01-01'),
  ($MAX + 12, 'tail', 'z', 0, '{"content_type": "null", "storage_path": "true", "description": "7"}', '2024-01-01');

-- Flags: without audit, with a missing role, with a configuration that is not JSON, too deep, or has duplicate keys.
INSERT INTO feature_flags (id, flag_key, enabled, created_at) VALUES
  (0, 'zero', 1, '2024-01-01'), ($BIG + 1, 'big', 1, '2024-01-01'), ($MAX + 1, 'no audit', 1, '2024-01-01'), ($MAX + 2, 'Deep', 1, '2024-01-01'),
  ($MAX + 3, 'dup', 1, '2024-01-01'), ($MAX + 4, 'pad', 1, '2024-01-01'), ($MAX + 5, '%', 1, '2024-01-01'), ($MAX + 6, 'a.b', 1, '2024-01-01');
INSERT INTO feature_flag_roles (flag_id, role_id) VALUES
  (0, 0), (0, $BIG + 1), (0, $MAX + 1), (0, $MAX + 2), (0, $MAX + 3), (0, $MAX + 4), (0, $MAX + 5), (0, $MAX + 6), (0, $MAX + 99), (0, $MAX + 98),
  ($BIG + 1, $MAX + 99), ($MAX + 99, 1);
INSERT INTO app_config (config_key, config_value) VALUES
  ('feature.zero.dependencies', '[{"a": 1, "a": 2}]'), ('FEATURE.BIG.DEPENDENCIES', '["by collation"]'), ('feature.deep.dependencies', CONCAT(REPEAT('[', 60), REPEAT(']', 60))),
  ('feature.dup.dependencies', '["x", "x", "é", "\\u00e9"]'), ('feature.pad.dependencies ', '["trailing blank"]'), ('feature.a.b.dependencies', '[0.1, 1.0, 100, -0]');
INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, details, created_at) VALUES
  ($MAX + 50, 'feature_flags', '0', 'update', 0, '{"impact": "low", "impact": "high"}', '2030-01-01'), ($MAX + 51, 'Feature_Flags', '0', 'update', $MAX + 99, '{"impact": " "}', '2030-01-01'),
  ($MAX + 52, 'feature_flags', '$BIG1', 'update', NULL, '{"impact": "x                    "}', '2030-01-01'), ($MAX + 53, 'feature_flags', '$MAX2', 'x', 1, '{"nested": {"impact": "no"}}', '2030-01-01');
