-- Feature flags, their roles, their configuration and their audit entries ($A_FLAGS: where those ids begin).

INSERT INTO feature_flags (id, flag_key, enabled, created_at)
SELECT n, CONCAT('flag_', n, IF(n % 10 = 0, '_Ä', '')), n % 2, AT(flag, n) FROM testkit_n WHERE n <= $FLAGS;

INSERT IGNORE INTO feature_flag_roles (flag_id, role_id)
SELECT 1 + RND(fr.flag, n, $FLAGS), IF(n % 17 = 0, 99300 + n % 3, 1 + RND(fr.role, n, $ROLES)) FROM testkit_n WHERE n <= $FLAGS * 2;

INSERT INTO app_config (config_key, config_value)
SELECT CONCAT('feature.', IF(n % 8 = 0, UPPER(flag_key), flag_key), '.dependencies'),
  CASE n % 9
    WHEN 0 THEN '[]' WHEN 1 THEN '["flag_1", "flag_2"]' WHEN 2 THEN '{"not": "an array"}' WHEN 3 THEN 'not json'
    WHEN 4 THEN '' WHEN 5 THEN 'null' WHEN 6 THEN '[1, 2.50, 1e3, null, {"b": 1, "a": [true]}]'
    WHEN 7 THEN '"flag_1"' ELSE CONCAT(' [ "flag_', n, '" , "é\\"" ] ') END
FROM (SELECT id AS n, flag_key FROM feature_flags) f WHERE n % 6 > 0;

INSERT INTO app_config (config_key, config_value) VALUES
  ('feature.gone.dependencies', '["a"]'), ('feature.flag_6.dependenciesx', '["a"]'), ('mail.sender', '"crossfade@example.org"');

INSERT INTO audit_logs (id, entity_type, entity_id, action, actor_user_id, details, created_at)
SELECT $A_FLAGS + n, 'feature_flags', 1 + RND(aud.flag, n, $FLAGS), ELT(1 + n % 3, 'update', 'create', 'toggle'), WHO(aud.fby, n),
  CASE RND(aud.fform, n, 12)
    WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN '{"impact": "high"' WHEN 3 THEN '{"impact": null}' WHEN 4 THEN '{"impact": 7}'
    WHEN 5 THEN '{"impact": ""}' WHEN 6 THEN '{"impact": "far too long for the column"}' WHEN 7 THEN '{"impact": "twenty characters ok"}'
    WHEN 8 THEN '["impact"]' ELSE CONCAT('{"impact": "', ELT(1 + n % 3, 'low', 'high', 'Médium'), '", "by": ', n, '}') END,
  AT(aud.flag, n)
FROM testkit_n WHERE n <= $FLAGS * 6;
