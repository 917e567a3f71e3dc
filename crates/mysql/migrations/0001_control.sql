-- The control schema: everything that Crossfade remembers, apart from the id maps.
-- A migration may be interrupted between two statements and run again: each of them must stand a repetition.

CREATE TABLE IF NOT EXISTS meta (
  name   VARCHAR(64) NOT NULL PRIMARY KEY,
  value  LONGTEXT NOT NULL
);

-- One row per source. `epoch` and `beat` are the fence against a second reader (C1).
CREATE TABLE IF NOT EXISTS reader (
  source         VARCHAR(64) NOT NULL PRIMARY KEY,
  epoch          BIGINT UNSIGNED NOT NULL DEFAULT 0,
  beat           BIGINT UNSIGNED NOT NULL DEFAULT 0,
  position       TEXT NULL,                 -- everything up to here is durable on the bus
  beat_at        DATETIME(6) NULL
);

-- What the background fence has proved: everything up to here is applied, except the parked scopes (C5).
CREATE TABLE IF NOT EXISTS applied (
  source       VARCHAR(64) NOT NULL PRIMARY KEY,
  position     TEXT NULL,
  incarnation  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  applied_at   DATETIME(6) NULL,
  waits_for    VARCHAR(255) NULL            -- the stage at which the fence last stood
);

-- Rows that `wait` and the verifier write: their commit is the barrier whose position is fenced.
CREATE TABLE IF NOT EXISTS barrier (
  id  INT UNSIGNED NOT NULL PRIMARY KEY,
  n   BIGINT UNSIGNED NOT NULL DEFAULT 0
);
INSERT INTO barrier (id, n) VALUES (1, 0) ON DUPLICATE KEY UPDATE n = n;

-- One row per partition of a target's last topic: the lock and the offset of C4.
CREATE TABLE IF NOT EXISTS lane (
  target       VARCHAR(64) NOT NULL,
  lane         INT UNSIGNED NOT NULL,
  topic        VARCHAR(249) NOT NULL,
  next_offset  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  mode         ENUM('write','compare','off') NOT NULL DEFAULT 'write',
  walker       CHAR(36) CHARACTER SET ascii NULL,   -- whose chunks may write the target
  PRIMARY KEY (target, lane)
);

-- What dual write came to, in mode `compare`: rows by target, hour and lane.
CREATE TABLE IF NOT EXISTS dual_write (
  target     VARCHAR(64) NOT NULL,
  hour       DATETIME NOT NULL,
  lane       INT UNSIGNED NOT NULL,           -- so that lanes do not wait for each other
  equal      BIGINT UNSIGNED NOT NULL DEFAULT 0,
  filled     BIGINT UNSIGNED NOT NULL DEFAULT 0,   -- was missing
  different  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (target, hour, lane)
);

-- A report (the value is NULL and we say why) or a parked scope (its rows stay as they are).
CREATE TABLE IF NOT EXISTS exceptions (
  id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  target_table    VARCHAR(64) NOT NULL,
  scope_key       VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  scope_fold      VARBINARY(512) NOT NULL,
  scope           JSON NOT NULL,            -- the key's cells, to make the mark again
  kind            ENUM('report','parked') NOT NULL,
  column_name     VARCHAR(64) NULL,
  reason          VARCHAR(64) NOT NULL,
  missing_entity  VARCHAR(64) NULL,
  missing_id      VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  missing_fold    VARBINARY(255) NULL,
  detail          TEXT NULL,
  since           DATETIME(6) NOT NULL,
  closed_at       DATETIME(6) NULL,
  waived_at       DATETIME(6) NULL,
  waived_by       VARCHAR(190) NULL,
  waived_because  VARCHAR(400) NULL,
  KEY ix_exceptions_scope (target_table, scope_fold, closed_at),
  KEY ix_exceptions_missing (missing_entity, missing_fold, closed_at),
  KEY ix_exceptions_reason (reason, closed_at),
  KEY ix_exceptions_closed (closed_at)
);

CREATE OR REPLACE VIEW open_exceptions AS
  SELECT target_table, scope_key, column_name, reason, missing_entity, missing_id, since
  FROM exceptions WHERE closed_at IS NULL;

