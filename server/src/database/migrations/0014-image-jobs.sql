-- Seed 004: jobs of product pictures and their cards, under the names that its front end reads. Reprise writes its own;
-- the team's app may insert others, which run when they are asked for.
create table ${COMPAT_SCHEMA}.generation_jobs (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  product_name text,
  category text,
  description text,
  -- [{url, name, type: product | reference}]
  product_images jsonb not null default '[]',
  status text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
  total_cards integer not null default 0 check (total_cards >= 0),
  completed_cards integer not null default 0 check (completed_cards >= 0),
  tokens_cost integer not null default 0 check (tokens_cost >= 0),
  error_message text,
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default reprise.now(),
  updated_at timestamptz not null default reprise.now(),
  unified_styling boolean not null default false,
  style_description text,
  style_source_image_url text,
  -- the job whose card this one regenerates, edits or tries again
  source_job_id uuid,
  aspect_ratio text not null default '3:4'
);
create index generation_jobs_user on ${COMPAT_SCHEMA}.generation_jobs (user_id, created_at desc, id desc);
create index generation_jobs_source on ${COMPAT_SCHEMA}.generation_jobs (source_job_id) where source_job_id is not null;
-- whoever looks for stuck ones reads the open ones only, by the time that is never null
create index generation_jobs_open on ${COMPAT_SCHEMA}.generation_jobs (coalesce(started_at, created_at)) where status in ('pending', 'processing');
alter table ${COMPAT_SCHEMA}.generation_jobs enable row level security;
comment on table ${COMPAT_SCHEMA}.generation_jobs is 'reprise';

create table ${COMPAT_SCHEMA}.generation_tasks (
  id uuid primary key default gen_random_uuid(),
  job_id uuid not null references ${COMPAT_SCHEMA}.generation_jobs on delete cascade,
  card_index integer not null check (card_index >= 0),
  card_type text not null,
  status text not null default 'pending' check (status in ('pending', 'processing', 'retrying', 'completed', 'failed')),
  prompt text,
  image_url text,
  storage_path text,
  retry_count integer not null default 0,
  retry_after timestamptz,
  last_error text,
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default reprise.now(),
  updated_at timestamptz not null default reprise.now(),
  -- ours, besides the seed's: the generation that makes it (null: a card from outside that nobody started),
  generation_id uuid unique,
  -- the card that this one regenerates, edits or tries again,
  source_task_id uuid,
  -- a small copy of the picture, made after it is stored,
  thumbnail_url text,
  -- and what kind of price it was asked for: trying it again costs what that kind costs then
  price_kind text,
  unique (job_id, card_index)
);
create index generation_tasks_source on ${COMPAT_SCHEMA}.generation_tasks (source_task_id) where source_task_id is not null;
create index generation_tasks_open on ${COMPAT_SCHEMA}.generation_tasks (job_id) where status in ('pending', 'processing', 'retrying');
create index generation_tasks_large on ${COMPAT_SCHEMA}.generation_tasks (id) where storage_path is not null and thumbnail_url is null and generation_id is not null;
alter table ${COMPAT_SCHEMA}.generation_tasks enable row level security;
comment on table ${COMPAT_SCHEMA}.generation_tasks is 'reprise';

insert into storage.buckets (id, name, public) values ('generated-images', 'generated-images', true), ('image-uploads', 'image-uploads', false)
on conflict (id) do nothing;

-- When a request last named this picture of a user's: what nobody names is deleted, but not while it is being named.
alter table reprise.files add column used_at timestamptz;

-- A new picture costs what `image` says.
insert into reprise.prices (kind, tokens) values ('image_regeneration', 1), ('image_edit', 2), ('description', 2), ('video_regeneration', 2)
on conflict do nothing;
