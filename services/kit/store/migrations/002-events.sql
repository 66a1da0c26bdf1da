-- Streams of events as the truth of an aggregate. Versions of a stream begin at 1 and have no gap.
create table kit.events (
  position bigint generated always as identity primary key,
  -- Orders readers of the whole log by commit: see readAll in event-store.ts.
  transaction_id xid8 not null default pg_current_xact_id(),
  stream_id text not null,
  version integer not null check (version > 0),
  type text not null,
  payload bytea not null,
  correlation_id text not null,
  traceparent text,
  recorded_at timestamptz not null,
  constraint events_stream_version unique (stream_id, version)
);
create index events_commit_order on kit.events (transaction_id, position);
