-- When the bytes behind a name were last read whole and hashed, whatever was found; `verified_at` is when they were
-- last seen to be right. A file is stored hashed, so until then its creation counts.
alter table reprise.files add column checked_at timestamptz;
create index files_checked on reprise.files ((coalesce(checked_at, created_at)));
-- In the order of their bytes, as a store lists its keys: both lists are read side by side.
alter table reprise.files alter column blob_key type text collate "C";
-- A user's files that belong to no track.
create index files_user on reprise.files (user_id) where track_id is null;

-- Files that a process reads just now. A claim that lapses is taken over.
create table reprise.fixity_claims (
  blob_key text collate "C" primary key,
  owner text not null,
  lease_until timestamptz not null
);

-- What was found wrong with stored files, and what became of it.
create table reprise.fixity_findings (
  id bigint generated always as identity primary key,
  blob_key text collate "C" not null,
  -- `orphan`: bytes that no record names; the others as in engine/heal.ts
  kind text not null check (kind in ('missing', 'truncated', 'altered', 'flipped', 'unreadable', 'orphan')),
  -- why it could not be put right; of an orphan, what is known about it
  detail text,
  found_at timestamptz not null default reprise.now(),
  seen_at timestamptz not null default reprise.now(),
  tries int not null default 0,
  -- the next try to put it right; null: none before the file's next turn
  next_at timestamptz,
  -- the key under which the damaged bytes are kept
  aside text,
  repaired_at timestamptz,
  -- when it was so no longer: repaired, whole again, or nobody's any more
  ended_at timestamptz,
  -- when the owner was told; once for each finding
  told_at timestamptz
);
create unique index fixity_findings_open on reprise.fixity_findings (blob_key) where ended_at is null;
create index fixity_findings_due on reprise.fixity_findings (next_at) where ended_at is null and next_at is not null;
create index fixity_findings_recent on reprise.fixity_findings (found_at desc, id desc);

-- Each comparison of all records with all files.
create table reprise.fixity_passes (
  id bigint generated always as identity primary key,
  started_at timestamptz not null default reprise.now(),
  ended_at timestamptz,
  files bigint not null default 0,
  bytes bigint not null default 0,
  -- records whose file is gone or has another size; files without a record
  damaged int not null default 0,
  orphans int not null default 0
);
