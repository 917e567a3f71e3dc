-- The shop's legacy table: a price in euros, and an address in one text ("street; city").
CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  total DECIMAL(10,2) NOT NULL,
  address VARCHAR(200) NOT NULL,
  total_cents BIGINT NULL          -- the successor of `total`, beside it
);

-- The successor of `address`: a table of its own.
CREATE TABLE shipments (
  order_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  street VARCHAR(200) NOT NULL,
  city VARCHAR(200) NOT NULL
);
