-- Where registered customers are written to, as their events told.
CREATE TABLE customer (
  customer_id text PRIMARY KEY,
  email_address text NOT NULL
);
