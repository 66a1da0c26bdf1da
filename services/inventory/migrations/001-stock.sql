CREATE TABLE stock (
  product_id text PRIMARY KEY,
  available integer NOT NULL CHECK (available >= 0)
);

-- One row an order, also for an order that was cancelled before its reservation came: the tombstone keeps it from being reserved.
CREATE TABLE reservation (
  order_id text PRIMARY KEY,
  status text NOT NULL CHECK (status IN ('reserved', 'rejected', 'released')),
  lines jsonb NOT NULL
);

INSERT INTO stock (product_id, available)
SELECT 'p-' || n, CASE WHEN n = 9 THEN 10 ELSE 1000000 END FROM generate_series(1, 9) AS n;
