-- The legacy table of the benchmark: a BIGINT key and 16 columns, about 400 bytes a row.
CREATE TABLE requests (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  request_no VARCHAR(80) NOT NULL,
  title VARCHAR(80) NOT NULL,
  description TEXT,
  status INT NOT NULL,
  priority INT NOT NULL,
  process_id BIGINT NOT NULL,
  created_by_user_id BIGINT NOT NULL,
  assigned_to_user_id BIGINT NULL,
  amount DECIMAL(12,2) NOT NULL,
  currency CHAR(3) NOT NULL,
  notes VARCHAR(80) NULL,
  created_at DATETIME(6) NOT NULL,
  updated_at DATETIME(6) NOT NULL,
  due_at DATETIME(6) NULL,
  closed_at DATETIME(6) NULL
) ENGINE=InnoDB CHARACTER SET utf8mb4;
CREATE TABLE users (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(80) NOT NULL
) ENGINE=InnoDB CHARACTER SET utf8mb4;
INSERT INTO users SELECT seq - 1, CONCAT('user ', seq - 1) FROM seq_1_to_20000;
