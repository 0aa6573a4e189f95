-- What a file is part of and where it came from: so that it can be put right, and goes when its track goes.
alter table reprise.files add column track_id uuid, add column source_url text, add column verified_at timestamptz;
update reprise.files f set track_id = song.id, source_url = r.source_url
  from reprise.results r join reprise.results song on song.generation_id = r.generation_id and song.role = 'final' and song.index = r.index
  where f.blob_key = r.blob_key;
create index files_track on reprise.files (track_id) where track_id is not null;

-- Seed 002: every attempt to archive a track.
create table ${COMPAT_SCHEMA}.track_archiving_jobs (
  id uuid primary key default gen_random_uuid(),
  track_id uuid not null references ${COMPAT_SCHEMA}.tracks (id) on delete cascade,
  user_id uuid not null,
  status text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
  original_audio_url text,
  original_cover_url text,
  original_video_url text,
  storage_audio_url text,
  storage_cover_url text,
  storage_video_url text,
  started_at timestamptz,
  completed_at timestamptz,
  error_message text,
  metadata jsonb not null default '{}',
  -- owners insert here, and functions of ours are not for them
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index track_archiving_jobs_track on ${COMPAT_SCHEMA}.track_archiving_jobs (track_id, created_at desc);
create index track_archiving_jobs_user on ${COMPAT_SCHEMA}.track_archiving_jobs (user_id, created_at desc);
create index track_archiving_jobs_recent on ${COMPAT_SCHEMA}.track_archiving_jobs (completed_at) where completed_at is not null;
alter table ${COMPAT_SCHEMA}.track_archiving_jobs enable row level security;
comment on table ${COMPAT_SCHEMA}.track_archiving_jobs is 'reprise';

-- What a user is told, also when not looking.
create table ${COMPAT_SCHEMA}.notifications (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  type text not null default 'info',
  title text not null,
  message text not null,
  link text,
  read_at timestamptz,
  created_at timestamptz not null default reprise.now()
);
create index notifications_user on ${COMPAT_SCHEMA}.notifications (user_id, created_at desc, id desc);
alter table ${COMPAT_SCHEMA}.notifications enable row level security;
comment on table ${COMPAT_SCHEMA}.notifications is 'reprise';

-- How long files stay at a host (and its subdomains); what is not named stays 15 days.
create table reprise.retentions (host text primary key, keeps interval not null);
insert into reprise.retentions (host, keeps) values
  ('replicate.delivery', '1 hour'), ('replicate.com', '1 hour'), ('redpandaai.co', '3 days'),
  ('suno.ai', '14 days'), ('suno.com', '14 days'), ('sunoapi.org', '14 days'), ('aiquickdraw.com', '14 days'), ('erweima.ai', '14 days');

-- The archive's queue: one row for each track that still has to be archived, or whose archiving somebody claims and
-- nobody has verified. Gone when all its files are ours.
create table reprise.archivals (
  track_id uuid primary key references ${COMPAT_SCHEMA}.tracks (id) on delete cascade,
  user_id uuid not null,
  -- when the provider deletes the files
  expires_at timestamptz not null,
  -- -infinity: not tried yet, or asked for anew. Later: the next try. infinity: nobody has it any more.
  next_at timestamptz not null default '-infinity',
  -- said to be archived by somebody else: the bytes are still to be looked at
  claimed_done boolean not null default false,
  -- within the run under way
  tries int not null default 0,
  lease_owner text,
  lease_until timestamptz,
  fence bigint not null default 0,
  -- the owner was told; once for each track
  noticed_at timestamptz,
  last_error text
) with (fillfactor = 80);
-- Untried rows go by urgency, others by their time: whatever waits or has expired, it is never in the way of these.
create index archivals_fresh on reprise.archivals (expires_at, track_id) where next_at = '-infinity';
create index archivals_due on reprise.archivals (next_at) where next_at > '-infinity';
create index archivals_expiry on reprise.archivals (expires_at, track_id);
