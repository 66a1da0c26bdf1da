-- The state of a long stream at one of its versions, so that it need not be read from its beginning. Never the truth: a
-- row may be deleted at any time.
create table kit.snapshots (
  stream_id text primary key,
  version integer not null check (version > 0),
  -- Of the state's form. Code that knows another one ignores the row.
  form integer not null,
  state bytea not null
);

-- Read models. Each generation of one has a table of its own; readers look at the active one through a view.
create table kit.projections (
  name text not null,
  generation integer not null check (generation > 0),
  -- Of the code that fills it.
  version integer not null,
  state text not null check (state in ('active', 'building')),
  -- Up to where in the log it is filled; written in the transaction of what it holds.
  position text not null,
  primary key (name, generation)
);
create unique index projections_one_of_a_kind on kit.projections (name, state);

-- Events that a projection could not apply, and the later ones of their streams, which must not overtake them.
create table kit.parked_events (
  projection text not null,
  generation integer not null,
  stream_id text not null,
  version integer not null,
  type text not null,
  reason text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (projection, generation, stream_id, version),
  foreign key (projection, generation) references kit.projections (name, generation) on delete cascade
);
