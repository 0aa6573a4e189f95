-- The life of a generation. Only engine/store.ts and the functions in engine/sql write these tables.
create schema if not exists reprise;

-- Time is handed in: every statement of ours asks this clock, and a test may move it (GUC reprise.clock_offset, ms).
create or replace function reprise.now() returns timestamptz language sql stable parallel safe as $$
  select now() + coalesce(nullif(current_setting('reprise.clock_offset', true), ''), '0')::bigint * interval '1 millisecond'
$$;

-- One provider account: rate, breaker and what we know of its credits. Locked by a dispatcher while it grants slots.
create table reprise.provider_accounts (
  account text primary key,
  provider text not null,
  -- times of the latest grants inside the rate window, oldest first
  grants timestamptz[] not null default '{}',
  breaker_reason text,
  breaker_until timestamptz,
  breaker_failures int not null default 0,
  credits numeric,
  credits_at timestamptz,
  last_valid_callback_at timestamptz
);

create table reprise.generations (
  id uuid primary key,
  user_id uuid not null,
  provider text not null,
  account text not null,
  kind text not null check (kind in ('song', 'image', 'video')),
  -- which feature asked: its listeners follow the moves
  origin text not null default 'api',
  urgency text not null default 'interactive' check (urgency in ('interactive', 'scheduled', 'batch')),
  request jsonb not null,
  cost bigint not null check (cost >= 0),
  result_count int not null check (result_count > 0),
  regenerated_from uuid,

  state text not null default 'queued' check (state in ('queued', 'submitting', 'generating', 'previewing', 'saving',
    'complete', 'failed', 'timed_out', 'cancelled')),
  -- set while the outcome of a submit is unknown: until when we wait for a sign
  indeterminate_until timestamptz,
  blocked_reason text,
  missing int not null default 0,
  arrived_late_at timestamptz,
  error_code text,
  error_detail text,
  provider_task_id text,

  created_at timestamptz not null,
  deadline_at timestamptz not null,
  -- results are looked for until the provider deletes them
  watch_until timestamptz not null,
  changed_at timestamptz not null,
  finished_at timestamptz,
  -- when the provider last said anything about it
  heard_at timestamptz,

  -- waiting for a slot at the provider: from when, and whose turn (users in turn)
  dispatch_at timestamptz,
  turn bigint not null default 0,
  -- when the provider is asked next, and how often it was asked in vain
  check_at timestamptz,
  checks int not null default 0,
  empty_checks int not null default 0,
  unreachable_checks int not null default 0,
  woken_at timestamptz,

  -- the row is the queue
  next_at timestamptz,
  lease_owner text,
  lease_until timestamptz,
  fence bigint not null default 0,

  -- an open generation that nobody will look at again cannot be written
  constraint open_is_armed check (state in ('complete', 'failed', 'timed_out', 'cancelled') or next_at is not null),
  constraint final_is_finished check ((state in ('complete', 'failed', 'timed_out', 'cancelled')) = (finished_at is not null))
) with (fillfactor = 80);

create index generations_due on reprise.generations (next_at) where next_at is not null;
create index generations_dispatch on reprise.generations (account, turn, created_at) where dispatch_at is not null;
create index generations_turn on reprise.generations (account, user_id, turn) where dispatch_at is not null;
create index generations_user on reprise.generations (user_id, created_at desc, id desc);

-- Final states never change, and open states only move right, whoever writes.
create function reprise.guard_generation_move() returns trigger language plpgsql as $$
declare
  places constant text[] := array['queued', 'submitting', 'generating', 'previewing', 'saving'];
begin
  if array_position(places, old.state) is null then
    raise exception 'generation % is %, a final state: it cannot become %', old.id, old.state, new.state using errcode = 'check_violation';
  end if;
  if array_position(places, new.state) < array_position(places, old.state) then
    raise exception 'generation % cannot go back from % to %', old.id, old.state, new.state using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger guard_move before update of state on reprise.generations
  for each row when (old.state is distinct from new.state) execute function reprise.guard_generation_move();

