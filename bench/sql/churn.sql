-- Row changes of an application: 70 % updates, 20 % inserts, 10 % deletes; ids up to `top` are hit evenly.
CREATE PROCEDURE churn_rows(n BIGINT, top BIGINT)
BEGIN
  DECLARE dice, k BIGINT;
  WHILE n > 0 DO
    SET dice = FLOOR(RAND() * 10), k = 1 + FLOOR(RAND() * top), n = n - 1;
    IF dice < 7 THEN
      UPDATE requests SET status = status + 1, amount = amount + 0.01, assigned_to_user_id = k % 20000, updated_at = NOW(6)
      WHERE id >= k ORDER BY id LIMIT 1;
    ELSEIF dice < 9 THEN
      INSERT INTO requests (request_no, title, description, status, priority, process_id, created_by_user_id,
        assigned_to_user_id, amount, currency, notes, created_at, updated_at, due_at, closed_at)
      VALUES (CONCAT('REQ-2027-', k), CONCAT('New request for item ', k % 100000),
        CONCAT(MD5(k), ' please deliver before the end of the month ', MD5(k * 31)), 0, k % 5, k % 500, k % 20000,
        NULL, k % 1000000 / 100, 'EUR', NULL, NOW(6), NOW(6), NOW(6) + INTERVAL 30 DAY, NULL);
    ELSE
      DELETE FROM requests WHERE id >= k ORDER BY id LIMIT 1;
    END IF;
  END WHILE;
END