-- Scopes to be marked again: parked ones on their way back, repairs, operators' redrives. The mapper takes them.
CREATE TABLE IF NOT EXISTS redrive (
  id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  target    VARCHAR(64) NOT NULL,
  scope     JSON NOT NULL,
  reason    VARCHAR(32) NOT NULL,
  attempts  INT UNSIGNED NOT NULL DEFAULT 0,
  due_at    DATETIME(6) NOT NULL,
  KEY ix_redrive_due (due_at)
);

-- A pass over all scopes of a target, in key order. All up to `done_to` is done; it moves in a chunk's transaction.
CREATE TABLE IF NOT EXISTS pass (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  target      VARCHAR(64) NOT NULL,
  kind        ENUM('ids','rows') NOT NULL,
  ordinal     INT UNSIGNED NOT NULL DEFAULT 0,   -- dependency order
  reason      VARCHAR(32) NOT NULL,
  state       ENUM('pending','running','done') NOT NULL DEFAULT 'pending',
  done_to     LONGTEXT NULL,                -- JSON, compared as it was written
  estimate    BIGINT UNSIGNED NOT NULL DEFAULT 0,
  most        BIGINT UNSIGNED NULL,              -- ends after so many scopes; NULL: at the end of the table
  scanned     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  changed     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  created_at  DATETIME(6) NOT NULL,
  started_at  DATETIME(6) NULL,
  ended_at    DATETIME(6) NULL,
  KEY ix_pass_target (target, kind, id)
);

-- Two spellings of one UUID: the first keeps its bytes, the other got derived ones.
CREATE TABLE IF NOT EXISTS id_collision (
  entity     VARCHAR(64) NOT NULL,
  legacy_id  VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  wanted     BINARY(16) NOT NULL,
  given      BINARY(16) NOT NULL,
  seen_at    DATETIME(6) NOT NULL,
  PRIMARY KEY (entity, legacy_id)
);

-- Each running service says how it is, once a second.
CREATE TABLE IF NOT EXISTS service (
  name      VARCHAR(32) NOT NULL,
  instance  VARCHAR(64) NOT NULL,
  state     VARCHAR(16) NOT NULL,
  detail    JSON NULL,
  seen_at   DATETIME(6) NOT NULL,
  PRIMARY KEY (name, instance)
);

-- Differences that the verifier has seen; values never stand here, only digests.
CREATE TABLE IF NOT EXISTS finding (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  target      VARCHAR(64) NOT NULL,
  scope_key   VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  kind        VARCHAR(32) NOT NULL,
  cause       VARCHAR(32) NULL,             -- what explains it; `unlogged`: nothing in the binlog does
  state       ENUM('confirmed','repaired') NOT NULL,
  wanted      BINARY(16) NULL,
  present     BINARY(16) NULL,
  position    TEXT NULL,
  read_name   VARCHAR(64) NULL,             -- of a shadow read: which of the target's reads
  scope       JSON NULL,                    -- and the key's cells, to read it again
  seen_at     DATETIME(6) NOT NULL,
  closed_at   DATETIME(6) NULL,
  KEY ix_finding_open (target, closed_at),
  KEY ix_finding_kind (target, kind, `position`(64))
);

-- A verification pass over one target by the service, so that it goes on where it was. All up to `done_to` was equal.
CREATE TABLE IF NOT EXISTS sweep (
  target      VARCHAR(64) NOT NULL PRIMARY KEY,
  done_to     LONGTEXT NULL,                -- JSON
  segment     INT UNSIGNED NOT NULL DEFAULT 0,
  wanted      BIGINT UNSIGNED NOT NULL DEFAULT 0,
  present     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  sampled     BIGINT UNSIGNED NOT NULL DEFAULT 0,
  known       BIGINT UNSIGNED NOT NULL,     -- the newest finding when it began
  began_at    DATETIME(6) NOT NULL,
  ended_at    DATETIME(6) NULL
);

-- When each part of a target was compared last, whole. Parts are key ranges `(low, high]`.
CREATE TABLE IF NOT EXISTS coverage (
  target      VARCHAR(64) NOT NULL,
  segment     INT UNSIGNED NOT NULL,
  low         LONGTEXT NULL,                -- JSON; NULL: from the beginning
  high        LONGTEXT NULL,                -- NULL: to the end
  rows_seen   BIGINT UNSIGNED NOT NULL,
  seen_at     DATETIME(6) NOT NULL,
  PRIMARY KEY (target, segment)
);