create table reprise.attempts (
  id uuid primary key,
  generation_id uuid not null references reprise.generations on delete cascade,
  number int not null,
  state text not null check (state in ('intended', 'sent', 'accepted', 'finished', 'rejected', 'unknown', 'succeeded', 'failed', 'abandoned')),
  -- pinned: a later change of configuration never moves a running attempt
  provider text not null,
  account text not null,
  adapter text not null,
  token_hash bytea not null unique,
  task_id text,
  error_code text,
  error_detail text,
  -- what a callback with the right token claimed; believed only when the provider cannot be asked
  claimed jsonb,
  created_at timestamptz not null,
  sent_at timestamptz,
  accepted_at timestamptz,
  ended_at timestamptz,
  unique (generation_id, number),
  unique (account, task_id)
);

create table reprise.results (
  id uuid primary key,
  generation_id uuid not null references reprise.generations on delete cascade,
  -- final results gate completion and are paid for; covers follow them
  role text not null check (role in ('final', 'cover')),
  index int not null check (index >= 0),
  state text not null default 'expected' check (state in ('expected', 'known', 'stored', 'refused')),
  -- how the token item of this result ended; null while open. Set once.
  settled text check (settled in ('kept', 'lost')),
  attempt_id uuid,
  provider_result_id text,
  source_url text,
  -- bytes that came inside the provider's answer wait here, in our own store
  staged_key text,
  preview_url text,
  title text,
  tags text,
  lyrics text,
  provider_duration_ms int,
  known_at timestamptz,

  bucket text,
  path text,
  blob_key text,
  sha256 text,
  bytes bigint,
  mime text,
  duration_ms int,
  bitrate int,
  stored_at timestamptz,
  refused_code text,
  refused_detail text,

  tries int not null default 0,
  next_at timestamptz,
  lease_owner text,
  lease_until timestamptz,
  fence bigint not null default 0,

  unique (generation_id, role, index),
  constraint stored_has_bytes check (state <> 'stored' or (blob_key is not null and sha256 is not null and bytes > 0)),
  constraint known_has_source check (state <> 'known' or source_url is not null or staged_key is not null)
) with (fillfactor = 80);
create index results_due on reprise.results (next_at) where next_at is not null;

create function reprise.guard_result() returns trigger language plpgsql as $$
begin
  if old.settled is not null and new.settled is distinct from old.settled then
    raise exception 'result % is already settled', old.id using errcode = 'check_violation';
  end if;
  if old.state = 'stored' and new.state <> 'stored' then
    raise exception 'result % is stored', old.id using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger guard_result before update of settled, state on reprise.results for each row execute function reprise.guard_result();

-- What happened, when and why. Live streams read it in the order (xid, id) below the snapshot horizon, so that an
-- event committed late is never skipped.
create table reprise.events (
  id bigint generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  generation_id uuid not null,
  user_id uuid not null,
  at timestamptz not null,
  type text not null,
  state text not null,
  attempt int,
  cause text not null,
  data jsonb not null default '{}',
  primary key (generation_id, id)
);
create index events_live on reprise.events (xid, id);
create index events_user on reprise.events (user_id, xid, id);

-- Same key, same user, same route within the time: the same request.
create table reprise.idempotency (
  user_id uuid not null,
  route text not null,
  key text not null,
  body_hash bytea not null,
  generation_id uuid not null,
  created_at timestamptz not null,
  primary key (user_id, route, key)
);
create index idempotency_age on reprise.idempotency (created_at);

-- Callbacks whose task id nobody knows yet; looked at when an attempt learns its id, forgotten after 10 minutes.
create table reprise.parked_callbacks (
  id bigint generated always as identity primary key,
  provider text not null,
  task_id text not null,
  received_at timestamptz not null
);
create index parked_callbacks_task on reprise.parked_callbacks (provider, task_id);
create index parked_callbacks_age on reprise.parked_callbacks (received_at);

-- Effects outside the database, written in the transaction that causes them.
create table reprise.outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  payload jsonb not null,
  tries int not null default 0,
  next_at timestamptz not null,
  created_at timestamptz not null default reprise.now()
);
create index outbox_due on reprise.outbox (next_at);

-- One row per process: the engine's last full round. The heartbeat of everything that is armed (no write per row).
create table reprise.nodes (
  node text primary key,
  role text not null,
  started_at timestamptz not null,
  round_at timestamptz
);
