-- The address is unique in its normalised form; the other is how it was given.
CREATE TABLE customer (
  customer_id text PRIMARY KEY,
  name text NOT NULL,
  email_address text NOT NULL,
  email_key text NOT NULL,
  registered_at timestamptz NOT NULL,
  CONSTRAINT customer_email UNIQUE (email_key)
);

-- Which customer a client's key stands for, and what the request with it asked.
CREATE TABLE idempotency (
  key text PRIMARY KEY,
  request_hash text NOT NULL,
  customer_id text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX idempotency_age ON idempotency (created_at);
