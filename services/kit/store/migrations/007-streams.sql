-- Stream processors. What a batch changes, what it publishes and how far it got are one transaction, so each event counts once.

-- A processor's state as one filling of it. One is built beside the active one by a replay; a retired one is deleted bit by bit.
create table kit.streams (
  stream text not null,
  generation integer not null check (generation > 0),
  state text not null check (state in ('active', 'building', 'retired')),
  -- Of a replay: windows that begin earlier are taken over as they are. Null for all of the log.
  from_ms bigint,
  began_at timestamptz not null,
  -- Of a replay that has taken the place of the one before: since when, and the first window that the log could give again.
  ended_at timestamptz,
  rebuilt_from_ms bigint,
  primary key (stream, generation)
);
create unique index streams_one_of_a_kind on kit.streams (stream, state) where state <> 'retired';

-- How far each partition is applied. The row's lock makes one writer of a partition at a time.
create table kit.stream_partitions (
  stream text not null,
  generation integer not null,
  topic text not null,
  partition integer not null,
  -- Of a replay: where it began.
  first_offset bigint not null,
  -- Every record before it is applied.
  next_offset bigint not null,
  -- Grows with each owner, so that one that was replaced while it slept is refused.
  epoch bigint not null default 0,
  -- The latest time of an event here, in ms since 1970: what decides whether one comes too late.
  newest_ms bigint not null default 0,
  heard_at timestamptz not null,
  -- Nothing has come for long, and there is nothing to fetch.
  idle boolean not null default false,
  -- Of a replay: it has come to where the active generation is, and both go on together.
  joined boolean not null default true,
  primary key (stream, generation, topic, partition)
) with (fillfactor = 50);

-- What is known of each key.
create table kit.stream_state (
  stream text not null,
  generation integer not null,
  key text not null,
  -- Null only within the transaction that makes the row.
  state jsonb,
  -- The times of the first and the last event of the key, in ms since 1970.
  began_ms bigint not null,
  touched_ms bigint not null,
  primary key (stream, generation, key)
) with (fillfactor = 80);
create index stream_state_age on kit.stream_state (stream, generation, touched_ms);

-- What each partition adds to each window. The counter '' is the number of events in time, and no part of a result.
create table kit.stream_windows (
  stream text not null,
  generation integer not null,
  starts_ms bigint not null,
  topic text not null,
  partition integer not null,
  counter text not null,
  amount bigint not null,
  -- The first record of the partition with an event of this window: where a replay has to begin.
  first_offset bigint not null,
  -- Changed since the window's result was made.
  dirty boolean not null,
  primary key (stream, generation, starts_ms, topic, partition, counter)
) with (fillfactor = 70);
create index stream_windows_dirty on kit.stream_windows (stream, generation, starts_ms) where dirty;

-- The results of closed windows. One that changes afterwards has a further revision.
create table kit.stream_results (
  stream text not null,
  generation integer not null,
  starts_ms bigint not null,
  revision integer not null,
  -- Whole numbers as text: they may exceed what JSON's readers hold.
  counts jsonb not null,
  closed_at timestamptz not null,
  primary key (stream, generation, starts_ms)
);

-- Events that came after their window had closed, with what they would have added.
create table kit.stream_late (
  stream text not null,
  generation integer not null,
  topic text not null,
  partition integer not null,
  record_offset bigint not null,
  event_id text not null,
  event_ms bigint not null,
  starts_ms bigint not null,
  counts jsonb not null,
  primary key (stream, generation, topic, partition, record_offset)
);
create index stream_late_age on kit.stream_late (stream, generation, starts_ms);
