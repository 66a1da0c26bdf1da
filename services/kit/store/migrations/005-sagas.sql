-- Sagas that this service leads. A decision, its log and the commands that follow from it are one transaction.
create table kit.sagas (
  saga text not null,
  -- Such as an order's id; the key under which participants know what they did for it.
  saga_id text not null,
  status text not null check (status in ('running', 'compensating', 'completed', 'compensated')),
  -- Why a human has to look; empty where none has.
  stuck text not null,
  state jsonb not null,
  -- What started it, as protobuf: commands are made of it.
  input bytea not null,
  correlation_id text not null,
  traceparent text,
  started_at timestamptz not null,
  ended_at timestamptz,
  -- When somebody has to look, though nothing has happened; null once it has ended.
  due_at timestamptz,
  primary key (saga, saga_id)
) with (fillfactor = 70);
create index sagas_due on kit.sagas (saga, due_at) where due_at is not null;
create index sagas_unfinished on kit.sagas (saga, started_at) where ended_at is null;
create index sagas_ended on kit.sagas (saga, ended_at) where ended_at is not null;

-- What happened to each, in order, and what it was answered with.
create table kit.saga_log (
  saga text not null,
  saga_id text not null,
  number integer not null,
  at timestamptz not null,
  event jsonb not null,
  commands text[] not null,
  primary key (saga, saga_id, number),
  foreign key (saga, saga_id) references kit.sagas on delete cascade
);
