-- Seed 000: generations under the names that its front end reads. Rows of our own generations follow their records;
-- others are the team's own.
create table ${COMPAT_SCHEMA}.ai_generations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  service text not null default 'mureka',
  prompt text,
  -- pending, processing, completed, failed, cancelled
  status text not null default 'pending',
  -- the first variant's best playable address: the provider's until our copy is there
  result_url text,
  track_id uuid,
  -- the provider's
  task_id text,
  error_message text,
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default reprise.now(),
  updated_at timestamptz not null default reprise.now()
);
create index ai_generations_user on ${COMPAT_SCHEMA}.ai_generations (user_id, created_at desc, id desc);
create index ai_generations_task on ${COMPAT_SCHEMA}.ai_generations (task_id) where task_id is not null;
create index ai_generations_track on ${COMPAT_SCHEMA}.ai_generations (track_id) where track_id is not null;
alter table ${COMPAT_SCHEMA}.ai_generations enable row level security;
comment on table ${COMPAT_SCHEMA}.ai_generations is 'reprise';

-- Leases under a name. An owner without a name is nobody's twin: it can only wait for the end or release.
create table reprise.operation_locks (
  key text primary key,
  owner text,
  acquired_at timestamptz not null,
  expires_at timestamptz not null
);
