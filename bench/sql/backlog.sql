-- `wanted` row changes in transactions of 1 to 20 rows.
CREATE PROCEDURE backlog(wanted BIGINT, top BIGINT)
BEGIN
  DECLARE n BIGINT;
  WHILE wanted > 0 DO
    SET n = LEAST(1 + FLOOR(RAND() * 20), wanted), wanted = wanted - n;
    START TRANSACTION;
    CALL churn_rows(n, top);
    COMMIT;
  END WHILE;
END
