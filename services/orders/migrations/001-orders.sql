-- What a product costs. Orders keeps its own copy, so that an order can be accepted while others are away.
CREATE TABLE price (
  product_id text PRIMARY KEY,
  currency text NOT NULL,
  minor_units bigint NOT NULL CHECK (minor_units > 0)
);

INSERT INTO price (product_id, currency, minor_units)
SELECT 'p-' || n, 'EUR', 499 + 250 * n FROM generate_series(1, 9) AS n;

-- Which order a client's key stands for, and what the request with it asked.
CREATE TABLE idempotency (
  customer_id text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  order_id text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (customer_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- Orders that are neither confirmed nor cancelled: what the saga's timeout looks at.
CREATE TABLE open_order (
  order_id text PRIMARY KEY,
  placed_at timestamptz NOT NULL
);
CREATE INDEX open_order_age ON open_order (placed_at);
