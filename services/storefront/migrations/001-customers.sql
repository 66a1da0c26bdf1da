-- What the storefront knows of customers, from their events.
CREATE TABLE customer (
  customer_id text PRIMARY KEY,
  name text NOT NULL
);
