-- Names under which stored bytes are served. Bytes are stored once (`blob_key`); several names may mean the same object.
create table reprise.files (
  bucket text not null,
  path text not null,
  blob_key text not null,
  user_id uuid not null,
  sha256 text not null,
  bytes bigint not null,
  mime text not null,
  created_at timestamptz not null default reprise.now(),
  primary key (bucket, path)
);

-- The seeds' table: one row per stored song, the union of seed 000's and seed 002's columns.
create table ${COMPAT_SCHEMA}.tracks (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  title text,
  prompt text,
  lyrics text,
  style_tags text[],
  provider text,
  model text,
  status text not null default 'pending',
  audio_url text,
  cover_url text,
  video_url text,
  -- whole seconds; the exact length is duration_ms
  duration integer,
  duration_ms integer,
  metadata jsonb not null default '{}',
  project_id uuid,
  artist_id uuid,
  generation_id uuid,
  track_variant integer,
  total_variants integer,
  sha256 text,
  bytes bigint,
  mime text,
  archived_to_storage boolean not null default false,
  storage_audio_url text,
  storage_cover_url text,
  storage_video_url text,
  archive_scheduled_at timestamptz,
  archived_at timestamptz,
  expires_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz not null default reprise.now(),
  updated_at timestamptz not null default reprise.now()
);
create index tracks_user on ${COMPAT_SCHEMA}.tracks (user_id, created_at desc, id desc) where deleted_at is null;
create index tracks_generation on ${COMPAT_SCHEMA}.tracks (generation_id) where generation_id is not null;
alter table ${COMPAT_SCHEMA}.tracks enable row level security;
comment on table ${COMPAT_SCHEMA}.tracks is 'reprise';

insert into storage.buckets (id, name, public) values
  ('albert-tracks', 'albert-tracks', true), ('tracks-audio', 'tracks-audio', true),
  ('tracks-covers', 'tracks-covers', true), ('tracks-videos', 'tracks-videos', true)
on conflict (id) do nothing;
