-- Messages that could not be handled, whole, until somebody replays or discards them: written in the transaction that settles the
-- message for its consumer, so there is none too many and none too few. What was done about each stays as its log.
create table kit.dead_letters (
  -- The order in which they died; within a key it is the order of the messages.
  number bigint generated always as identity primary key,
  -- As in the inbox: the group, or `queue <name>`.
  consumer text not null,
  event_id text not null,
  kind text not null check (kind in ('topic', 'queue')),
  -- The topic or the queue that it came from.
  destination text not null,
  -- Of a record; empty where nothing waits behind it.
  key text not null,
  -- Partition and offset of a record, such as `3/42`; empty for a task.
  place text not null,
  headers json not null,
  payload bytea not null,
  code text not null,
  reason text not null,
  exception text not null,
  attempts integer not null,
  died_at timestamptz not null default clock_timestamp(),
  state text not null default 'waiting' check (state in ('waiting', 'replayed', 'discarded')),
  -- How often a replay was begun; the newest of them alone may settle the letter.
  replays integer not null default 0,
  replayed_until timestamptz,
  -- Why it was discarded.
  note text not null default '',
  settled_at timestamptz,
  unique (consumer, event_id)
);
create index dead_letters_waiting on kit.dead_letters (consumer, destination, key, number) where state = 'waiting';
create index dead_letters_settled on kit.dead_letters (settled_at) where state <> 'waiting';
