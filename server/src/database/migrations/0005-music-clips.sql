-- Seed 001. A channel is a publishing target with music-clip settings.
create table reprise.channels (
  id text primary key,
  user_id uuid not null,
  name text not null,
  type text not null,
  language text not null,
  timezone text not null,
  music_clips_settings jsonb not null default '{}',
  created_at timestamptz not null default reprise.now(),
  updated_at timestamptz not null default reprise.now(),
  deleted_at timestamptz
);
create index channels_user on reprise.channels (user_id, created_at desc, id desc) where deleted_at is null;

-- A run of a channel. Its stage is read from its generation; a run that was refused at the door has none and says why.
create table reprise.music_clips_runs (
  job_id text primary key,
  channel_id text not null,
  user_id uuid not null,
  generation_id uuid unique references reprise.generations,
  refused_code text,
  refused_message text,
  variant_index int,
  created_at timestamptz not null,
  constraint refused_or_running check ((generation_id is null) = (refused_code is not null))
);
create index music_clips_runs_channel on reprise.music_clips_runs (channel_id, created_at desc);
