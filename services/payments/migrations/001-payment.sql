-- One row an order, also for an order that was cancelled before anything was charged: the tombstone keeps it from being charged.
CREATE TABLE payment (
  order_id text PRIMARY KEY,
  payment_id text NOT NULL,
  status text NOT NULL CHECK (status IN ('captured', 'declined', 'cancelled', 'refunded')),
  currency text NOT NULL,
  minor_units bigint NOT NULL
);
