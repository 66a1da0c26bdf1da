-- Who wants to be told of what, outside. Its state is the system's judgement of it, or its owner's wish.
create table kit.webhook_endpoints (
  endpoint_id text primary key,
  -- The declared webhook.
  webhook text not null,
  url text not null,
  types text[] not null,
  state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
  -- Why it is not active: its owner asked, it fails, or it said that it is gone.
  reason text not null default '' check (reason in ('', 'asked', 'failing', 'gone')),
  -- Failed attempts in a row, whatever they were about.
  failures integer not null default 0,
  failing_since timestamptz,
  -- While it is paused because it fails: when one delivery is let through to see, and how often that was in vain.
  probe_at timestamptz,
  probes integer not null default 0,
  -- When it last got something to do: whoever waits longest comes first.
  served_at timestamptz not null default '-infinity',
  created_at timestamptz not null,
  constraint webhook_endpoints_url unique (webhook, url)
) with (fillfactor = 70);

-- What deliveries are signed with: with all that are valid, so that a receiver can change over at any time.
create table kit.webhook_secrets (
  number bigint generated always as identity primary key,
  endpoint_id text not null references kit.webhook_endpoints on delete cascade,
  secret text not null,
  created_at timestamptz not null,
  expires_at timestamptz
);
create index webhook_secrets_endpoint on kit.webhook_secrets (endpoint_id, number);

-- What is told, once for all who are told it: every attempt sends the same bytes.
create table kit.webhook_events (
  webhook text not null,
  event_id text not null,
  type text not null,
  payload text not null,
  correlation_id text not null,
  traceparent text,
  created_at timestamptz not null,
  primary key (webhook, event_id)
);

-- One event for one endpoint.
create table kit.webhook_deliveries (
  number bigint generated always as identity primary key,
  endpoint_id text not null references kit.webhook_endpoints on delete cascade,
  webhook text not null,
  event_id text not null,
  state text not null check (state in ('waiting', 'delivered', 'failed')),
  -- Begun since it was made or replayed.
  attempts integer not null default 0,
  -- Begun ever: whoever holds an older one has been replaced, and records nothing.
  claims integer not null default 0,
  replays integer not null default 0,
  -- When it is tried next; while an attempt is under way, when that one is given up for lost.
  next_at timestamptz not null,
  leased_until timestamptz,
  -- Of the last attempt.
  status integer,
  error text not null default '',
  reason text not null default '',
  created_at timestamptz not null,
  settled_at timestamptz,
  constraint webhook_deliveries_once unique (endpoint_id, event_id),
  foreign key (webhook, event_id) references kit.webhook_events
) with (fillfactor = 70);
create index webhook_deliveries_waiting on kit.webhook_deliveries (endpoint_id, next_at) where state = 'waiting';
create index webhook_deliveries_leased on kit.webhook_deliveries (endpoint_id) where leased_until is not null;
create index webhook_deliveries_log on kit.webhook_deliveries (endpoint_id, number);
create index webhook_deliveries_event on kit.webhook_deliveries (webhook, event_id);
create index webhook_deliveries_age on kit.webhook_deliveries (webhook, created_at);
create index webhook_events_age on kit.webhook_events (webhook, created_at);

-- What came of each attempt.
create table kit.webhook_attempts (
  delivery bigint not null references kit.webhook_deliveries on delete cascade,
  number integer not null,
  at timestamptz not null,
  duration_ms integer not null,
  status integer,
  error text not null,
  reason text not null,
  -- How the answer's body begins.
  excerpt text not null,
  primary key (delivery, number)
);