-- What an id map was when it was looked at last: entries up to `until`, and two sums over their digests.
CREATE TABLE IF NOT EXISTS map_seen (
  entity   VARCHAR(64) NOT NULL PRIMARY KEY,
  until    DATETIME(6) NOT NULL,
  entries  BIGINT UNSIGNED NOT NULL,
  sums     VARCHAR(190) NOT NULL,
  seen_at  DATETIME(6) NOT NULL
);

-- A pair of tables that the verifier damages on purpose, to see that it sees.
CREATE TABLE IF NOT EXISTS canary (
  id      BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  name    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL,
  note    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL,
  amount  DECIMAL(12,2) NULL,
  at      DATETIME(6) NULL,
  uuid    BINARY(16) NULL
);
CREATE TABLE IF NOT EXISTS canary_new LIKE canary;

CREATE TABLE IF NOT EXISTS verdict (
  target      VARCHAR(64) NOT NULL PRIMARY KEY,   -- '' for the whole
  verdict     ENUM('ready','not_ready','unknown') NOT NULL,
  body        JSON NOT NULL,
  position    TEXT NULL,
  made_at     DATETIME(6) NOT NULL,
  expires_at  DATETIME(6) NOT NULL
);

-- What was taken from a watched table into `fidelity_<table>`, to compare what the binlog says of it with a SELECT.
CREATE TABLE IF NOT EXISTS sample (
  table_name  VARCHAR(64) NOT NULL PRIMARY KEY,
  shape       CHAR(36) CHARACTER SET ascii NOT NULL,   -- of its columns
  sample      BIGINT UNSIGNED NOT NULL DEFAULT 0,      -- the newest; never counted anew
  since       BIGINT UNSIGNED NOT NULL DEFAULT 0,      -- up to this one they say nothing any more
  row_count   BIGINT UNSIGNED NULL,                    -- of the newest
  taken_at    DATETIME(6) NULL
);

-- What the reader found in the newest sample that it compared, column by column.
CREATE TABLE IF NOT EXISTS fidelity (
  table_name   VARCHAR(64) NOT NULL,
  column_name  VARCHAR(64) NOT NULL,
  sample       BIGINT UNSIGNED NOT NULL,
  position     TEXT NOT NULL,                          -- the end of the sample's transaction
  compared     BIGINT UNSIGNED NOT NULL,
  differ       BIGINT UNSIGNED NOT NULL,
  compared_at  DATETIME(6) NOT NULL,
  PRIMARY KEY (table_name, column_name)
);

-- How far the application has moved to a target. No row: legacy.
CREATE TABLE IF NOT EXISTS flag (
  target  VARCHAR(64) NOT NULL PRIMARY KEY,
  state   ENUM('legacy','dual_write','shadow_read','new_read') NOT NULL,
  since   DATETIME(6) NOT NULL,
  who     VARCHAR(190) NOT NULL
);

-- What was decided. Each entry binds the one before it by its digest.
CREATE TABLE IF NOT EXISTS audit (
  id       BIGINT UNSIGNED NOT NULL PRIMARY KEY,   -- without gaps
  at       DATETIME(6) NOT NULL,
  who      VARCHAR(190) NOT NULL,
  what     VARCHAR(32) NOT NULL,
  target   VARCHAR(64) NOT NULL,
  was      VARCHAR(64) NULL,
  now_is   VARCHAR(64) NULL,
  because  VARCHAR(400) NOT NULL,
  verdict  BINARY(32) NULL,                        -- SHA-256 of the verdict that allowed it
  digest   BINARY(32) NOT NULL,                    -- SHA-256 over the entry and the digest before it
  KEY ix_audit_target (target, id)
);

-- A row here holds everything that writes: `crossfade pause`.
CREATE TABLE IF NOT EXISTS hold (
  id     INT UNSIGNED NOT NULL PRIMARY KEY,
  since  DATETIME(6) NOT NULL,
  who    VARCHAR(190) NOT NULL
);
