CREATE TABLE shipment (
  order_id text PRIMARY KEY,
  shipment_id text NOT NULL UNIQUE,
  tracking_number text NOT NULL UNIQUE
);
