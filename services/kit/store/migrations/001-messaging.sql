-- The kit's own tables, in a schema of their own beside the service's.

-- What leaves this service. A row is written in the transaction of the effect that it tells of, and deleted once the
-- broker has acknowledged it, so the table is nearly always empty.
create table kit.outbox (
  id bigint generated always as identity primary key,
  -- 'topic' (Kafka) or 'queue' (RabbitMQ).
  kind text not null check (kind in ('topic', 'queue')),
  destination text not null,
  event_id text not null,
  key text not null,
  headers json not null,
  payload bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  -- Why the broker will never take it, such as its size; such a row is kept for a human, and its successors go on.
  refused text
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1);
create index outbox_waiting on kit.outbox (kind, destination, id) where refused is null;

-- Which replica's relay may send. The epoch fences a relay that was replaced while it slept.
create table kit.relay (
  name text primary key,
  epoch bigint not null,
  holder_pid integer not null,
  holder_started timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 50);

-- Which messages have had their effect. Written in the effect's transaction.
create table kit.inbox (
  consumer text not null,
  event_id text not null,
  -- 'handled', or 'dead' for one whose dead letter was written in its place.
  outcome text not null default 'handled' check (outcome in ('handled', 'dead')),
  at timestamptz not null default clock_timestamp(),
  primary key (consumer, event_id)
);
create index inbox_age on kit.inbox using brin (at);

-- Failed and unfinished attempts, so that a message that ends the process is counted, too. Rows live until the outcome.
create table kit.deliveries (
  consumer text not null,
  event_id text not null,
  attempts integer not null,
  reason text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (consumer, event_id)
);

-- Keys with a dead letter. Later messages of such a key must not overtake it, so they become dead letters as well.
create table kit.parked_keys (
  consumer text not null,
  topic text not null,
  key text not null,
  event_id text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (consumer, topic, key)
);
